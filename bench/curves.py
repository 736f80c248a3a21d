"""Curves of runs as one picture for the docs, which reads on light and on dark ground: drawn by charts/ from what the runs have told.

    python -m bench.curves RUN_DIR [RUN_DIR …] --out FILE.svg [--name NAME …] [--curve reward …]

Without --name a run is called as its folder; without --curve the curves are those of PPO's page that its health is read from.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import django
from django.utils.translation import override

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()  # the titles are those of the site

from charts import RUN_COLOURS, SENTINELS, renderer, themed  # noqa: E402
from training import reading  # noqa: E402
from training.charts import Plot  # noqa: E402
from training.curves import in_reading_order, title_of  # noqa: E402

CURVES = ("reward", "kl", "entropy", "length", "distinct_across", "explained_variance")
COLUMNS = 3
STYLES = Path(__file__).parents[1] / "static" / "css"
GROUNDS = ("light", "dark")


def picture(folders: Sequence[Path], names: Sequence[str], curves: Sequence[str]) -> str:
    """The SVG, a part for each curve with a line for each run. ValueError where a run has told none of them, or there are too many."""
    if len(folders) > len(RUN_COLOURS):
        raise ValueError(f"at most {len(RUN_COLOURS)} runs can be told apart in one picture")
    told = [reading.events(folder) for folder in folders]
    for folder, events in zip(folders, told, strict=True):
        if not any(name in events.series for name in curves):
            raise ValueError(f"{folder} has told none of the curves {', '.join(curves)}")
    known = [name for name in in_reading_order(curves) if any(name in events.series for events in told)]
    last = max(events.step for events in told)
    parts = []
    for name in known:
        lines = tuple(tuple(e.series[name].points) if name in e.series else () for e in told)
        parts.append(_part(title_of(name), Plot(lines, last, of_runs=True).spec(), names))
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": None,
        "padding": 4,
        "columns": COLUMNS,
        "spacing": 18,
        "concat": parts,
    }
    return alone(renderer.draw([spec], {})[0], " · ".join(names))


def _part(title: str, spec: dict, names: Sequence[str]) -> dict:
    """One chart of the picture under its title; the legend of all stands above the first."""
    text = SENTINELS[-1]
    for outermost in ("$schema", "background", "padding"):
        del spec[outermost]
    legend = {
        "title": None,
        "orient": "bottom",
        "direction": "horizontal",
        "values": list(range(len(names))),
        "labelExpr": f"{list(names)!r}[datum.value]",
        "labelColor": text,
        "labelFontSize": 12,
        "symbolType": "stroke",
        "symbolStrokeWidth": 3,
    }
    spec["encoding"]["color"]["legend"] = legend if len(names) > 1 else None
    heading = {"text": title, "anchor": "start", "fontSize": 12, "fontWeight": "normal", "color": text}
    return {"title": heading, **spec}


def alone(svg: str, title: str) -> str:
    """A drawing as a file of its own: it brings the colours of the site's stylesheet, for either ground, and its size."""
    size = re.search(r'width="[^"]*" height="[^"]*"', svg)
    svg = themed(svg).replace(' aria-hidden="true" focusable="false"', f' {size[0]} role="img"' if size else "", 1)
    used = sorted(set(re.findall(r"var\((--[\w-]+)\)", svg)))
    light, dark = ("".join(f"{name}:{colours()[name][ground]};" for name in used) for ground in range(len(GROUNDS)))
    style = f"svg{{{light}font-family:system-ui,sans-serif}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
    head = f"<title>{escape(title)}</title><style>{style}</style>"
    return re.sub(r"^<svg [^>]*>", lambda found: found[0] + head, svg, count=1) + "\n"


def colours() -> dict[str, tuple[str, str]]:
    """(on light, on dark ground) of the stylesheet's custom properties."""
    return {name: (light, dark) for file in ("app.css", "runs.css") for name, light, dark in _pairs(STYLES / file)}


def _pairs(file: Path) -> Iterator[tuple[str, str, str]]:
    yield from re.findall(r"(--[\w-]+): light-dark\((#\w+), (#\w+)\)", file.read_text("utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.curves", description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", nargs="+", default=[], help="of each run, in their order")
    parser.add_argument("--curve", nargs="+", default=CURVES)
    given = parser.parse_args()
    if given.name and len(given.name) != len(given.runs):
        parser.error("give each run its name, or none")
    try:
        with override("en"):
            svg = picture(given.runs, given.name or [folder.resolve().name for folder in given.runs], given.curve)
    except ValueError as error:
        sys.exit(str(error))
    given.out.write_text(svg, encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
