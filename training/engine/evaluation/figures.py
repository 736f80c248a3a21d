"""The figures of each task, made from its rows: plain numpy, the same for a report, a comparison and a test. Light.

Rows of one prompt hang together: where rows name a `cluster`, intervals and tests draw whole clusters.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, Literal, TypedDict

import numpy as np

from ..intervals import bootstrap
from ..messages import _

Task = Literal["language", "classification", "preference"]
TASKS: tuple[Task, ...] = ("language", "classification", "preference")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """How answers are written and how rows go through the model; none of it changes what a figure means."""

    batch_size: int = 32
    resamples: int = 2000
    samples: int = 1
    max_tokens: int = 64
    temperature: float = 1.0


class Figure(TypedDict):
    """`low` and `high`: 95 % interval, None where there is too little to say; `n`: what was counted (rows, pairs, …)."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Evaluation:
    """`examples`: one dict a row, see figures_of. `extra`: what is no single number, such as the confusion matrix."""

    task: Task
    figures: dict[str, Figure]
    examples: list[dict[str, Any]]
    extra: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Without the examples."""
        return {"task": self.task, "figures": {name: dict(one) for name, one in self.figures.items()}, **self.extra}


@dataclass(frozen=True)
class Metric:
    """One figure: `parts(row)` gives what a row adds to above and below the line, None where it has no say; the figure is
    `finish(Σ above / Σ below)`. A figure that is no such ratio (macro-F1) is computed from labels instead: `parts` is None."""

    title: str
    better: Literal["high", "low"]
    task: Task
    parts: Callable[[Row], tuple[float, float] | None] | None
    finish: Callable[[np.ndarray], np.ndarray] = lambda ratio: ratio
    share: bool = False  # 0..1
    unit: str = ""


def _of(above: str, below: str) -> Callable[[Row], tuple[float, float] | None]:
    return lambda row: (row[above], row[below]) if row.get("tokens", row.get(below)) else None


def _mean(name: str) -> Callable[[Row], tuple[float, float] | None]:
    return lambda row: (row[name], 1.0) if row.get(name) is not None else None


METRICS: dict[str, Metric] = {
    "loss": Metric(_("Loss"), "low", "language", _of("nats", "tokens"), unit=_("nats a token")),
    "perplexity": Metric(
        _("Perplexity"), "low", "language", _of("nats", "tokens"), finish=lambda loss: np.exp(np.minimum(loss, 700.0))
    ),
    "bits_per_byte": Metric(
        _("Bits per byte"), "low", "language", _of("nats", "bytes"), finish=lambda nats: nats / log(2)
    ),
    "accuracy": Metric(
        _("Accuracy"), "high", "classification", lambda row: (row["prediction"] == row["label"], 1.0), share=True
    ),
    "macro_f1": Metric(_("Macro-F1"), "high", "classification", None, share=True),
    "log_loss": Metric(_("Log loss"), "low", "classification", _mean("log_loss"), unit=_("nats")),
    "pair_accuracy": Metric(_("Pair accuracy"), "high", "preference", _of("strict_right", "strict_pairs"), share=True),
    "tie_aware_accuracy": Metric(
        _("Pair accuracy with ties"), "high", "preference", _of("agree", "pairs"), share=True
    ),
    "reward": Metric(_("Mean reward"), "high", "preference", _mean("reward")),
    "win_rate": Metric(_("Win rate"), "high", "preference", _mean("win"), share=True),
}


def parts_of(metric: Metric, row: Row) -> tuple[float, float] | None:
    """What a row adds to a figure above and below the line; None where it has no say, as in a figure of another task."""
    try:
        return metric.parts(row) if metric.parts else None
    except KeyError:
        return None


def macro_f1(cells: np.ndarray, classes: int) -> np.ndarray:
    """(draws, rows) of cells label × classes + prediction → (draws,): the mean over the labels that occur, as label or as prediction,
    of 2·hits / (true + predicted); as scikit-learn's f1_score(average="macro")."""
    draws = len(cells)
    place = cells + np.arange(draws)[:, None] * classes * classes
    counts = np.bincount(place.ravel(), minlength=draws * classes * classes).reshape(draws, classes, classes)
    hits = np.einsum("dcc->dc", counts)
    size = counts.sum(1) + counts.sum(2)
    f1 = np.divide(2.0 * hits, size, out=np.zeros(size.shape), where=size > 0)
    return f1.sum(1) / np.maximum((size > 0).sum(1), 1)


def labels_in(rows: Sequence[Row]) -> list[str]:
    """Every label that rows name, given or predicted, in alphabetical order."""
    return sorted({row[key] for row in rows for key in ("label", "prediction")})


def clusters_of(rows: Sequence[Row]) -> np.ndarray:
    """(rows,) number of each row's cluster, in order of appearance; each row is its own where none is named."""
    place: dict[Any, int] = {}
    return np.array([place.setdefault(row.get("cluster", ("row", i)), len(place)) for i, row in enumerate(rows)])


def figures_of(task: Task, rows: Sequence[Row], *, resamples: int = 2000, seed: int = 0) -> dict[str, Figure]:
    """Every figure of the task that these rows can say something about, each with its interval over rows (or clusters of rows).

    Rows of language: nats, tokens, bytes. Of classification: label, prediction, log_loss. Of preference: cluster, pairs, strict_pairs,
    strict_right, agree, and for written answers reward, win.
    """
    found: dict[str, Figure] = {}
    for name, metric in METRICS.items():
        if metric.task != task:
            continue
        counted = statistic_of(metric, rows)
        if counted is None:
            continue
        statistic, clusters, n = counted
        low, high = bootstrap(statistic, clusters, resamples=resamples, seed=seed)
        value = float(statistic(np.arange(clusters)[None])[0])
        found[name] = Figure(value=value, low=low, high=high, n=n)
    return found


def statistic_of(metric: Metric, rows: Sequence[Row]) -> tuple[Callable[[np.ndarray], np.ndarray], int, int] | None:
    """A metric as a function of drawn clusters, (draws, n) → (draws,); with how many clusters there are, and what was counted."""
    if metric.parts is None:
        if not rows:
            return None
        names = {label: number for number, label in enumerate(labels_in(rows))}
        cells = np.array([names[row["label"]] * len(names) + names[row["prediction"]] for row in rows])
        return (lambda drawn: macro_f1(cells[drawn], len(names))), len(rows), len(rows)
    parts = [(row, part) for row in rows if (part := metric.parts(row)) is not None]
    if not parts:
        return None
    cluster = clusters_of([row for row, _part in parts])
    sums = [np.bincount(cluster, [part[side] for _row, part in parts]) for side in (0, 1)]
    above, below = sums
    n = round(below.sum()) if metric.share else len(parts)
    return (lambda drawn: metric.finish(above[drawn].sum(1) / below[drawn].sum(1))), len(above), n
