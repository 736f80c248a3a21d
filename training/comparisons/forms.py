"""The form of a new comparison. What fits what is said by the menu and the verb; the form only offers it."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.models import Dataset
from models_registry.models import Head, Kind, Stage, Version

from ..engine import methods
from ..fields import all_leaves, as_text, fields_of
from . import menu
from .models import Task


class DatasetChoice(forms.ModelChoiceField):
    def label_from_instance(self, dataset: Dataset) -> str:
        return gettext("%(name)s · %(kind)s · %(heldout)s of %(rows)s rows held out") % {
            "name": dataset.name,
            "kind": dataset.get_kind_display(),
            "heldout": intcomma(dataset.splits.get("heldout", 0)),
            "rows": intcomma(dataset.rows),
        }


class NewComparison(forms.Form):
    task = forms.ChoiceField(label=_("Task"), choices=Task.choices, initial=Task.LANGUAGE)
    base = forms.ModelChoiceField(
        Version.objects.none(),
        label=_("Base"),
        empty_label=_("Choose a model"),
        help_text=_("All methods start from it."),
    )
    dataset = DatasetChoice(
        Dataset.objects.none(),
        label=_("Data"),
        empty_label=_("Choose a data set"),
        help_text=_("Its training rows are learned from, its held-out rows judge."),
    )
    reward_model = forms.ModelChoiceField(
        Version.objects.none(),
        label=_("Reward model"),
        required=False,
        empty_label=_("none"),
        help_text=_("Scores the answers that the models write; methods such as PPO learn from it."),
    )
    epochs = forms.FloatField(
        label=_("Epochs"),
        required=False,
        initial=3,
        help_text=_("How often every method goes through the training rows."),
    )
    max_steps = forms.IntegerField(
        label=_("Or updates"), required=False, help_text=_("Where given, they alone decide the length.")
    )
    batch_size = forms.IntegerField(
        label=_("Batch size"), required=False, initial=16, help_text=_("Rows in one update; empty: each method's own.")
    )
    seeds = forms.CharField(
        label=_("Seeds"),
        initial="0",
        help_text=_("One, or several with commas between: every method is then trained once with each."),
    )
    name = forms.CharField(label=_("Name"), required=False, max_length=120)

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        given = self.data if self.is_bound else self.initial
        task = given.get("task") or Task.LANGUAGE
        self.chosen_task = Task(task) if task in Task.values else Task.LANGUAGE
        self.fields["base"].queryset = bases(self.chosen_task)
        self.fields["dataset"].queryset = datasets(self.chosen_task)
        self.fields["reward_model"].queryset = versions(Head.REWARD)
        self.fields["name"].widget.attrs["placeholder"] = _("task, base and data")
        for field in ("epochs", "max_steps", "batch_size", "seeds"):
            self.fields[field].widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def clean_seeds(self) -> list[int]:
        try:
            return [int(part) for part in self.cleaned_data["seeds"].split(",")]
        except ValueError:
            raise forms.ValidationError(_("Write whole numbers with commas between.")) from None

    def known(self) -> dict[str, Any]:
        """What of the form can be understood, as `actions.new_problems` wants it."""
        found = {name: self.cleaned_data.get(name) for name in self.fields if name != "name"}
        return found | {"task": self.chosen_task, "seeds": found["seeds"] or (0,)}

    def take(self, places: Iterable[tuple[str, str]]) -> None:
        """Put the verb's problems beside their fields; a field that says already what is wrong with it says no more."""
        said = set(self.errors)
        for name, sentence in places:
            if name not in said:
                self.add_error(name if name in self.fields else None, sentence)

    @property
    def bad_fields(self) -> list[tuple[str, str]]:
        """(anchor, title) of every field that something is wrong with, in the order of the page."""
        top = ("task", "base", "dataset", "reward_model")
        found = [(self[name].id_for_label, self.fields[name].label) for name in top if name in self.errors]
        if self.non_field_errors():
            found.append(("menu-of-methods", _("Methods")))
        rest = [name for name in self.fields if name in self.errors and name not in top]
        return found + [(self[name].id_for_label, self.fields[name].label) for name in rest]

    def offered(self) -> list[menu.Choice]:
        """The menu for what is chosen so far."""
        return menu.menu(self.chosen_task, self._chosen("base"), self._chosen("dataset"))

    def _chosen(self, name: str) -> Version | Dataset | None:
        key = str((self.data if self.is_bound else self.initial).get(name) or "")
        return self.fields[name].queryset.filter(pk=key).first() if key.isdecimal() else None


def versions(*heads: str) -> QuerySet[Version]:
    return (
        Version.objects.select_related("model")
        .filter(head__in=heads, kind__in=(Kind.FULL, Kind.ADAPTER))
        .exclude(stage=Stage.ARCHIVED)
        .order_by("-created_at")
    )


def bases(task: Task) -> QuerySet[Version]:
    """What the methods of a task can start from."""
    heads = {Task.CLASSIFICATION: (Head.LM, Head.CLASSES), Task.PREFERENCE: (Head.LM, Head.REWARD)}
    return versions(*heads.get(task, (Head.LM,)))


def datasets(task: Task) -> QuerySet[Dataset]:
    """Data of the right kind with held-out rows."""
    return Dataset.objects.filter(kind__in=menu.TASKS[task].datasets, splits__heldout__gt=0).order_by("-created_at")


def of_address(query) -> dict[str, str]:
    """What an address or an unfinished form fills in."""
    return {name: query[name] for name in NewComparison.base_fields if name in query}


def filled(method: str, config: Mapping[str, Any]) -> QueryDict:
    """What the form of a run would have sent for these settings."""
    known = {each.path: each for each in all_leaves(fields_of(methods.config_of(method)))}
    sent = QueryDict(mutable=True)

    def put(path: str, value: Any) -> None:
        if path in known and known[path].kind != "union":
            text = as_text(known[path], value)
            sent[f"config.{path}"] = str(text).lower() if isinstance(text, bool) else text
        elif isinstance(value, Mapping):
            for key, inside in value.items():
                put(f"{path}.{key}", inside)
        else:
            sent[f"config.{path}"] = str(value)

    for name, value in config.items():
        put(name, value)
    return sent
