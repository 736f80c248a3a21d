"""Are more rankings worth it? The entries of a comparison that differ by their share of the prompts, as a curve over the rankings they learned from."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from charts import frame, titled_axis
from models_registry.words import figure

from .. import charts, reading
from ..engine.evaluation import METRICS
from ..result import NAMES
from .table import Contrast, Estimate, Row, Table

ACCURACY = "pair_accuracy"  # of the evaluation
LOG_LOSS = "log_loss_three_way"  # of the training, which knows its tie model
DOUBLE = (1.5, 3.0)  # how many times the rankings: what counts as a doubling
WIDTH, HEIGHT = 320, 200


@dataclass(frozen=True)
class Line:
    """One entry: on how many rankings (a mean over seeds), and its figures by name."""

    rankings: float
    row: Row
    figures: dict[str, Estimate]


@dataclass(frozen=True)
class Plot:
    name: str
    title: str
    better: str
    share: bool  # in per cent
    picture: SafeString


@dataclass(frozen=True)
class Curve:
    label: str
    lines: list[Line]  # fewest rankings first

    @cached_property
    def plots(self) -> list[Plot]:
        """Of each figure that is there."""
        accuracy = METRICS[ACCURACY]
        about = [
            (ACCURACY, _(accuracy.title), accuracy.better, accuracy.share),
            (LOG_LOSS, _(NAMES[LOG_LOSS][0]), "low", False),
        ]
        about = [each for each in about if any(each[0] in line.figures for line in self.lines)]
        pictures = [
            Picture(tuple(self._points(name)), ".0%" if share else "") for name, _title, _better, share in about
        ]
        return [Plot(*each, svg) for each, svg in zip(about, charts.draw(pictures), strict=True)]

    def _points(self, name: str) -> Iterator[tuple[float, float, float | None, float | None]]:
        for line in self.lines:
            if found := line.figures.get(name):
                yield line.rankings, found.value, found.low, found.high

    @property
    def rows(self) -> list[tuple[int, list[tuple[Plot, Estimate | None]]]]:
        """The pictures' values: rankings, and each figure."""
        return [
            (round(line.rankings), [(plot, line.figures.get(plot.name)) for plot in self.plots]) for line in self.lines
        ]

    @cached_property
    def last_doubling(self) -> tuple[Line, Line, Contrast] | None:
        """From the entry with half as many rankings to the one with most, on the same held-out rows; None where there is none of half as many."""
        *others, most = self.lines
        near = [line for line in others if DOUBLE[0] <= most.rankings / line.rankings <= DOUBLE[1]]
        if not near:
            return None
        half = min(near, key=lambda line: abs(most.rankings / line.rankings - 2))
        brought = most.row.against(half.row, ACCURACY).get(ACCURACY)
        return (half, most, brought) if brought else None

    @property
    def sentence(self) -> str:
        """What the last doubling brought, in plain words."""
        if self.last_doubling is None:
            return ""
        half, most, brought = self.last_doubling
        facts = {
            "few": intcomma(round(half.rankings)),
            "many": intcomma(round(most.rankings)),
            "points": _points(brought.value),
            "low": _points(brought.low),
            "high": _points(brought.high),
        }
        if brought.low is None or brought.high is None:
            return _("From %(few)s to %(many)s rankings, pair accuracy changed by %(points)s percentage points; too little is held out to say more.") % facts  # fmt: skip
        if brought.low > 0:
            return _("From %(few)s to %(many)s rankings, pair accuracy rose by %(points)s percentage points (95 %% interval %(low)s to %(high)s): more rankings still help.") % facts  # fmt: skip
        if brought.high < 0:
            return _("From %(few)s to %(many)s rankings, pair accuracy fell by %(points)s percentage points (95 %% interval %(low)s to %(high)s): look at the learning rate and at the newer rankings before asking for more.") % facts  # fmt: skip
        return _("From %(few)s to %(many)s rankings, pair accuracy changed by %(points)s percentage points (95 %% interval %(low)s to %(high)s): no gain that could be told from chance. Another doubling can hardly be expected to bring more than %(high)s.") % facts  # fmt: skip


def curves(table: Table) -> list[Curve]:
    """A curve for all judged entries that differ by nothing but their share; none before two shares are judged."""
    alike: dict[str, list[Line]] = defaultdict(list)
    labels: dict[str, str] = {}
    for row in sorted(table.rows, key=lambda row: row.number):
        if row.entry.method != "reward" or not (line := _line(row)):
            continue
        rest = {name: value for name, value in row.entry.config.items() if name != "train_share"}
        key = json.dumps(rest, sort_keys=True)
        alike[key].append(line)
        if row.entry.config.get("train_share", 1) == 1:
            labels[key] = row.label
    found = []
    for key, lines in alike.items():
        lines.sort(key=lambda line: line.rankings)
        if len({line.rankings for line in lines}) > 1:
            found.append(Curve(labels.get(key, lines[-1].row.label), lines))
    return found


def _line(row: Row) -> Line | None:
    runs = trained(row)
    counts = [metrics["train_rankings"] for metrics in runs if metrics.get("train_rankings")]
    found = {ACCURACY: row.figure(ACCURACY), LOG_LOSS: over_seeds(runs)}
    figures = {name: each for name, each in found.items() if each}
    return Line(mean(counts), row, figures) if counts and figures else None


def trained(row: Row) -> list[dict[str, Any]]:
    """What the training of each seed found."""
    return [reading.metrics(attempt.run.folder) for attempt in row.done if attempt.run]


def over_seeds(runs: list[dict[str, Any]]) -> Estimate | None:
    """The three-way log-loss."""

    def of(name: str) -> Iterator[float]:
        return (metrics[name] for metrics in runs if metrics.get(name) is not None)

    value, low, high = (
        mean(found) if (found := list(of(f"{LOG_LOSS}{end}"))) else None for end in ("", "_low", "_high")
    )
    return None if value is None else Estimate(value, low, high)


def _points(share: float | None) -> str:
    """Percentage points of a difference, with its sign where it is a fall."""
    return "" if share is None else figure(100 * share, 1)


@dataclass(frozen=True)
class Picture:
    """Points (rankings, value, low, high), joined; doublings are equally far apart."""

    points: tuple[tuple[float, float, float | None, float | None], ...]
    format: str = ""  # of d3

    def spec(self, colours: tuple[str, ...] = charts.SENTINELS) -> dict:
        """The Vega-Lite specification. `colours`: three of lines, the grid's, the text's."""
        mark, _second, _third, grid, text = colours
        axis = titled_axis(text)
        values = [
            {
                "rankings": rankings,
                "value": value,
                "low": value if low is None else low,
                "high": value if high is None else high,
            }
            for rankings, value, low, high in self.points
        ]
        counts = sorted({rankings for rankings, *_rest in self.points})
        across = {
            "field": "rankings",
            "type": "quantitative",
            "scale": {"type": "log", "base": 2, "domain": [counts[0] / 1.2, counts[-1] * 1.2], "nice": False},
            "axis": {**axis, "title": _("training rankings"), "grid": False, "values": counts, "format": ",.0f"},
        }
        up = {"type": "quantitative", "scale": {"zero": False, "nice": True}}
        height = {
            "axis": {**axis, "title": None, "gridColor": grid, "tickCount": 5}
            | ({"format": self.format} if self.format else {})
        }
        layer = [
            {
                "mark": {"type": "rule", "color": mark, "opacity": 0.45},
                "encoding": {"x": across, "y": {**up, **height, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line", "color": mark, "strokeWidth": 1.5},
                "encoding": {"x": across, "y": {**up, **height, "field": "value"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 46, "color": mark, "opacity": 1},
                "encoding": {"x": across, "y": {**up, **height, "field": "value"}},
            },
        ]
        return frame(WIDTH, HEIGHT, values, layer)
