"""Forms of the labeling pages. They read the input and explain it; what is allowed is decided by the verbs."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from models_registry.models import Version
from models_registry.queries import writers
from people.models import User

from .datasets.files import SEPARATORS, Reading
from .datasets.kinds import COLUMNS
from .datasets.snapshot import Options
from .models import Dataset, Project, Split
from .sampling import Plan


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

    def __init__(self, *args, project: Project, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["versions"].queryset = writers()
        self.fields["outputs"].initial = project.outputs_per_task
        if self.fields["versions"].queryset.count() == 1:
            self.fields["versions"].initial = self.fields["versions"].queryset

    def plan(self) -> Plan:
        data = dict(self.cleaned_data)
        return Plan(versions=tuple(version.pk for version in data.pop("versions")), **data)


class SeveralFiles(forms.FileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One or several files; its value is a list."""

    widget = SeveralFiles

    def clean(self, data: list, initial: object = None) -> list:
        return [super(FilesField, self).clean(each, initial) for each in data or [None]]


class UploadForm(forms.Form):
    file = FilesField(
        label=_("Files"),
        help_text=_(
            "One or several, which become one data set: plain text, ABC, JSONL, JSON, CSV, TSV or Parquet. You see how they are read before anything "
            "is stored."
        ),
    )


class ReadingForm(forms.Form):
    """How to read a file as a data set: labeling.datasets.files.Reading, and the data set's name.

    `columns` are the columns that the file has; a field for each column of the kind asks which of them it is.
    """

    name = forms.CharField(label=_("Name"), max_length=120)
    kind = forms.ChoiceField(label=_("Kind"), choices=Dataset.Kind.choices)
    heldout_percent = forms.IntegerField(
        label=_("Held-out rows, in percent"),
        min_value=0,
        max_value=90,
        help_text=_(
            "Never trained on, so that models can be judged on them. Drawn by the content; a column “split” has the last word."
        ),
    )
    separator = forms.ChoiceField(
        label=_("Documents"), choices=[*SEPARATORS.items(), ("other", _("another text stands between them"))]
    )
    separator_text = forms.CharField(label=_("What stands between documents"), required=False, strip=False)
    header = forms.CharField(
        label=_("Column names"),
        required=False,
        help_text=_("Only if the first line holds data already: names with commas between them, such as text, label."),
    )

    def __init__(
        self, *args, plain_text: bool, table: bool, kind: str, separator: str, columns: list[str], **kwargs
    ) -> None:
        """`plain_text`, `table`: whether some of the files are plain text, CSV or TSV."""
        super().__init__(*args, **kwargs)
        if plain_text:
            self.fields["kind"].choices = [(Dataset.Kind.TEXT.value, Dataset.Kind.TEXT.label)]
        else:
            del self.fields["separator"]
        if not plain_text or separator != "other":
            del self.fields["separator_text"]
        if not table:
            del self.fields["header"]
        self.renames = COLUMNS.get(kind, []) if columns or not plain_text else []
        for own in self.renames:
            self.fields[f"column_{own}"] = forms.ChoiceField(
                label=gettext("Which column is “%(name)s”?") % {"name": own},
                choices=[("", "—"), *((name, name) for name in columns)],
                required=False,
            )
            self.fields[f"column_{own}"].unmarked = True

    def reading(self) -> Reading:
        data = self.cleaned_data
        separator = data.get("separator", "blank")
        return Reading(
            kind=data["kind"],
            separator=data.get("separator_text", "") if separator == "other" else separator,
            columns=tuple(name.strip() for name in data.get("header", "").split(",") if name.strip()),
            rename={own: theirs for own in self.renames if (theirs := data.get(f"column_{own}")) and theirs != own},
            heldout_percent=data["heldout_percent"],
        )


class FreezeForm(forms.Form):
    """A snapshot's name, and what goes into it besides the rankings that count: labeling.datasets.snapshot.Options."""

    name = forms.CharField(
        label=_("Name"), max_length=120, required=False, help_text=_("Left empty, it is the name of the project.")
    )
    spare = forms.BooleanField(
        label=_("Spare rankings too"),
        required=False,
        help_text=_("Rankings that came when all places of their task were taken."),
    )
    reviewed = forms.BooleanField(
        label=_("Tasks closed for review too"), required=False, help_text=_("Tasks that two people have flagged.")
    )
    turns = forms.BooleanField(
        label=_("A list of skips and flags beside it"),
        required=False,
        help_text=_("A second file, with every reason given."),
    )

    def options(self) -> Options:
        return Options(**{name: self.cleaned_data[name] for name in ("spare", "reviewed", "turns")})


@dataclass(frozen=True)
class Choice:
    """A radio button with a sentence and the number of rows that it gives; `rows` is by split."""

    name: str
    value: str
    title: str
    sentence: str
    checked: bool
    rows: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.rows.values())


class ExportForm(forms.Form):
    """What leaves the house, and in which shape. What is not given has a value all the same: an address can be short.

    `rows`: how many rows each choice gives, by split. All but the form itself is for a form that is valid.
    """

    WHAT = {
        "rankings": (
            _("Rankings"),
            _("Every ranking as it was given, ties and all; the format that runs are trained on here."),
        ),
        "pairs": (_("Preference pairs"), _("For TRL and other tools that compare two at a time.")),
        "acceptable": (_("Good enough or not"), _("One row an output, by the acceptability line; for KTO.")),
    }
    TIES = {
        "drop": (_("Leave ties out"), _("Only pairs with a winner are in the file.")),
        "both": (
            _("Two rows, one each way"),
            _("A tie is in the file twice, each output winning once: a loss reads that as one half."),
        ),
        "rows": (
            _("A label column"),
            _("Each pair is one row that says better, worse or tied; the tool that reads it must know the label."),
        ),
    }

    what = forms.ChoiceField(choices=[(key, key) for key in WHAT], required=False)
    ties = forms.ChoiceField(choices=[(key, key) for key in TIES], required=False)
    margin = forms.BooleanField(
        label=_("Add the margin"), required=False, help_text=_("A column with the distance between the two, in tiers.")
    )
    split = forms.ChoiceField(label=_("Split"), choices=[("", _("both splits")), *Split.choices], required=False)

    def __init__(self, data, *, rows: dict[str, dict[str, int]]) -> None:
        super().__init__(data)
        self.rows = rows
        self.fields["split"].unmarked = True

    def clean(self) -> dict:
        data = super().clean()
        return {**data, "what": data.get("what") or "rankings", "ties": data.get("ties") or "drop"}

    def query(self) -> str:
        """What the endpoint of `what` is asked for, without what goes without saying."""
        data = self.cleaned_data
        asked = {"split": data["split"]} if data["split"] else {}
        if data["what"] == "pairs":
            asked |= {"ties": data["ties"]} | ({"margin": "1"} if data["margin"] else {})
        return urlencode(asked)

    def what_choices(self) -> list[Choice]:
        return [
            choice
            for choice in self._choices("what", self.WHAT)
            if choice.value != "acceptable" or "acceptable" in self.rows
        ]

    def ties_choices(self) -> list[Choice]:
        return self._choices("ties", self.TIES)

    def _choices(self, name: str, texts: dict[str, tuple[str, str]]) -> list[Choice]:
        chosen = self.cleaned_data[name]
        return [
            Choice(name, value, title, sentence, value == chosen, self.rows.get(value, {}))
            for value, (title, sentence) in texts.items()
        ]

    def pair_totals(self) -> dict[str, int]:
        return {name: sum(self.rows.get(name, {}).values()) for name in ("strict", "tied", "identical")}

    def count(self) -> int:
        """The rows of what is chosen."""
        data = self.cleaned_data
        rows = self.rows.get(data["ties"] if data["what"] == "pairs" else data["what"], {})
        return rows.get(data["split"], 0) if data["split"] else sum(rows.values())
