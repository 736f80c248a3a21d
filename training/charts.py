"""Small line charts of runs, as Vega-Lite; the package `charts` draws and colours them."""

from dataclasses import dataclass

from charts import PLAIN, RUN_COLOURS, SENTINELS, draw

__all__ = ["PLAIN", "RUN_COLOURS", "SENTINELS", "Plot", "draw", "thinned"]

WIDTH, HEIGHT = 250, 104
DRAWN_POINTS = 200

Line = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Plot:
    """What one chart shows: `lines` are its curves, each a tuple of (step, value)."""

    lines: tuple[Line, ...]
    last_step: float  # all charts of a run share one scale of steps
    of_runs: bool = False  # each line is another run's

    def spec(self, colours: tuple[str, ...] = SENTINELS) -> dict:
        """The Vega-Lite specification, which other programs can draw as well. `colours`: three of lines, the grid's, the text's."""
        *lines, grid, text = colours
        if self.of_runs:
            lines = list(RUN_COLOURS)
        axis = {"title": None, "labelFontSize": 10, "labelColor": text, "domain": False, "ticks": False}
        scale: dict = {"zero": False, "nice": 4}
        heights = {value for line in self.lines for _step, value in line}
        if len(heights) == 1:
            # Vega would give a line that never moves the one tick 0, at whatever height it runs.
            (height,) = heights
            scale["domain"] = [height - (abs(height) or 1) / 2, height + (abs(height) or 1) / 2]
        values = [
            {"step": step, "value": value, "line": number}
            for number, line in enumerate(self.lines)
            for step, value in thinned(line)
        ]
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "width": WIDTH,
            "height": HEIGHT,
            "background": None,
            "padding": {"left": 2, "right": 6, "top": 4, "bottom": 2},
            "view": {"stroke": None},
            "data": {"values": values},
            # One value makes no line; a point shows it.
            "mark": {"type": "line", "strokeWidth": 1.5, "point": {"size": 14, "filled": True}}
            if len(values) <= 30
            else {"type": "line", "strokeWidth": 1.5},
            "encoding": {
                "x": {
                    "field": "step",
                    "type": "quantitative",
                    "scale": {"domain": [0, max(self.last_step, 1)], "nice": False},
                    "axis": {**axis, "tickCount": 4, "grid": False, "format": "~s"},
                },
                "y": {
                    "field": "value",
                    "type": "quantitative",
                    "scale": scale,
                    "axis": {**axis, "tickCount": 4, "gridColor": grid, "minExtent": 34, "maxExtent": 34},
                },
                "color": {
                    "field": "line",
                    "type": "nominal",
                    "scale": {"domain": list(range(len(lines))), "range": lines},
                    "legend": None,
                },
            },
        }


def thinned(line: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """At most DRAWN_POINTS points: means over neighbours, at the last of their steps."""
    if len(line) <= DRAWN_POINTS:
        return list(line)
    size = -(-len(line) // DRAWN_POINTS)
    parts = [line[start : start + size] for start in range(0, len(line), size)]
    return [(part[-1][0], sum(value for _step, value in part) / len(part)) for part in parts]
