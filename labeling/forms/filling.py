"""Forms that fill a project: a file to import, outputs to sample."""

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.models import Project
from labeling.sampling import MOST_TRIES, Plan
from models_registry.models import Version
from models_registry.queries import scorers, writers


class ImportForm(forms.Form):
    """A file, or what was pasted."""

    file = forms.FileField(
        label=_("File"),
        required=False,
        allow_empty_file=False,
        widget=forms.FileInput(attrs={"accept": ".jsonl,.ndjson,.json,.csv,.tsv,.parquet"}),
        help_text=_("JSONL, JSON, CSV, TSV or Parquet; the columns say what it is."),
    )
    text = forms.CharField(
        label=_("Or paste rows"),
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 5, "class": "mono", "spellcheck": "false", "placeholder": '{"prompt": "…"}'}
        ),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].unmarked = self.fields["text"].unmarked = True

    def clean(self) -> dict:
        data = super().clean()
        if not self.errors and bool(data.get("file")) == bool(data.get("text", "").strip()):
            self.add_error("file", _("Choose a file, or paste rows: one of the two."))
        return data

    def content(self) -> tuple[str, Iterable[bytes]]:
        """The file's name and content. What is pasted is JSONL if it begins like JSON, else CSV (tabs make it TSV)."""
        if file := self.cleaned_data["file"]:
            return file.name, file.chunks()
        text = self.cleaned_data["text"].strip()
        first_line = text.partition("\n")[0]
        ending = "jsonl" if text[0] == "{" else "json" if text[0] == "[" else "tsv" if "\t" in first_line else "csv"
        return f"{gettext('pasted')}.{ending}", [text.encode()]


class SampleForm(forms.Form):
    """What to sample: the fields of labeling.sampling.Plan, which checks them."""

    versions = forms.ModelMultipleChoiceField(
        label=_("Models"),
        queryset=Version.objects.none(),
        widget=forms.CheckboxSelectMultiple(attrs={"class": "choices"}),
        help_text=_("With several, the outputs of a prompt are shared among them."),
        error_messages={"required": _("Choose at least one model to sample from.")},
    )
    outputs = forms.IntegerField(
        label=_("Outputs per prompt"),
        min_value=2,
        max_value=9,
        help_text=_("Each prompt becomes a task with so many outputs."),
    )
    temperature = forms.FloatField(
        label=_("Temperature"),
        min_value=0,
        max_value=5,
        initial=1.0,
        help_text=_("Higher is more varied; outputs that are all alike cannot be ranked."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    top_p = forms.FloatField(
        label=_("Top-p"),
        min_value=0.01,
        max_value=1,
        initial=1.0,
        help_text=_("Draw only from the likeliest tokens that make up this share; 1 leaves none out."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    max_tokens = forms.IntegerField(
        label=_("Tokens per output at most"),
        min_value=1,
        max_value=4096,
        initial=128,
        help_text=_("A token is about ¾ of a word."),
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        min_value=0,
        max_value=2**32 - 1,
        initial=0,
        help_text=_("The same seed gives the same outputs again; another one gives others."),
    )
    best_of = forms.IntegerField(
        label=_("Keep the best of"),
        min_value=1,
        max_value=MOST_TRIES,
        initial=1,
        required=False,
        help_text=_("So many are written for each output, and the reward model chooses. 1: every output is kept."),
    )
    judge = forms.ModelChoiceField(
        label=_("Reward model that chooses"), queryset=Version.objects.none(), required=False, empty_label=_("None")
    )
    batch = forms.CharField(
        label=_("Batch of the new tasks"),
        max_length=120,
        required=False,
        help_text=_("A round of tasks that come and pause together, such as “Round 2”."),
    )

    def __init__(self, *args, project: Project, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["versions"].queryset = writers()
        self.fields["judge"].queryset = scorers()
        if not self.fields["judge"].queryset.exists():
            del self.fields["best_of"], self.fields["judge"]
        self.fields["outputs"].initial = project.outputs_per_task
        if self.fields["versions"].queryset.count() == 1:
            self.fields["versions"].initial = self.fields["versions"].queryset

    def plan(self) -> Plan:
        data = {name: value for name, value in self.cleaned_data.items() if name != "batch"}
        judge, best_of = data.pop("judge", None), data.pop("best_of", None) or 1
        versions = tuple(version.pk for version in data.pop("versions"))
        return Plan(versions=versions, best_of=best_of, judge=judge.pk if judge else None, **data)
