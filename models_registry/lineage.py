"""The lineage of a version as a drawing: what it was made of to the left, what was made of it to the right."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from . import queries, words
from .models import Version

WIDTH, HEIGHT = 216, 46  # of a box, in SVG units; the longest line in it has 33 letters
ACROSS, DOWN = 96, 14  # the space between boxes; more where a role is longer, which is written into it
LETTER = 6  # about as wide as one of a role
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
    box_width: int = WIDTH
    box_height: int = HEIGHT


def draw(version: Version) -> Drawing:
    """Columns by the longest way from `version`; at most MOST boxes, nearest first."""
    up, down = queries.ancestors(version), queries.descendants(version)
    known = {version.pk: version}
    for made, _role, source in [*up, *down]:
        known.setdefault(made.pk, made)
        known.setdefault(source.pk, source)
    shown = dict(list(known.items())[:MOST])
    up, down = ([link for link in links if link[0].pk in shown and link[2].pk in shown] for links in (up, down))
    links = [*up, *down]
    columns = _columns(version, up, down)
    places = _places(shown, columns, links)
    boxes = {pk: Box(each, *places[pk], here=pk == version.pk) for pk, each in shown.items()}
    return Drawing(
        boxes=list(boxes.values()),
        lines=[_line(link, number, columns, places) for number, link in enumerate(links)],
        width=max(x for x, _y in places.values()) + WIDTH,
        height=max(y for _x, y in places.values()) + HEIGHT,
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


def _places(
    shown: Iterable[int], columns: dict[int, int], links: list[queries.Link]
) -> dict[Hashable, tuple[int, int]]:
    """Where everything stands: a version by its pk; and under (link number, column) the room that a link needs to pass a column.

    Each column is centred on the tallest one.
    """
    members: dict[int, list[Hashable]] = defaultdict(list)
    for pk in sorted(shown):
        members[columns[pk]].append(pk)
    for number, (made, _role, source) in enumerate(links):
        for column in range(columns[source.pk] + 1, columns[made.pk]):
            members[column].append((number, column))
    tallest = max(map(len, members.values()))
    across = dict.fromkeys(members, ACROSS)  # behind each column
    for _made, role, source in links:
        column = columns[source.pk]
        across[column] = max(across[column], LETTER * len(words.role(role)) + 12)
    left, x = {}, 0
    for column in sorted(members):
        left[column], x = x, x + WIDTH + across[column]
    places: dict[Hashable, tuple[int, int]] = {}
    for column, keys in members.items():
        top = (tallest - len(keys)) * (HEIGHT + DOWN) // 2
        for row, key in enumerate(keys):
            places[key] = (left[column], top + row * (HEIGHT + DOWN))
    return places


def _line(link: queries.Link, number: int, columns: dict[int, int], places: dict[Hashable, tuple[int, int]]) -> Line:
    """Curves between the columns, straight through the room it was given; its role is written on the first curve."""
    made, role, source = link
    stops = [(number, column) for column in range(columns[source.pk] + 1, columns[made.pk])]
    x, y = places[source.pk]
    x, y = x + WIDTH, y + HEIGHT / 2
    path, written = f"M{x} {y}", (0.0, 0.0)
    for place, key in enumerate([*stops, made.pk]):
        end_x, end_y = places[key]
        end_y += HEIGHT / 2
        middle = (x + end_x) / 2
        path += f"C{middle} {y} {middle} {end_y} {end_x} {end_y}"
        if place == 0:
            written = (middle, (y + end_y) / 2)
        x, y = end_x + WIDTH, end_y
        if key != made.pk:
            path += f"L{x} {y}"
    return Line(path, role, *written)
