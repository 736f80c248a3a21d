"""Forms about many tasks at once, and about what is known of one task's answer."""

from django import forms
from django.contrib.auth.models import Group
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from labeling import actions
from labeling.actions.many import NAMED_AT_MOST, Changed, had_by
from labeling.lanes import lane_of, whose
from labeling.models import Batch, Project, Task
from labeling.project_settings import SETTINGS
from labeling.task_queries import who_takes_part
from models_registry.models import Version
from models_registry.queries import scorers
from people.errors import Refusal
from people.models import User


class ChangeForm(forms.Form):
    """What to do with the tasks that were chosen: each button of the form is one verb, and reads its own fields alone."""

    to = forms.ChoiceField(label=gettext_lazy("Give to"), required=False)
    priority = forms.IntegerField(label=gettext_lazy("Priority"), required=False)
    overlap = forms.IntegerField(label=gettext_lazy("People per task"), required=False)
    batch = forms.ChoiceField(label=gettext_lazy("Batch"), required=False)
    new_batch = forms.CharField(label=gettext_lazy("Or a new one"), required=False)
    sensitive = forms.ChoiceField(
        label=gettext_lazy("Sensitive"),
        choices=[
            ("yes", gettext_lazy("only for those who take sensitive tasks")),
            ("no", gettext_lazy("for everybody")),
        ],
        required=False,
    )

    def __init__(self, *args, project: Project, **kwargs) -> None:
        super().__init__(*args, auto_id="change_%s", **kwargs)
        self.project = project
        people = [(lane_of(person), str(person)) for person in who_takes_part(project)]
        groups = [
            (lane_of(group), _("group %(name)s") % {"name": group.name}) for group in Group.objects.order_by("name")
        ]
        self.fields["to"].choices = [("", _("everybody")), *groups, *people]
        self.fields["batch"].choices = [
            ("", _("in no batch")),
            *((batch.pk, batch.name) for batch in project.batches.all()),
        ]
        self.fields["overlap"].initial, self.fields["priority"].initial = project.overlap, 0
        for field in self.fields.values():
            field.unmarked = True

    def carry_out(self, do: str, *, actor: User, tasks: list[int]) -> str:
        """Call the verb; the sentence says what was done."""
        verbs = {
            "assign": self._assign,
            "priority": self._priority,
            "overlap": self._overlap,
            "batch": self._batch,
            "sensitive": self._sensitive,
        }
        if do not in verbs:
            raise Refusal(_("Choose what to do with these tasks."))
        changed, said = verbs[do]({"actor": actor, "project": self.project, "tasks": tasks})
        if not changed.jobs:
            return said
        return _("%(n)s tasks are being changed, step by step. You can leave this page; it goes on.") % {
            "n": intcomma(changed.tasks)
        }

    def _assign(self, which: dict) -> tuple[Changed, str]:
        to = self.cleaned_data["to"]
        whom = whose(to)
        had = had_by(whom, which["tasks"]) if isinstance(whom, User) else []
        changed = actions.assign_tasks(**which, to=whom)
        name = dict(self.fields["to"].choices)[to]
        said = ngettext("%(n)d task is for %(name)s now.", "%(n)d tasks are for %(name)s now.", changed.tasks) % {
            "n": changed.tasks,
            "name": name,
        }
        if had:
            said += " " + ngettext(
                "Left out, for %(name)s has had it already: task %(tasks)s.",
                "Left out, for %(name)s has had them already: tasks %(tasks)s.",
                len(had),
            ) % {
                "name": name,
                "tasks": ", ".join(map(str, had[:NAMED_AT_MOST])) + (" …" if len(had) > NAMED_AT_MOST else ""),
            }
        return changed, said

    def _priority(self, which: dict) -> tuple[Changed, str]:
        priority = self._number("priority")
        changed = actions.set_priority(**which, priority=priority)
        return changed, ngettext(
            "%(n)d task has priority %(priority)d now.", "%(n)d tasks have priority %(priority)d now.", changed.tasks
        ) % {"n": changed.tasks, "priority": priority}

    def _overlap(self, which: dict) -> tuple[Changed, str]:
        overlap = self._number("overlap")
        changed = actions.set_overlap(**which, overlap=overlap)
        return changed, ngettext(
            "%(n)d task goes to so many people now: %(people)d. Rankings that are there already stay.",
            "%(n)d tasks go to so many people each now: %(people)d. Rankings that are there already stay.",
            changed.tasks,
        ) % {"n": changed.tasks, "people": overlap}

    def _batch(self, which: dict) -> tuple[Changed, str]:
        chosen, name = self.cleaned_data["batch"], self.cleaned_data["new_batch"].strip()
        if chosen and name:
            raise Refusal(_("Choose a batch or name a new one, not both."))
        if name:
            with transaction.atomic():
                batch = actions.create_batch(actor=which["actor"], project=self.project, name=name)
                changed = actions.put_in_batch(**which, batch=batch)
        else:
            batch = Batch.objects.get(pk=chosen, project=self.project) if chosen else None
            changed = actions.put_in_batch(**which, batch=batch)
        count = changed.tasks
        if batch is None:
            said = ngettext("%(n)d task is in no batch now.", "%(n)d tasks are in no batch now.", count) % {"n": count}
        else:
            said = ngettext(
                "%(n)d task is in the batch “%(batch)s” now.", "%(n)d tasks are in the batch “%(batch)s” now.", count
            ) % {"n": count, "batch": batch.name}
        return changed, said

    def _sensitive(self, which: dict) -> tuple[Changed, str]:
        sensitive = self.cleaned_data["sensitive"] == "yes"
        changed = actions.set_sensitive(**which, sensitive=sensitive)
        count = changed.tasks
        if sensitive:
            said = ngettext(
                "%(n)d task is marked as sensitive now.", "%(n)d tasks are marked as sensitive now.", count
            )
        else:
            said = ngettext("%(n)d task is not sensitive now.", "%(n)d tasks are not sensitive now.", count)
        return changed, said % {"n": count}

    def _number(self, name: str) -> int:
        value = self.cleaned_data[name]
        if value is None:
            raise Refusal(_("%(field)s: write a whole number.") % {"field": self.fields[name].label})
        return value


class KnownForm(forms.Form):
    """What is known about a task's answer: labeling.constraints reads the notation."""

    kind = forms.ChoiceField(
        label=gettext_lazy("What the task is for"),
        choices=[(kind, label) for kind, label in Task.Kind.choices if kind != Task.Kind.NORMAL],
        initial=Task.Kind.GOLD,
    )
    constraints = forms.CharField(
        label=gettext_lazy("What a good ranking keeps"),
        widget=forms.TextInput(
            attrs={"class": "mono", "spellcheck": "false", "autocomplete": "off", "autocapitalize": "characters"}
        ),
        help_text=gettext_lazy(
            "A > D: A must beat D. B >= C: B may not lose to C, a tie is allowed. B = C: they must tie. With commas between; a whole ranking is fine too."
        ),
        required=False,
    )
    explanation = forms.CharField(
        label=gettext_lazy("Why it is so"),
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text=gettext_lazy("Shown after a practice task. For gold and qualification tasks it is a note for you."),
    )


class ScorerForm(forms.Form):
    """Which reward model is asked: for its doubts, which put a queue in order, or for what it says against people."""

    version = forms.ModelChoiceField(
        label=gettext_lazy("Reward model"), queryset=Version.objects.none(), empty_label=gettext_lazy("Choose a model")
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = scorers()


class OrderForm(forms.Form):
    """The random share of a queue that goes by scores."""

    random_percent = forms.IntegerField(
        label=SETTINGS["random_percent"].label,
        help_text=SETTINGS["random_percent"].hint,
        min_value=0,
        max_value=100,
    )
