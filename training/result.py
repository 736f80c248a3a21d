"""What a finished run found: its figures as one table, each with its interval and its value at the start where there is one; a classifier's
confusion matrix and classes; and what was proved about the weights that did not move.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from .curves import CLASSIFYING, HELDOUT, title_of
from .curves import NAMES as CURVE_NAMES
from .engine.evaluation import METRICS
from .fields import flat

LOW, HIGH, START = "_low", "_high", "_start"
# Shown in another way: at the head of the page, as a setting, as a sentence, a matrix or a table of their own.
ELSEWHERE = {
    "trained_parameters", "total_parameters", "loss", "tokens_seen", "task", "figures", "labels", "confusion", "classes", "untouched",
    "base_sha256_before", "base_sha256_after", "peak_memory", "peak_gpu_memory", "memory_estimate", "annotator_scales", "judged",
}  # fmt: skip
HEATS = 9  # shades of a confusion matrix besides none
# The order of this table is the order on the page; then come the names of the curves, then all others under their own name.
NAMES = {
    "win_rate": (gettext_noop("Wins over the start"), gettext_noop("Share of held-out prompts whose answer scores better than the start's; a tie is half.")),
    "wins": (gettext_noop("Prompts won"), ""),
    "ties": (gettext_noop("Prompts tied"), ""),
    "losses": (gettext_noop("Prompts lost"), ""),
    "accuracy": (gettext_noop("Pair accuracy"), gettext_noop("Share of held-out strict pairs that the scores put in the right order.")),
    "tie_aware_accuracy": (gettext_noop("Pair accuracy with ties"), gettext_noop("A tie is right where two scores lie closer than the tie threshold (Deutsch et al. 2023).")),
    "log_loss": (gettext_noop("Log loss"), gettext_noop("On held-out rankings, in nats a comparison.")),
    "log_loss_three_way": (gettext_noop("Log loss of better, tied, worse"), gettext_noop("On held-out pairs, with the ties; in nats.")),
    "log_loss_averaged": (gettext_noop("The same, heads averaged"), gettext_noop("With the mean of what each head finds likely, in place of their mean score.")),
    "log_loss_chance": (gettext_noop("The same by chance"), gettext_noop("By the shares of ties and strict pairs alone.")),
    "error_auc": (gettext_noop("Doubts about wrong pairs"), gettext_noop("How often the heads doubt a pair in the wrong order more than one in the right order (AUROC); 0.5 is chance.")),
    "spread_auc": (gettext_noop("Spread at wrong pairs"), gettext_noop("The same by the standard deviation between the heads alone, which grows with the difference of the scores.")),
    "closeness_auc": (gettext_noop("Close scores of wrong pairs"), gettext_noop("The same by how close the two scores are, which one head knows too.")),
    "ensemble": (gettext_noop("Heads"), gettext_noop("Their mean is the score; how far they stand apart is how unsure it is.")),
    "longer_accuracy": (gettext_noop("Pair accuracy of “the longer wins”"), gettext_noop("A reward model should know more than this.")),
    "length_slope": (gettext_noop("Length bias"), gettext_noop("How many standard deviations the score of an answer rises when it is twice as long; empty where lengths hardly differ.")),
    "theta": (gettext_noop("Tie parameter θ"), gettext_noop("How easily people see a tie; 1 means never.")),
    "nu": (gettext_noop("Tie parameter ν"), gettext_noop("Odds of a tie against either winning, between equals; 0 means never.")),
    **{
        f"delta_{size}": (f"δ{sub}", gettext_noop("Of Plackett–Luce: how easily so many outputs are best together."))
        for size, sub in enumerate("₂₃₄₅₆₇₈₉", 2)
    },
    "line_score": (gettext_noop("Score of the line"), gettext_noop("Above it an answer is good enough.")),
    "tie_threshold": (gettext_noop("Tie threshold"), gettext_noop("Scores closer than this are called a tie.")),
    "loss_under_base": (gettext_noop("Loss under the start"), gettext_noop("How likely the start finds the answers, in nats a token; far above its own means strange text.")),
    "heldout_prompts": (gettext_noop("Held-out prompts"), ""),
    "heldout_rankings": (gettext_noop("Held-out rankings"), ""),
    "heldout_strict_pairs": (gettext_noop("Held-out strict pairs"), ""),
    "heldout_tied_pairs": (gettext_noop("Held-out tied pairs"), ""),
    "train_rankings": (gettext_noop("Training rankings"), ""),
    "score_mean": (gettext_noop("Raw score, mean"), gettext_noop("On the training rankings; scores are given less this mean.")),
    "score_std": (gettext_noop("Raw score, standard deviation"), gettext_noop("Scores are given in units of this.")),
    "rows": (gettext_noop("Rows judged"), ""),
    "seconds": (gettext_noop("Seconds"), gettext_noop("For the whole of it.")),
    "rows_per_s": (gettext_noop("Rows per second"), ""),
    "heldout_texts": (gettext_noop("Held-out texts"), ""),
    "train_texts": (gettext_noop("Training texts"), ""),
    "split": (gettext_noop("Rows"), ""),
    "best_step": (gettext_noop("Best update"), gettext_noop("The one whose weights were kept.")),
    "steps": (gettext_noop("Updates planned"), ""),
    "updates": (gettext_noop("Updates"), ""),
    "episodes": (gettext_noop("Episodes"), gettext_noop("Answers that the model wrote to learn from.")),
    "prompt_shared": (gettext_noop("Prompt computed once"), ""),
}  # fmt: skip
# How much was judged, and what it cost, comes behind what came of it.
_COST = dict.fromkeys([*list(NAMES)[list(NAMES).index("rows") :], "tokens_per_s"])
_FIGURES = [name for name in (*NAMES, *CURVE_NAMES, *CLASSIFYING) if name not in _COST]
_ORDER = {name: place for place, name in enumerate(dict.fromkeys([*_FIGURES, *_COST]))}


@dataclass(frozen=True)
class Figure:
    name: str
    title: str
    hint: str
    value: Any
    start: Any = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Cell:
    """`share` of the texts of this label; `heat` 0..HEATS is how dark it is drawn."""

    count: int
    share: float
    is_right: bool

    @property
    def heat(self) -> int:
        return round(HEATS * self.share)


@dataclass(frozen=True)
class Confusion:
    """Rows are the labels that the texts have, columns those that they were given."""

    labels: list[str]
    matrix: list[list[int]]

    @property
    def rows(self) -> list[tuple[str, list[Cell], int]]:
        """(label, a cell for each label that was given, how many texts have it)."""
        found = []
        for place, (label, counts) in enumerate(zip(self.labels, self.matrix, strict=True)):
            total = sum(counts)
            cells = [Cell(n, n / total if total else 0.0, place == given) for given, n in enumerate(counts)]
            found.append((label, cells, total))
        return found


@dataclass(frozen=True)
class Result:
    figures: list[Figure]
    confusion: Confusion | None = None
    classes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # {label: {precision, recall, f1, texts}}
    proofs: list[tuple[bool, str]] = field(default_factory=list)  # (whether it is as it should be, a sentence)

    @property
    def has_start(self) -> bool:
        return any(figure.start is not None for figure in self.figures)

    @property
    def has_hint(self) -> bool:
        return any(figure.hint for figure in self.figures)

    @property
    def has_interval(self) -> bool:
        return any(figure.interval for figure in self.figures)


def result(metrics: Mapping[str, Any]) -> Result:
    """`x_low`, `x_high` and `x_start` of metrics.json belong to `x`."""
    matrix = metrics.get("confusion")
    classifying = bool(matrix) or metrics.get("task") == "classification"
    values = dict(flat({name: value for name, value in metrics.items() if name not in ELSEWHERE}))
    parts = {name + end for name in values for end in (LOW, HIGH, START)}
    figures = [
        Figure(
            name,
            _title(name, classifying),
            _hint(name, classifying),
            _shown(value),
            values.get(name + START),
            (values[name + LOW], values[name + HIGH]) if values.get(name + LOW) is not None else None,
        )
        for name, value in values.items()
        if name not in parts and not isinstance(value, list)
    ]
    figures.sort(key=lambda figure: _place(figure.name))
    return Result(
        [*_evaluated(metrics.get("figures") or {}), *figures],
        Confusion(list(matrix["labels"]), matrix["matrix"]) if matrix else None,
        metrics.get("classes") or {},
        list(_proofs(metrics)),
    )


def _shown(value: Any) -> Any:
    words = {True: _("yes"), False: _("no"), "heldout": _("held out"), "train": _("training"), "all": _("all")}
    return words.get(value, value) if isinstance(value, bool | str) else value


def _evaluated(figures: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """The figures of an evaluation, in the order in which it gives them; `n` is what was counted."""
    found = []
    for name, figure in figures.items():
        metric = METRICS.get(name)
        title = _(metric.title) if metric else title_of(name)
        counted = _("of %(count)s") % {"count": intcomma(figure["n"])} if figure.get("n") is not None else ""
        unit = _(metric.unit) if metric and metric.unit else ""
        interval = (figure["low"], figure["high"]) if figure.get("low") is not None else None
        found.append(Figure(name, title, ", ".join(filter(None, [unit, counted])), figure["value"], None, interval))
    return found


def _proofs(metrics: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """What the run checked of the weights that were not to move."""
    if (untouched := metrics.get("untouched")) and untouched["tensors"]:
        same = untouched["identical"] == untouched["tensors"]
        text = _("%(identical)s of %(tensors)s frozen tensors are bit for bit what they were.")
        yield same, text % {"identical": intcomma(untouched["identical"]), "tensors": intcomma(untouched["tensors"])}
    if before := metrics.get("base_sha256_before"):
        if before == metrics.get("base_sha256_after"):
            text = _("The files of the model it started from are the same before and after (sha256 %(hash)s…).")
            yield True, text % {"hash": _short(before)}
        else:
            yield False, _("The files of the model it started from changed while the run went on.")


def _short(digest: Any) -> str:
    """The beginning of a hash, or of the last of several."""
    return str(digest[-1] if isinstance(digest, list) else digest)[:12]


def _place(name: str) -> int:
    """Where a figure stands in the table; a held-out one where the same of the training would."""
    return _ORDER.get(name, _ORDER.get(name.removeprefix(HELDOUT), len(_ORDER)))


def _title(name: str, classifying: bool) -> str:
    if name in NAMES and not (classifying and name in CLASSIFYING):
        return _(NAMES[name][0])
    return " · ".join(title_of(part, classifying) for part in name.split("."))


def _hint(name: str, classifying: bool) -> str:
    hint = (CLASSIFYING.get(name) if classifying else None) or NAMES.get(name) or CURVE_NAMES.get(name) or ("", "")
    return _(hint[1]) if hint[1] else ""
