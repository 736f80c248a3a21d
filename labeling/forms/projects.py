"""Forms of a project: its settings, who takes part."""

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.models import Project
from people.models import User


class ProjectForm(forms.ModelForm):
    lease_minutes = forms.IntegerField(
        label=_("Minutes a task is kept for one person"),
        min_value=1,
        max_value=7 * 24 * 60,
        initial=Project._meta.get_field("lease_seconds").default // 60,
        help_text=_(
            "Counted from their last activity; then the task is offered to others. A ranking that comes later is kept all the same."
        ),
    )

    class Meta:
        model = Project
        fields = [
            "name", "description", "guidelines",
            "outputs_per_task", "overlap", "heldout_percent",
            "allow_partial", "acceptability_line", "open_to_all",
        ]  # fmt: skip
        labels = {
            "name": _("Name"),
            "description": _("What it is for"),
            "guidelines": _("Guidelines for annotators"),
            "outputs_per_task": _("Outputs per task"),
            "overlap": _("People per task"),
            "heldout_percent": _("Held-out prompts, in percent"),
            "allow_partial": _("A ranking may leave outputs out"),
            "acceptability_line": _("Ask where “good enough” ends"),
            "open_to_all": _("Everyone who can sign in may rank"),
        }
        help_texts = {
            "description": _("One or two sentences, shown in the list of projects."),
            "guidelines": _(
                "In Markdown; annotators open them with a key while they rank. Say what makes an output better, and when two are equal."
            ),
            "outputs_per_task": _(
                "From 2 to 9. Four is a good start: one ranking of four says as much as six comparisons of two."
            ),
            "overlap": _(
                "How many people rank the same task. With two or more you can see how far they agree, and how well a model could do at best."
            ),
            "heldout_percent": _(
                "This share of the prompts is never trained on, so that models can be judged on it. Which prompts depends on their text alone."
            ),
            "allow_partial": _(
                "“The best two of nine” then counts as an answer. Nothing is assumed about what is left out."
            ),
            "acceptability_line": _(
                "Annotators may draw a line: outputs above it are good enough, those below are not."
            ),
            "open_to_all": _("Otherwise only the people you add to the project."),
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "guidelines": forms.Textarea(attrs={"rows": 8}),
        }

    # Which fields stand under which heading.
    GROUPS = [
        (_("About"), ["name", "description", "guidelines"]),
        (_("Tasks"), ["outputs_per_task", "overlap", "heldout_percent", "lease_minutes"]),
        (_("Answers"), ["allow_partial", "acceptability_line"]),
        (_("People"), ["open_to_all"]),
    ]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["lease_minutes"].initial = max(1, round(self.instance.lease_seconds / 60))
        for name in (
            "outputs_per_task",
            "overlap",
            "heldout_percent",
        ):  # the browser, too, knows the bounds of the model
            for validator in Project._meta.get_field(name).validators:
                if validator.code in {"min_value", "max_value"}:
                    self.fields[name].widget.attrs[validator.code.removesuffix("_value")] = validator.limit_value

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(heading, [self[name] for name in names]) for heading, names in self.GROUPS]

    def settings(self) -> dict[str, object]:
        """The keyword arguments of create_project and change_project."""
        values = dict(self.cleaned_data)
        values["lease_seconds"] = values.pop("lease_minutes") * 60
        return values


class MembersForm(forms.Form):
    """Those who can sign in already and do not belong to the project yet."""

    people = forms.ModelMultipleChoiceField(
        label=_("People"),
        queryset=User.objects.none(),
        widget=forms.CheckboxSelectMultiple(attrs={"class": "choices"}),
        error_messages={"required": _("Choose at least one person.")},
    )

    def __init__(self, *args, people, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["people"].queryset = people
