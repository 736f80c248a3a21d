"""Small line charts as SVG: a Vega-Lite spec, drawn by renderer.py, coloured by the stylesheet's custom properties.

The drawing is done in colours that no one would choose, which are then replaced by `var(--…)`: the picture follows light and dark
without being drawn twice, and holds no script.
"""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from . import renderer

WIDTH, HEIGHT = 250, 104
DRAWN_POINTS = 200
CACHED = 1024
# Of runs over one another; all eight can be told apart on light and on dark ground (static/css/runs.css).
RUN_COLOURS = tuple(f"#0b0c{number:02x}" for number in range(8))
SENTINELS = ("#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05")  # three lines, grid, text: while drawing
PROPERTIES = ("var(--accent)", "var(--warn)", "var(--soft)", "var(--line)", "var(--faint)")
PLAIN = ("#1c6a52", "#855a05", "#55524b", "#e4e0d6", "#6d6960")  # for programs that know no stylesheet
# d3's number formats; every language of the site that writes decimals with a comma.
COMMA = {"decimal": ",", "thousands": ".", "grouping": [3], "currency": ["", ""]}
POINT = {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["", ""]}
LOCALES = {"id": COMMA}

logger = logging.getLogger("training.charts")
_drawn: OrderedDict[tuple, SafeString] = OrderedDict()
_lock = threading.Lock()


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
                    "scale": {"zero": False, "nice": 4},
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


def draw(plots: Iterable[Plot]) -> list[SafeString]:
    """The SVG of each plot in the language of the request. What did not change since it was last asked for is not drawn again."""
    language = (get_language() or "").partition("-")[0]
    plots = list(plots)
    keys = [(plot, language) for plot in plots]
    with _lock:
        known = {key: _drawn[key] for key in keys if key in _drawn}
    missing = list(dict.fromkeys(plot for plot, key in zip(plots, keys, strict=True) if key not in known))
    try:
        pictures = renderer.draw([plot.spec() for plot in missing], LOCALES.get(language, POINT)) if missing else []
    except OSError:
        # The page has the values in tables as well; a machine that cannot draw must not hide them.
        logger.exception("The charts could not be drawn.")
        return [SafeString() for _plot in plots]
    for plot, svg in zip(missing, pictures, strict=True):
        known[plot, language] = mark_safe(themed(svg))  # our own numbers, drawn by our own renderer
    with _lock:
        for key in keys:
            _drawn[key] = known[key]
            _drawn.move_to_end(key)
        while len(_drawn) > CACHED:
            _drawn.popitem(last=False)
    return [known[key] for key in keys]


def themed(svg: str) -> str:
    """Replace the drawing's colours by the stylesheet's, and let the page decide about size and font."""
    for colour, name in zip(SENTINELS, PROPERTIES, strict=True):
        svg = svg.replace(colour, name)
    for number, colour in enumerate(RUN_COLOURS, 1):
        svg = svg.replace(colour, f"var(--run-{number})")
    svg = re.sub(r' font-family="[^"]*"', "", svg)
    return re.sub(
        r'^<svg ([^>]*?) width="[^"]*" height="[^"]*"', r'<svg \1 aria-hidden="true" focusable="false"', svg, count=1
    )
