"""Several runs over one another: a chart a curve with a line a run, the settings in which they differ, their figures side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from numpy import interp

from . import charts, reading
from .charts import Line, Plot
from .curves import COUNTERS, HELDOUT, MACHINERY, in_reading_order, is_classifying, title_of
from .engine import methods
from .fields import all_leaves, fields_of, flat
from .models import Run
from .result import Figure, result

MOST_RUNS = len(charts.RUN_COLOURS)
SMOOTHINGS = (0.0, 0.5, 0.8, 0.95)
AXES = ("step", "time")


@dataclass(frozen=True)
class Chart:
    """One curve of all runs. `last`: each run's newest value, None where it has no such curve."""

    name: str
    title: str
    svg: SafeString
    last: list[float | None]


@dataclass(frozen=True)
class Row:
    """One setting or figure: what it is called, and its value in each run."""

    title: str
    values: list[Any]
    hint: str = ""


class Overlay:
    """`axis` is step or time (seconds of work, in minutes on the chart); `smoothing` 0..1, a share of the running mean that is kept."""

    def __init__(self, runs: Sequence[Run], *, axis: str = "step", smoothing: float = 0.0) -> None:
        self.runs = list(runs)
        self.axis = axis
        self.smoothing = smoothing
        self._events = [reading.events(run.folder) for run in self.runs]

    @cached_property
    def charts(self) -> list[Chart]:
        """Those that at least one run has; what is of interest only when something is wrong comes last."""
        names = {name for events in self._events for name, series in events.series.items() if series.points}
        names = [name for name in in_reading_order(names) if name not in COUNTERS]
        plots = [self._plot(name) for name in names]
        classifying = is_classifying(names, [run.method for run in self.runs])
        return [
            Chart(name, title_of(name, classifying), svg, [events.latest.get(name) for events in self._events])
            for name, svg in zip(names, charts.draw(plots), strict=True)
        ]

    @property
    def first_charts(self) -> list[Chart]:
        return [chart for chart in self.charts if not _is_machinery(chart.name)]

    @property
    def folded_charts(self) -> list[Chart]:
        return [chart for chart in self.charts if _is_machinery(chart.name)]

    def _plot(self, name: str) -> Plot:
        return Plot(tuple(self._line(events, name) for events in self._events), self._end, of_runs=True)

    @cached_property
    def _end(self) -> float:
        """Where all charts end on the right: the same scale for each of them."""
        return max((self._place(events, [events.step])[0] for events in self._events), default=1.0)

    def _line(self, events: reading.Events, name: str) -> Line:
        series = events.series.get(name)
        if series is None:
            return ()
        places = self._place(events, [step for step, _value in series.points])
        values = smoothed([value for _step, value in series.points], self.smoothing)
        return tuple(zip(places, values, strict=True))

    def _place(self, events: reading.Events, steps: list[float]) -> list[float]:
        """Where steps lie on the axis: themselves, or the minutes of work until then."""
        if self.axis == "step" or not events.clock:
            return [float(step) for step in steps]
        known, seconds = zip(*events.clock, strict=True)
        return [float(place) / 60 for place in interp(steps, known, seconds)]

    # Side by side ---------------------------------------------------------------------------------------------------

    @property
    def facts(self) -> list[Row]:
        """What was put in: method, inputs, seed; those in which the runs differ."""
        rows = [
            Row(_("Method"), [run.method_title for run in self.runs]),
            Row(_("Seed"), [run.seed for run in self.runs]),
        ]
        inputs = [{each.role: str(each.version or each.dataset) for each in run.inputs.all()} for run in self.runs]
        for role in dict.fromkeys(role for given in inputs for role in given):
            rows.append(Row(self._title_of_input(role), [given.get(role) for given in inputs]))
        return _differing(rows)

    def _title_of_input(self, role: str) -> str:
        for run in self.runs:
            if run.method in methods.names() and (takes := methods.facts_of(run.method).inputs.get(role)):
                return _(takes.title)
        return role

    @property
    def settings(self) -> list[Row]:
        """The settings in which the runs differ."""
        known: dict[str, Any] = {}
        kinds: dict[str, Any] = {}  # a method with a single kind has a field where the others have a choice
        for run in self.runs:
            if run.method in methods.names():
                fields = fields_of(methods.config_of(run.method))
                known |= {each.path: each for each in all_leaves(fields)}
                kinds |= {f"{each.path}.{each.tag}": each for each in fields if each.kind == "union"}
        known |= kinds
        given = [dict(flat(run.config)) for run in self.runs]
        rows = []
        for path in dict.fromkeys(path for config in given for path in config):
            each = known.get(path)
            shown = each.shown if each else str
            values = [shown(config[path]) if path in config else None for config in given]
            rows.append(Row(each.title if each else path, values))
        return _differing(rows)

    @property
    def figures(self) -> list[Row]:
        """The figures of those that are complete; each value is a result.Figure or None."""
        found: list[Mapping[str, Figure]] = []
        for run in self.runs:
            figures = result(reading.metrics(run.folder)).figures if run.state == Run.State.COMPLETE else []
            found.append({figure.name: figure for figure in figures})
        names = dict.fromkeys(name for figures in found for name in figures)
        rows = []
        for name in names:
            values = [figures.get(name) for figures in found]
            one = next(value for value in values if value)
            rows.append(Row(one.title, values, one.hint))
        return rows


def smoothed(values: list[float], weight: float) -> list[float]:
    """Exponential running mean, corrected for its start as Adam's is (Kingma and Ba 2015, section 3), so that it begins at the first value."""
    if not weight:
        return values
    mean, norm, found = 0.0, 0.0, []
    for value in values:
        mean = weight * mean + (1 - weight) * value
        norm = weight * norm + (1 - weight)
        found.append(mean / norm)
    return found


def _is_machinery(name: str) -> bool:
    return name.removeprefix(HELDOUT) in MACHINERY


def _differing(rows: list[Row]) -> list[Row]:
    return [row for row in rows if any(value != row.values[0] for value in row.values)]
