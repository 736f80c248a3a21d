"""The pictures of the quality page, as Vega-Lite; the package `charts` draws and colours them. Behind each stands a table with the same values."""

from dataclasses import dataclass

from charts import SENTINELS

WIDTH = 240
LABELS = 116  # pixels for what stands at the left
ROW = 19  # height of a row
MOST_ROWS = 40
FINE = 0.06  # below this span an axis needs another digit


@dataclass(frozen=True)
class Row:
    label: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Intervals:
    """A point with its interval for each row, one below the other. `mark`: where a line is drawn, e.g. what chance would give."""

    rows: tuple[Row, ...]
    mark: float | None = None
    format: str = ".2f"  # of d3

    def spec(self, colours: tuple[str, ...] = SENTINELS) -> dict:
        point, second, _third, grid, text = colours
        order = [row.label for row in self.rows]
        axis = {"title": None, "labelFontSize": 11, "labelColor": text, "domain": False, "ticks": False}
        across = {
            "type": "quantitative",
            "scale": {"zero": False, "nice": 5},
            "axis": {**axis, "grid": True, "gridColor": grid, "tickCount": 5, "format": self.format},
        }
        down = {
            "field": "label",
            "type": "nominal",
            "sort": order,
            # All pictures are as wide, so that their letters have one size.
            "axis": {
                **axis,
                "labelLimit": LABELS,
                "minExtent": LABELS,
                "maxExtent": LABELS,
                "grid": False,
                "labelPadding": 6,
            },
        }
        values = [
            {
                "label": row.label,
                "value": row.value,
                "low": row.value if row.low is None else row.low,
                "high": row.value if row.high is None else row.high,
            }
            for row in self.rows
        ]
        layers = [
            {
                "mark": {"type": "rule", "color": point, "opacity": 0.5, "strokeWidth": 1.5},
                "encoding": {"x": {**across, "field": "low"}, "x2": {"field": "high"}, "y": down},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 42, "color": point, "opacity": 1},
                "encoding": {"x": {**across, "field": "value"}, "y": down},
            },
        ]
        if self.mark is not None:
            line = {
                "mark": {"type": "rule", "color": second, "strokeDash": [3, 3]},
                "encoding": {"x": {"datum": self.mark}},
            }
            layers.insert(0, line)
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "width": WIDTH,
            "height": {"step": ROW},
            "background": None,
            "padding": {"left": 2, "right": 10, "top": 4, "bottom": 2},
            "view": {"stroke": None},
            "data": {"values": values},
            "layer": layers,
        }


@dataclass(frozen=True)
class Histogram:
    """How many lie where: `counts` of equal parts between `low` and `high`."""

    counts: tuple[int, ...]
    low: float
    high: float
    format: str = ".1f"
    mark: float | None = None

    def spec(self, colours: tuple[str, ...] = SENTINELS) -> dict:
        bar, second, _third, grid, text = colours
        axis = {"title": None, "labelFontSize": 10, "labelColor": text, "domain": False, "ticks": False}
        step = (self.high - self.low) / len(self.counts)
        values = [
            {"from": self.low + step * number, "to": self.low + step * (number + 1), "count": count}
            for number, count in enumerate(self.counts)
        ]
        across = {
            "type": "quantitative",
            "scale": {"domain": [self.low, self.high], "nice": False},
            "axis": {**axis, "grid": False, "tickCount": 5, "format": self.format},
        }
        layers = [
            {
                "mark": {"type": "bar", "color": bar, "binSpacing": 1},
                "encoding": {
                    "x": {**across, "field": "from", "bin": "binned"},
                    "x2": {"field": "to"},
                    "y": {
                        "field": "count",
                        "type": "quantitative",
                        "axis": {**axis, "gridColor": grid, "tickCount": 4, "format": "~s"},
                    },
                },
            }
        ]
        if self.mark is not None:
            line = {
                "mark": {"type": "rule", "color": second, "strokeDash": [3, 3]},
                "encoding": {"x": {"datum": self.mark}},
            }
            layers.append(line)
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "width": WIDTH + LABELS,
            "height": 110,
            "background": None,
            "padding": {"left": 2, "right": 10, "top": 4, "bottom": 2},
            "view": {"stroke": None},
            "data": {"values": values},
            "layer": layers,
        }


Plot = Intervals | Histogram


def intervals(
    named: list[tuple[str, dict | None]], *, mark: float | None = None, percent: bool = False
) -> Intervals | None:
    """Of named figures (as quality.plain writes them), those that have a value; None if none has. Names that occur twice are numbered."""
    rows, seen = [], {}
    for label, figure in named:
        if figure and figure["value"] is not None and len(rows) < MOST_ROWS:
            seen[label] = seen.get(label, 0) + 1
            shown = label if seen[label] == 1 else f"{label} ({seen[label]})"
            rows.append(Row(shown, figure["value"], figure["low"], figure["high"]))
    if not rows:
        return None
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    fine = max(ends) - min(ends) < FINE
    return Intervals(tuple(rows), mark, (("+.1%" if fine else "+.0%") if percent else (".3f" if fine else ".2f")))


def histogram(values: list[float], *, low: float, high: float, parts: int, **how: object) -> Histogram | None:
    if not values:
        return None
    counts = [0] * parts
    for value in values:
        counts[min(max(int((value - low) / (high - low) * parts), 0), parts - 1)] += 1
    return Histogram(tuple(counts), low, high, **how)
