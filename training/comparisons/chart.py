"""Quality against trained parameters: a point a method with its interval, as Vega-Lite; charts.py draws and colours it."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10

from charts import frame, titled_axis

from .. import charts
from .table import Table

WIDTH, HEIGHT = 680, 300
LINE = 13  # height of a label, pixels
LETTER = 6  # width of one
PLAIN = ",~f"  # of d3: without a type it would write 10 as 1e+1 where the steps are tens
MARGIN = 0.15  # of the range of y, above and below


@dataclass(frozen=True)
class Point:
    label: str
    trained: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Scatter:
    """What trained nothing stands on its own at the left, since 0 has no place on a logarithmic scale."""

    points: tuple[Point, ...]
    x_title: str
    y_title: str
    y_format: str = ""  # of d3

    def spec(self, colours: tuple[str, ...] = charts.SENTINELS) -> dict:
        """The Vega-Lite specification. `colours`: three of lines, the grid's, the text's."""
        mark, _second, _third, grid, text = colours
        trained = [point.trained for point in self.points if point.trained]
        first = floor(log10(min(trained))) if trained else 1
        nothing = 10.0 ** (first - 1)
        last = max(floor(log10(max(trained))) + 1, first + 1) if trained else 2
        bounds = [value for p in self.points for value in (p.value, p.low, p.high) if value is not None]
        room = MARGIN * ((max(bounds) - min(bounds)) or abs(max(bounds)) or 1)
        y = (min(bounds) - room, max(bounds) + room)
        values = [
            {
                "label": point.label,
                "trained": point.trained or nothing,
                "value": point.value,
                "low": point.value if point.low is None else point.low,
                "high": point.value if point.high is None else point.high,
            }
            for point in self.points
        ]
        x = (log10(nothing) - 0.15, float(last))
        _place_labels(values, x, y)
        axis = titled_axis(text)
        powers = [nothing, *(10.0**power for power in range(first, last + 1))]
        across = {
            "field": "trained",
            "type": "quantitative",
            "scale": {"type": "log", "domain": [10 ** x[0], 10 ** x[1]], "nice": False},
            "axis": {
                **axis,
                "title": self.x_title,
                "grid": False,
                "values": powers,
                "labelExpr": f"datum.value < {nothing * 2} ? '0' : format(datum.value, '~s')",
            },
        }
        up = {"type": "quantitative", "scale": {"domain": list(y), "nice": False, "zero": False}}
        layer = [
            {
                "mark": {"type": "rule", "color": mark, "opacity": 0.45},
                "encoding": {
                    "x": across,
                    "y": {
                        **up,
                        "field": "low",
                        "axis": {
                            **axis,
                            "title": self.y_title,
                            "gridColor": grid,
                            "tickCount": 5,
                            "format": self.y_format,
                        },
                    },
                    "y2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 46, "color": mark, "opacity": 1},
                "encoding": {"x": across, "y": {**up, "field": "value"}},
            },
            *(
                {
                    "transform": [{"filter": f"{'' if to_the_left else '!'}datum.to_the_left"}],
                    "mark": {"type": "text", "align": side, "dx": space, "fontSize": 11, "color": text},
                    "encoding": {
                        "x": across,
                        "y": {**up, "field": "label_at"},
                        "text": {"field": "label", "type": "nominal"},
                    },
                }
                for to_the_left, side, space in ((False, "left", 8), (True, "right", -8))
            ),
        ]
        return frame(WIDTH, HEIGHT, values, layer, right=6)


def _place_labels(values: list[dict], x: tuple[float, float], y: tuple[float, float]) -> None:
    """Give each point the height of its label (`label_at`), moved down where another would be written over; those that would leave
    the picture at the right are written to the left."""
    placed: list[tuple[float, float, float]] = []  # from, to (pixels across), height
    for point in sorted(values, key=lambda point: -point["value"]):
        width = LETTER * len(point["label"]) + 10
        left = WIDTH * (log10(point["trained"]) - x[0]) / (x[1] - x[0])
        point["to_the_left"] = left + width > WIDTH
        begin, end = (left - width, left) if point["to_the_left"] else (left, left + width)
        height = HEIGHT * (y[1] - point["value"]) / (y[1] - y[0])
        for from_, to, taken in sorted(placed, key=lambda each: each[2]):
            if begin < to and from_ < end and abs(height - taken) < LINE:
                height = taken + LINE
        placed.append((begin, end, height))
        point["label_at"] = y[1] - height / HEIGHT * (y[1] - y[0])


def scatter(table: Table, *, x_title: str) -> Scatter | None:
    """Of the methods that are judged; None where there is nothing to draw."""
    points = tuple(_points(table))
    if not points:
        return None
    return Scatter(points, x_title, table.metric_title(table.metric), ".0%" if table.measure.share else PLAIN)


def _points(table: Table) -> Iterable[Point]:
    for row in sorted(table.rows, key=lambda row: row.number):
        quality = table.quality(row)
        if quality and row.trained is not None:
            yield Point(row.label, row.trained, quality.value, quality.low, quality.high)
