"""Forms of data sets: uploading one, freezing a snapshot, exporting."""

from dataclasses import dataclass, fields
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.datasets.files import SEPARATORS, Reading
from labeling.datasets.kinds import COLUMNS
from labeling.datasets.snapshot import BESIDE, INSTEAD, Options
from labeling.models import Dataset, Split


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
        label=_("Tasks closed for review too"),
        required=False,
        help_text=_("Tasks that two people have flagged, or that a reviewer has closed."),
    )
    adjudicated = forms.ChoiceField(
        label=_("What reviewers decided"),
        choices=[
            ("", _("leave it out")),
            (INSTEAD, _("instead of the rankings of its task")),
            (BESIDE, _("beside the rankings of its task")),
        ],
        required=False,
        help_text=_("The row's annotator is the reviewer, and it is marked."),
    )
    repeats = forms.BooleanField(
        label=_("Repeated judgements too"),
        required=False,
        help_text=_(
            "What people said when they were offered a task again, to see how far they agree with themselves."
        ),
    )
    gold = forms.BooleanField(
        label=_("Gold tasks too"), required=False, help_text=_("Their answer was known before; the rows are marked.")
    )
    weights = forms.BooleanField(
        label=_("Weigh rankings by reliability"),
        required=False,
        help_text=_("Else all weigh the same. The manifest says what each annotator weighs."),
    )
    turns = forms.BooleanField(
        label=_("A list of skips and flags beside it"),
        required=False,
        help_text=_("A second file, with every reason given."),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["adjudicated"].unmarked = True

    def options(self) -> Options:
        return Options(**{field.name: self.cleaned_data[field.name] for field in fields(Options)})


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
        "consensus": (
            _("Consensus"),
            _(
                "One row a task: the order nearest to all its rankings, how many those are, and the pairs they contest."
            ),
        ),
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
