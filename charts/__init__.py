"""Charts as SVG, drawn on the server: Vega-Lite specs, drawn by renderer.py, coloured by the stylesheet's custom properties.

The drawing is done in colours that no one would choose, which are then replaced by `var(--…)`: the picture follows light and dark
without being drawn twice, and holds no script. Every floor draws with this, so it knows none of them.
"""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Protocol

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from . import renderer

CACHED = 1024
# Of lines over one another; all eight can be told apart on light and on dark ground (static/css/runs.css).
RUN_COLOURS = tuple(f"#0b0c{number:02x}" for number in range(8))
SENTINELS = ("#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05")  # three lines, grid, text: while drawing
PROPERTIES = ("var(--accent)", "var(--warn)", "var(--soft)", "var(--line)", "var(--faint)")
PLAIN = ("#1c6a52", "#855a05", "#55524b", "#e4e0d6", "#6d6960")  # for programs that know no stylesheet
# d3's number formats; every language of the site that writes decimals with a comma.
COMMA = {"decimal": ",", "thousands": ".", "grouping": [3], "currency": ["", ""]}
POINT = {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["", ""]}
LOCALES = {"id": COMMA}

logger = logging.getLogger("charts")
_drawn: OrderedDict[tuple, SafeString] = OrderedDict()
_lock = threading.Lock()


class Drawable(Hashable, Protocol):
    """A chart: equal ones have equal pictures."""

    def spec(self) -> dict:
        """The Vega-Lite specification, in the colours SENTINELS (or RUN_COLOURS)."""


def frame(width: int, height: int, values: list[dict], layer: list[dict], *, right: int = 10) -> dict:
    """A picture of layers over the same values, with nothing around it but `right` pixels for what stands over its edge."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "background": None,
        "padding": {"left": 2, "right": right, "top": 6, "bottom": 2},
        "view": {"stroke": None},
        "data": {"values": values},
        "layer": layer,
    }


def titled_axis(text: str) -> dict:
    """Letters of one size in the colour `text`, no line and no ticks."""
    return {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelColor": text,
        "titleColor": text,
        "domain": False,
        "ticks": False,
    }


def warm() -> None:
    """Get ready to draw, while the figures are still being worked out."""
    try:
        renderer.warm()
    except OSError:
        logger.exception("The charts will not be drawn.")


def are_drawn(plots: Iterable[Drawable]) -> bool:
    """Would `draw` give them at once?"""
    with _lock:
        return all((plot, _language()) in _drawn for plot in plots)


def draw(plots: Iterable[Drawable]) -> list[SafeString]:
    """The SVG of each plot in the language of the request. What did not change since it was last asked for is not drawn again."""
    language = _language()
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


def _language() -> str:
    return (get_language() or "").partition("-")[0]


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
