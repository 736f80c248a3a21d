"""The table of a comparison: what each method gives and what it costs, read from the evaluations' files, the runs' folders and the registry.

With several seeds a row holds means over them; its interval is the mean of theirs, and two methods are compared seed by seed, the p-values
merged as twice their mean (Vovk and Wang 2020, Combining p-values via averaging), which holds however the seeds hang together.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import mean
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from models_registry.models import Kind, Version

from .. import queries as run_queries
from .. import reading
from ..engine.evaluation import METRICS, Metric, paired
from ..failures import said
from ..models import Run
from .actions import judged
from .floor import LargestClass, largest_class
from .models import Comparison, Entry, Task, Trial
from .names import names

RESAMPLES = 1000
BASE, BEST = "base", "best"  # what differences may be to, besides the number of an entry
# Column → what sorts it.
COLUMNS = {
    "method": gettext_noop("Method"),
    "quality": gettext_noop("Quality"),
    "difference": gettext_noop("Difference"),
    "trained": gettext_noop("Trained parameters"),
    "share": gettext_noop("Share"),
    "size": gettext_noop("On disk"),
    "seconds": gettext_noop("Wall time"),
    "memory": gettext_noop("Peak memory"),
    "speed": gettext_noop("Tokens a second"),
    "serving": gettext_noop("To serve"),
}


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `spread`: its smallest and largest value over the seeds, where there are several."""

    value: float
    low: float | None = None
    high: float | None = None
    spread: tuple[float, float] | None = None
    n: int | None = None


@dataclass(frozen=True)
class Contrast:
    """The difference to another method, with its interval and the p-value of the paired test."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    test: str

    @property
    def is_clear(self) -> bool:
        return self.p is not None and self.p < 0.05


class Attempt:
    """One trial as the table sees it."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.seed = trial.seed
        self.run: Run | None = trial.run
        self.evaluation: Run | None = trial.evaluation

    @property
    def phase(self) -> str:
        """not_begun, training, judging, done, failed or stopped."""
        if self.trial.problems:
            return "failed"
        for run, active in ((self.run, "training"), (self.evaluation, "judging")):
            if run is None:
                continue
            if run.state in (Run.State.FAILED, Run.State.REFUSED):
                return "failed"
            if run.state == Run.State.STOPPED:
                return "stopped"
            if run.is_active:
                return active
            if run.errors and not (run is self.evaluation or run.produced_id):
                return "failed"  # complete, and not registered
        if self.evaluation:
            return "done" if self.figures else "failed"
        if self.run:
            return "stopped" if self.trial.entry.comparison.cancelled else "judging"
        return "not_begun"

    @property
    def active_run(self) -> Run | None:
        return next((run for run in (self.run, self.evaluation) if run and run.is_active), None)

    @property
    def problems(self) -> list[str]:
        if self.phase != "failed":
            return []
        found = [
            *self.trial.problems,
            *(line for run in (self.run, self.evaluation) if run for line in said(run.errors)),
        ]
        return found or [_("The evaluation left no figures.")]

    @cached_property
    def notes(self) -> list[str]:
        """What its training and its evaluation warned of, each once."""
        found = [message for run in (self.run, self.evaluation) if run for message in reading.warnings(run.folder)]
        return list(dict.fromkeys(said(found)))

    @property
    def version(self) -> Version | None:
        return judged(self.trial)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        if self.evaluation is None or self.evaluation.state != Run.State.COMPLETE:
            return {}
        return reading.metrics(self.evaluation.folder)

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        return self.metrics.get("figures", {})

    @property
    def predictions(self) -> Path | None:
        """The file of what was said about each row."""
        path = self.evaluation.folder / "output" / "predictions.jsonl" if self.evaluation else None
        return path if path and self.figures and path.exists() else None

    @cached_property
    def status(self) -> dict[str, Any]:
        return run_queries.status(self.run) if self.run and self.run.state == Run.State.COMPLETE else {}


class Row:
    """One method."""

    def __init__(self, entry: Entry, label: str, trials: list[Trial]) -> None:
        self.entry = entry
        self.label = label
        self.attempts = [Attempt(trial) for trial in trials]
        self.number = entry.position
        self.contrasts: dict[str, dict[str, Contrast]] = {}  # against base or best: metric → difference

    @property
    def is_base(self) -> bool:
        return not self.entry.method

    @cached_property
    def done(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.phase == "done"]

    @property
    def is_live(self) -> bool:
        return any(attempt.phase in ("training", "judging") for attempt in self.attempts)

    @property
    def notes(self) -> list[str]:
        """What its runs warned of; with several seeds each says where."""
        if len(self.attempts) == 1:
            return self.attempts[0].notes
        seeds: dict[str, list[str]] = {}
        for attempt in self.attempts:
            for note in attempt.notes:
                seeds.setdefault(note, []).append(str(attempt.seed))
        return [
            _("%(note)s (seed %(seeds)s)") % {"note": note, "seeds": ", ".join(which)} for note, which in seeds.items()
        ]

    @property
    def version(self) -> Version | None:
        return next((attempt.version for attempt in self.attempts if attempt.version), None)

    def figure(self, metric: str) -> Estimate | None:
        found = [attempt.figures[metric] for attempt in self.done if metric in attempt.figures]
        if not found:
            return None
        values = [each["value"] for each in found]
        return Estimate(
            mean(values),
            _mean(each["low"] for each in found),
            _mean(each["high"] for each in found),
            (min(values), max(values)) if len(values) > 1 else None,
            found[0].get("n"),
        )

    def against(self, other: "Row", only: str = "") -> dict[str, Contrast]:
        """Every figure that both have, or `only` one, seed by seed; the base, judged once, stands for all seeds."""
        by_seed = {attempt.seed: attempt for attempt in other.done}
        alone = other.done[0] if len(other.attempts) == 1 and other.done else None
        found: dict[str, list[Mapping]] = {}
        for mine in self.done:
            theirs = by_seed.get(mine.seed) or alone
            if theirs is None or not mine.predictions or not theirs.predictions:
                continue
            for name, difference in _paired(mine.predictions, theirs.predictions, only).items():
                found.setdefault(name, []).append(difference)
        return {name: _merged(each) for name, each in found.items()}

    # What it costs ----------------------------------------------------------------------------------------------------

    @property
    def trained(self) -> int | None:
        if self.is_base or (self.version and self.version.kind == Kind.HARD_PROMPT):
            return 0
        return self.version.trained_parameters if self.version else None

    @property
    def share(self) -> float | None:
        """Of all parameters that are loaded, those that were trained."""
        return (
            self.trained / self.version.parameters
            if self.trained is not None and self.version and self.version.parameters
            else None
        )

    @property
    def size(self) -> int | None:
        """Bytes of the version's own folder."""
        return self.version.size if self.version else None

    @property
    def seconds(self) -> float | None:
        return _mean(attempt.status.get("wall_s") for attempt in self.attempts)

    @property
    def memory(self) -> float | None:
        """Peak bytes while training: of the GPU where there is one, else of the process."""
        return _mean(a.status.get("peak_gpu_memory") or a.status.get("peak_memory") for a in self.attempts)

    @property
    def speed(self) -> float | None:
        """Tokens a second of training, everything included."""
        return _mean(
            attempt.status["tokens_seen"] / attempt.status["wall_s"]
            for attempt in self.attempts
            if attempt.status.get("wall_s") and attempt.status.get("tokens_seen")
        )

    @property
    def needs_own_base(self) -> bool | None:
        """Whether serving it loads a whole model of its own; else one loaded base serves it along with others."""
        if self.is_base or not self.version:
            return None
        return self.version.kind == Kind.FULL

    @property
    def serving(self) -> str:
        if self.is_base:
            return _("the base")
        if self.needs_own_base is None:
            return ""
        return _("a base of its own") if self.needs_own_base else _("one base for all")


class Table:
    """`metric`, `sort` (a column, with - in front: largest first) and `to` (base, best or an entry's number) come from the address."""

    def __init__(self, comparison: Comparison, *, metric: str = "", sort: str = "", to: str = "") -> None:
        self.comparison = comparison
        trials: dict[int, list[Trial]] = {}
        entries = list(comparison.entries.all())
        found = Trial.objects.filter(entry__comparison=comparison).select_related(
            "run__produced__model", "evaluation", "entry__comparison__base__model"
        )
        for trial in found:
            trials.setdefault(trial.entry_id, []).append(trial)
        for entry in entries:
            entry.comparison = comparison
        called = names(entries)
        self._rows = [Row(entry, called[entry.position], trials.get(entry.pk, [])) for entry in entries]
        self.metrics = [
            name
            for name, one in METRICS.items()
            if one.task == comparison.task and any(row.figure(name) for row in self._rows)
        ]
        known = [name for name, one in METRICS.items() if one.task == comparison.task]
        self.metric = metric if metric in self.metrics else (self.metrics or known)[0]
        self.sort = sort if sort.removeprefix("-") in COLUMNS else ""
        self.reference = self._reference(to)
        usual = BASE if self.base else BEST
        self.to = to if self.reference and to in (BEST, str(self.reference.number)) else usual

    @property
    def measure(self) -> Metric:
        return METRICS[self.metric]

    def metric_title(self, name: str) -> str:
        return _(METRICS[name].title)

    @property
    def base(self) -> Row | None:
        return next((row for row in self._rows if row.is_base), None)

    @cached_property
    def best(self) -> Row | None:
        judged = [row for row in self._rows if row.figure(self.metric)]
        if not judged:
            return None
        take = max if self.measure.better == "high" else min
        return take(judged, key=lambda row: row.figure(self.metric).value)

    def _reference(self, to: str) -> Row | None:
        if to.isdecimal():
            return next((row for row in self._rows if row.number == int(to)), None)
        return self.best if to == BEST or self.base is None else self.base

    def quality(self, row: Row) -> Estimate | None:
        return row.figure(self.metric)

    def difference(self, row: Row, to: Row | None = None) -> Contrast | None:
        """To the reference, or to another row."""
        other = to or self.reference
        return row.against(other, self.metric).get(self.metric) if other and other is not row else None

    @cached_property
    def rows(self) -> list[Row]:
        """Sorted; what has no value there yet comes last."""
        column = self.sort.removeprefix("-")
        if not column:
            return self._rows
        known = [row for row in self._rows if self.value(row, column) is not None]
        rest = [row for row in self._rows if self.value(row, column) is None]
        return sorted(known, key=lambda row: self.value(row, column), reverse=self.sort.startswith("-")) + rest

    def value(self, row: Row, column: str) -> Any:
        """What a column sorts by."""
        if column == "quality":
            return estimate.value if (estimate := self.quality(row)) else None
        if column == "difference":
            return contrast.value if (contrast := self.difference(row)) else None
        if column == "method":
            return row.label.lower()
        if column == "serving":
            return None if row.needs_own_base is None else (row.needs_own_base, row.size or 0)
        return getattr(row, column)

    @cached_property
    def largest_class(self) -> LargestClass | None:
        """What a classifier has to beat; no model, and no row of its own among the methods."""
        return largest_class(self.comparison.dataset) if self.comparison.task == Task.CLASSIFICATION else None

    @property
    def floor(self) -> Estimate | None:
        """The quality of the largest class; None where it has none, as it gives no probabilities."""
        figure = self.largest_class.figures.get(self.metric) if self.largest_class else None
        return Estimate(figure["value"], figure["low"], figure["high"], n=figure["n"]) if figure else None

    @property
    def is_live(self) -> bool:
        return bool(self.comparison.started_at) and any(row.is_live for row in self._rows)

    @property
    def has_stopped(self) -> bool:
        """Whether something could be gone on with."""
        return any(attempt.phase in ("failed", "stopped") for row in self._rows for attempt in row.attempts)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _merged(each: list[Mapping]) -> Contrast:
    ps = [one["p"] for one in each if one["p"] is not None]
    p = None if not ps else ps[0] if len(ps) == 1 else min(1.0, 2 * mean(ps))
    values = (_mean(one[key] for one in each) for key in ("difference", "low", "high"))
    return Contrast(*values, p, each[0]["test"])


def rows_of(path: Path) -> list[dict[str, Any]]:
    """What an evaluation said about each row of the held-out split."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _paired(a: Path, b: Path, only: str) -> dict[str, Mapping]:
    return _known_pair(a, a.stat().st_mtime_ns, b, b.stat().st_mtime_ns, only)


@lru_cache(maxsize=1024)
def _known_pair(a: Path, _a_changed: int, b: Path, _b_changed: int, only: str) -> dict[str, Mapping]:
    """The files of an evaluation never change, and the tests take their time: each pair is computed once a process."""
    try:
        return paired(rows_of(a), rows_of(b), only=only, resamples=RESAMPLES)
    except ValueError:  # not about the same rows: an evaluation that was begun by other means
        return {}
