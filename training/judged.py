"""What a reward model was found to know, for its run's page: pictures, each with the table of its values, and what people reach beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from charts import SENTINELS, draw, frame, titled_axis
from labeling.quality_charts import Plot as Intervals
from labeling.quality_charts import intervals
from models_registry.words import figure

from .failures import said

NOTHING_HELD_OUT = {"value": None, "low": None, "high": None, "pairs": 0}  # of who ranked training tasks alone
NOBODY: Mapping[str, str] = MappingProxyType({})
WIDTH, HEIGHT = 320, 170  # as wide as the pictures with names at the left


@dataclass(frozen=True)
class Calibration:
    """Points (expected, seen, low, high); where they lie on the line, the model is as sure as it may be."""

    points: tuple[tuple[float, float, float, float], ...]

    def spec(self, colours: tuple[str, ...] = SENTINELS) -> dict:
        point, second, _third, grid, text = colours
        axis = titled_axis(text)
        least = min(0.5, *(number for each in self.points for number in each))
        scale = {"domain": [max(0.0, round(least - 0.05, 1)), 1], "nice": False}
        across = {
            "type": "quantitative",
            "scale": scale,
            "axis": {**axis, "title": _("expected"), "grid": False, "tickCount": 5, "format": ".0%"},
        }
        up = {
            "type": "quantitative",
            "scale": scale,
            "axis": {**axis, "title": _("seen"), "gridColor": grid, "tickCount": 5, "format": ".0%"},
        }
        names = ("expected", "seen", "low", "high")
        values = [dict(zip(names, each, strict=True)) for each in self.points]
        layer = [
            {
                "data": {"values": [{"both": end} for end in scale["domain"]]},
                "mark": {"type": "line", "color": second, "strokeDash": [3, 3], "strokeWidth": 1},
                "encoding": {"x": {**across, "field": "both"}, "y": {**up, "field": "both"}},
            },
            {
                "mark": {"type": "rule", "color": point, "opacity": 0.5, "strokeWidth": 1.5},
                "encoding": {"x": {**across, "field": "expected"}, "y": {**up, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 42, "color": point, "opacity": 1},
                "encoding": {"x": {**across, "field": "expected"}, "y": {**up, "field": "seen"}},
            },
        ]  # fmt: skip
        return frame(WIDTH, HEIGHT, values, layer)


@dataclass(frozen=True)
class Line:
    """A row of a picture's table: how it is called, its figure, and what more there is (a scale, what was expected)."""

    label: str
    figure: Mapping[str, Any]
    beside: float | None = None


@dataclass(frozen=True)
class Part:
    """A picture and its table. `of`, `beside`: headings of the first column and of the last one."""

    title: str
    hint: str
    of: str
    lines: list[Line]
    beside: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Judged:
    parts: list[Part]
    people: list[Line]
    tasks: int
    why: str  # no figures of people


def judged(metrics: Mapping[str, Any], names: Mapping[str, str] = NOBODY) -> Judged | None:
    """None where the run made no reward model. `names`: of the annotators, by what the rankings call them."""
    found = metrics.get("judged")
    if not found:
        return None
    parts, plots = zip(*_parts(metrics, found, names), strict=True)
    drawn = draw([plot for plot in plots if plot is not None])
    pictures = iter(drawn)
    shown = [
        Part(part.title, part.hint, part.of, part.lines, part.beside, next(pictures) if plot is not None else "")
        for part, plot in zip(parts, plots, strict=True)
    ]  # fmt: skip
    people = found["people"]
    why = people["person"].get("why")
    return Judged(shown, list(_people(people)), people["tasks"], said([why])[0] if why and not people["tasks"] else "")


def _parts(
    metrics: Mapping[str, Any], found: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[tuple[Part, Calibration | Intervals | None]]:
    chance = 0.5
    bins = found["calibration"]
    points = tuple((row["predicted"], row["value"], row["low"], row["high"]) for row in bins)
    hint = _("How often the better scored output wins, by how likely the model says it is; a tie is no win. Below the dashed line it is too sure of itself.")  # fmt: skip
    if "ensemble" in metrics:
        hint += " " + _("Of the mean of its heads, which is what it scores by.")
    lines = [Line(_("%(pairs)s pairs") % {"pairs": row["pairs"]}, row, row["predicted"]) for row in bins]
    yield Part(_("Calibration: as sure as it may be"), hint, _("Bin"), lines, _("Expected")), Calibration(points)

    far = max((row["of"] for row in found["by_distance"]), default=0)
    lines = [
        Line(ngettext("%(number)s tier", "%(number)s tiers", row["of"]) % {"number": row["of"]}, row)
        for row in found["by_distance"]
    ]
    hint = _(
        "Strict pairs in the right order, by how many tiers lie between the two; 4 is four and more. The dashed line is chance."
    )
    if far > 1:
        yield Part(_("By distance in the ranking"), hint, _("Distance"), lines), _drawn(lines, chance)

    lines = [Line(str(row["of"]), row) for row in found["by_items"]]
    if len(lines) > 1:
        hint = _("Strict pairs in the right order, by how many outputs the ranking has.")
        yield Part(_("By number of outputs"), hint, _("Outputs"), lines), _drawn(lines, chance)

    scales = metrics.get("annotator_scales") or {}
    judged_on = {row["of"] for row in found["by_annotator"]}
    ranked_otherwise = [{"of": person, **NOTHING_HELD_OUT} for person in scales if person not in judged_on]
    rows = [*found["by_annotator"], *ranked_otherwise]
    lines = [Line(names.get(row["of"], row["of"]), row, scales.get(row["of"])) for row in rows]
    if lines:
        hint = _("Strict pairs in the right order, by who ranked them; those who ranked most stand first.")
        if scales:
            hint += " " + _("The values hold the scale of each: how far their rankings follow the scores, 1 for who does as most do, near 0 for who ranks by dice.")  # fmt: skip
        yield Part(_("By annotator"), hint, _("Annotator"), lines, _("Scale") if scales else ""), _drawn(lines, chance)

    if by_doubt := found.get("by_doubt"):
        thirds = [_("agree most"), _("in between"), _("agree least")]
        lines = [Line(thirds[row["of"] - 1], row, row["doubt"]) for row in by_doubt]
        yield (
            Part(_("Where its heads disagree"), _of_doubts(metrics), _("Its heads"), lines, _("Doubt")),
            _drawn(lines, chance),
        )


def _of_doubts(metrics: Mapping[str, Any]) -> str:
    """What the picture shows, and in a sentence whether the heads know where the model errs."""
    hint = _("Strict pairs in the right order, in thirds by the heads' doubt: how likely another head would see the pair the other way round.")  # fmt: skip
    area, low, high = (metrics.get(f"error_auc{end}") for end in ("", "_low", "_high"))
    if area is None:
        return hint
    figures = {"area": figure(area, 2), "other": figure(metrics["closeness_auc"], 2)}
    if low is not None:
        figures |= {"low": figure(low, 2), "high": figure(high, 2)}
    if low is None:
        said = _("Of a wrong and a right pair, the heads doubt the wrong one more in %(area)s of all cases.")
    elif low > 0.5:
        said = _("They know something of where it errs: of a wrong and a right pair, they doubt the wrong one more in %(area)s of all cases (95 %% interval %(low)s to %(high)s; chance is 0.50).")  # fmt: skip
    else:
        said = _("That they know where it errs cannot be told from chance: of a wrong and a right pair, they doubt the wrong one more in %(area)s of all cases (95 %% interval %(low)s to %(high)s; chance is 0.50).")  # fmt: skip
    beside = _("How close the two scores are, which one head knows too, finds %(other)s.")
    return " ".join([hint, said % figures, beside % figures])


def _drawn(lines: Sequence[Line], mark: float) -> Intervals | None:
    return intervals([(line.label, dict(line.figure)) for line in lines], mark=mark)


def _people(found: Mapping[str, Any]) -> Iterator[Line]:
    names = {
        "model": _("This model predicts a person"),
        "person": _("Another person predicts a person"),
        "others": _("The consensus of all others predicts a person: the human ceiling"),
        "consensus": _("This model predicts the consensus"),
    }
    for name, title in names.items():
        figure = found[name]
        if figure is not None and figure["value"] is not None:
            yield Line(title, figure)
