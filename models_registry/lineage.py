"""The lineage of a version as a drawing: what it was made of to the left, what was made of it to the right."""

from collections import defaultdict
from dataclasses import dataclass

from . import queries
from .models import Version

WIDTH, HEIGHT = 190, 46  # of a box, in SVG units
ACROSS, DOWN = 74, 14  # the space between boxes
MOST = 40  # boxes; a base that hundreds descend from says how many are not drawn


@dataclass(frozen=True)
class Box:
    version: Version
    x: int
    y: int
    here: bool


@dataclass(frozen=True)
class Line:
    path: str  # of an SVG <path>
    role: str
    x: float  # where the role is written
    y: float


@dataclass(frozen=True)
class Drawing:
    boxes: list[Box]
    lines: list[Line]
    width: int
    height: int
    hidden: int


def draw(version: Version) -> Drawing:
    """Columns by the longest way from `version`; at most MOST boxes, nearest first."""
    up, down = queries.ancestors(version), queries.descendants(version)
    known = {version.pk: version}
    for made, _role, source in [*up, *down]:
        known.setdefault(made.pk, made)
        known.setdefault(source.pk, source)
    shown = dict(list(known.items())[:MOST])
    up, down = ([link for link in links if link[0].pk in shown and link[2].pk in shown] for links in (up, down))
    columns = _columns(version, up, down)
    boxes = _boxes(shown, columns, version)
    return Drawing(
        boxes=list(boxes.values()),
        lines=[_line(boxes[source.pk], boxes[made.pk], role) for made, role, source in [*up, *down]],
        width=max(box.x for box in boxes.values()) + WIDTH,
        height=max(box.y for box in boxes.values()) + HEIGHT,
        hidden=len(known) - len(shown),
    )


def _columns(version: Version, up: list[queries.Link], down: list[queries.Link]) -> dict[int, int]:
    """Sources stand left of what was made of them. A source is older, so one pass in the order of making is enough."""
    columns: dict[int, int] = defaultdict(int)
    for made, _role, source in sorted(up, key=lambda link: -link[0].pk):
        columns[source.pk] = min(columns[source.pk], columns[made.pk] - 1)
    for made, _role, source in sorted(down, key=lambda link: link[2].pk):
        columns[made.pk] = max(columns[made.pk], columns[source.pk] + 1)
    columns[version.pk] = 0
    return columns


def _boxes(shown: dict[int, Version], columns: dict[int, int], version: Version) -> dict[int, Box]:
    """Each column is centred on the tallest one."""
    members = defaultdict(list)
    for pk in sorted(shown):
        members[columns[pk]].append(pk)
    tallest = max(map(len, members.values()))
    first = min(members)
    boxes = {}
    for column, pks in members.items():
        top = (tallest - len(pks)) * (HEIGHT + DOWN) // 2
        for row, pk in enumerate(pks):
            boxes[pk] = Box(
                shown[pk], (column - first) * (WIDTH + ACROSS), top + row * (HEIGHT + DOWN), pk == version.pk
            )
    return boxes


def _line(source: Box, made: Box, role: str) -> Line:
    """A curve from the right edge of the source to the left edge of what was made of it."""
    x1, y1 = source.x + WIDTH, source.y + HEIGHT / 2
    x2, y2 = made.x, made.y + HEIGHT / 2
    middle = (x1 + x2) / 2
    return Line(f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}", role, middle, (y1 + y2) / 2)
