"""Forms of a project: its settings, copies of it, settings files."""

import json
from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.models import Project
from labeling.project_settings import AT_ONCE, SETTINGS, bounds
from people import texts
from people.errors import Refusal

MOST_BYTES = 20 * 2**20


@dataclass(frozen=True)
class Group:
    """Fields under one heading. Those that a newcomer need not see are folded, unless something in them is set or wrong."""

    heading: object
    about: object
    fields: list[forms.BoundField]
    folded: bool
    open: bool
    page: str  # of what belongs to it: "questions", "known", "order" or ""


class ProjectForm(forms.ModelForm):
    """The settings of labeling.project_settings, in the units that people think in: minutes, percent."""

    lease_minutes = forms.IntegerField(
        label=_("Minutes a task is kept for one person"),
        min_value=1,
        max_value=7 * 24 * 60,
        initial=Project._meta.get_field("lease_seconds").default // 60,
        help_text=SETTINGS["lease_seconds"].hint,
    )
    gold_minimum_percent = forms.IntegerField(
        label=_("Gold answers kept, at least, in percent"),
        min_value=0,
        max_value=100,
        initial=round(100 * Project._meta.get_field("gold_minimum").default),
        help_text=_("Who keeps less in their last gold tasks gets a pause and is told kindly. 0 pauses nobody."),
    )
    qualification_minimum_percent = forms.IntegerField(
        label=_("Kept in the qualification, at least, in percent"),
        min_value=0,
        max_value=100,
        initial=round(100 * Project._meta.get_field("qualification_minimum").default),
        help_text=_("Who keeps less does not begin with the real tasks. It needs tasks marked as qualification."),
    )

    class Meta:
        model = Project
        fields = [
            "name", "description", "guidelines", "outputs_per_task", "overlap", "allow_partial", "acceptability_line", "open_to_all",
            "overlap_max", "contested_below", "gold_percent", "repeat_percent", "shows_agreement",
            "daily_goal", "content_warning", "random_percent", "heldout_percent",
        ]  # fmt: skip
        labels = {name: setting.label for name, setting in SETTINGS.items()}
        help_texts = {name: setting.hint for name, setting in SETTINGS.items()}
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "guidelines": forms.Textarea(attrs={"rows": 8}),
            "content_warning": forms.Textarea(attrs={"rows": 3}),
            "contested_below": forms.NumberInput(attrs={"step": "any"}),
        }

    # Heading, what it is about, fields, folded.
    GROUPS = [
        (_("About"), "", ["name", "description", "guidelines"], False),
        (_("Tasks"), "", ["outputs_per_task", "overlap"], False),
        (_("Answers"), "", ["allow_partial", "acceptability_line"], False),
        (_("People"), "", ["open_to_all"], False),
        (
            _("Ask more people where they disagree"),
            _("Stop early where people agree, go on where they do not."),
            ["overlap_max", "contested_below"],
            True,
        ),
        (
            _("Keep an eye on quality"),
            _("Gold tasks, a qualification, repeated tasks."),
            ["gold_percent", "gold_minimum_percent", "qualification_minimum_percent", "repeat_percent", "shows_agreement"],
            True,
        ),
        (
            _("Goals and warnings"),
            _("What people see before they begin, and how much is hoped for in a day."),
            ["daily_goal", "content_warning"],
            True,
        ),
        (
            _("Order, splits, time"),
            _("Which prompts are kept for judging models, what comes first, how long a task is kept."),
            ["heldout_percent", "random_percent", "lease_minutes"],
            True,
        ),
    ]  # fmt: skip
    PAGES = {
        "allow_partial": "questions",
        "gold_percent": "known",
        "heldout_percent": "order",
        "outputs_per_task": "tasks",
    }
    # Fields in another unit than the setting: field: (setting, units of the setting in one of the field's).
    UNITS = {
        "lease_minutes": ("lease_seconds", 60),
        "gold_minimum_percent": ("gold_minimum", 0.01),
        "qualification_minimum_percent": ("qualification_minimum", 0.01),
    }

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name, (setting, unit) in self.UNITS.items():
            if self.instance.pk:
                self.fields[name].initial = round(getattr(self.instance, setting) / unit)
        for name in self.Meta.fields:  # the browser, too, knows the bounds of the model
            self.fields[name].widget.attrs |= bounds(name)
        for name, field in self.fields.items():
            field.holds = SETTINGS[self.UNITS.get(name, (name, 1))[0]].holds if self.instance.pk else AT_ONCE
            field.holds_later = field.holds != AT_ONCE

    def groups(self) -> list[Group]:
        return [
            Group(
                heading,
                about,
                fields := [self[name] for name in names],
                folded,
                any(map(self._is_telling, fields)),
                self.PAGES.get(names[0], ""),
            )
            for heading, about, names, folded in self.GROUPS
        ]

    def _is_telling(self, field: forms.BoundField) -> bool:
        """Whether there is something to see: a value that somebody has set, or an error."""
        name = self.UNITS.get(field.name, (field.name, 1))[0]
        return bool(field.errors) or getattr(self.instance, name) != Project._meta.get_field(name).get_default()

    def settings(self) -> dict[str, object]:
        """The keyword arguments of create_project and change_project."""
        values = dict(self.cleaned_data)
        for name, (setting, unit) in self.UNITS.items():
            values[setting] = values.pop(name) * unit if unit >= 1 else round(values.pop(name) * unit, 4)
        return values


class CopyForm(forms.Form):
    """A copy of a project: its name, and whether tasks with a known answer come along."""

    name = forms.CharField(label=_("Name of the copy"), max_length=120)
    known_answers = forms.BooleanField(
        label=_("With the tasks whose answer is known: gold, practice, qualification"), required=False, initial=True
    )


class FileForm(forms.Form):
    """A settings file, as the page of copies writes it."""

    file = forms.FileField(
        label=_("Settings file"),
        widget=forms.FileInput(attrs={"accept": ".json,application/json"}),
        error_messages={"required": _("Choose a settings file."), "empty": _("The settings file is empty.")},
    )

    def content(self) -> object:
        """What the file holds; a Refusal if that is no JSON."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise Refusal(_("A settings file has at most %(n)d MB.") % {"n": MOST_BYTES // 2**20})
        try:
            content = json.loads(file.read().decode("utf-8-sig"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise Refusal(_("“%(name)s” is no JSON: %(error)s.") % {"name": file.name, "error": error}) from None
        texts.check(content)
        return content
