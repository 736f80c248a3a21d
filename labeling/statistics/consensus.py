"""What several people say together: the weak order nearest to their rankings (Kemeny), exact for up to nine outputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from labeling.ranking import WeakOrder

from .contested import Votes, votes
from .judgements import groups
from .kemeny import nearest

WHOLE = 1_000_000  # weights are counted in millionths of the largest, so that "equally near" is exact
CONTESTED_BELOW = 0.625  # between three of five, which is contested, and two of three, which is not: small differences of weight change neither


@dataclass(frozen=True)
class Consensus:
    """`order`: None where nobody said anything about any pair or line. What nobody said anything about is left out of it.

    `optima`: how many weak orders are nearest to the rankings and have as few strict pairs as any of these; how one is chosen says `kemeny.nearest`.
    `distance`: between `order` and all rankings together, in pairs turned round (a tie against a strict answer is half of one). `contested`: pairs
    (a < b) on which less than `CONTESTED_BELOW` of the votes, or of their weights, say what `order` says; never a pair on which all say the same.
    `line_contested`: the same holds for the side of the line on which some output lies, or no line could be drawn.
    """

    order: WeakOrder | None
    votes: Votes
    contested: tuple[tuple[int, int], ...]
    optima: int
    distance: float
    line_contested: bool

    @property
    def tiers(self) -> tuple[tuple[int, ...], ...]:
        return self.order.tiers if self.order else ()


def consensus(orders: Sequence[WeakOrder], *, weights: Sequence[float] | None = None) -> Consensus:
    """The consensus of rankings of the same outputs, one vote each, or `weights`. Raises ValueError without any, or if they rank different numbers."""
    return of_many([(orders, weights)])[0]


def of_many(rankings: Iterable[tuple[Sequence[WeakOrder], Sequence[float] | None]]) -> list[Consensus]:
    """The consensus of many tasks, in their order, in a third of the time that they take one by one: (rankings, weights or None) of each."""
    voted = [votes(orders, weights) for orders, weights in rankings]
    found: dict[int, Consensus] = {}
    for items, here in groups(np.array([each.items for each in voted], np.int64)):
        ranks, optima = nearest(*_whole([voted[task] for task in here], items))
        for task, row, count in zip(here, ranks, optima, strict=True):
            found[task] = _consensus(voted[task], row, int(count))
    return [found[task] for task in range(len(voted))]


def _whole(group: Sequence[Votes], items: int) -> tuple[np.ndarray, np.ndarray]:
    """Votes as whole numbers, (tasks, K, K) for better and tied."""
    both = np.array([[each.better, each.tied] for each in group]).reshape(-1, 2, items, items)
    largest = both.max((1, 2, 3), keepdims=True)
    are_whole = (both == np.rint(both)).all((1, 2, 3), keepdims=True)
    whole = np.where(are_whole, both, np.rint(both / np.maximum(largest, 1e-300) * WHOLE))
    return whole[:, 0], whole[:, 1]


def _consensus(voted: Votes, ranks: np.ndarray, optima: int) -> Consensus:
    levels = [tuple(int(item) for item in np.flatnonzero(ranks == rank)) for rank in range(1, ranks.max() + 1)]
    if not levels and all(a + b for a, b in zip(voted.above, voted.below, strict=True)):
        levels = [tuple(range(voted.items))]  # only the line was drawn: all above it, or none
    line, line_contested = _line(voted, levels)
    rest = levels[-1] if levels and _is_rest(voted, levels) else ()
    order = None
    if levels and (len(levels) > bool(rest) or line is not None):
        order = WeakOrder(voted.items, tuple(levels[:-1] if rest else levels), line, rest)
    contested, distance = [], 0.0
    for a, b in combinations(range(voted.items), 2):
        better, worse, tied = voted.better[a][b], voted.better[b][a], voted.tied[a][b]
        if not ranks[a] or not ranks[b]:
            continue
        sign = int(ranks[b]) - int(ranks[a])
        agreeing = better if sign > 0 else worse if sign < 0 else tied
        distance += (better + worse) / 2 if sign == 0 else tied / 2 + (worse if sign > 0 else better)
        said = better + worse + tied
        if _contested(agreeing, said) and said not in (better, worse, tied):
            contested.append((a, b))
    return Consensus(order, voted, tuple(contested), optima, distance, line_contested)


def _is_rest(voted: Votes, levels: list[tuple[int, ...]]) -> bool:
    """Whether nobody said anything about any pair within the last level, as behind `*`: a tie would claim more."""
    last = levels[-1]
    return (
        len(last) > 1
        and sum(map(len, levels)) == voted.items
        and not any(voted.better[a][b] + voted.tied[a][b] for a in last for b in last if a != b)
    )


def _line(voted: Votes, levels: list[tuple[int, ...]]) -> tuple[int | None, bool]:
    """Where the line turns the fewest votes on it round, and whether they contest it.

    Of equally good places the highest: what is not clearly acceptable stays below. Nowhere, if it would put an output on a side where nobody put it.
    """
    if not levels or not sum(voted.above) + sum(voted.below):
        return None, False
    turned = [
        sum(voted.below[item] for level in levels[:place] for item in level)
        + sum(voted.above[item] for level in levels[place:] for item in level)
        for place in range(len(levels) + 1)
    ]
    line = min(range(len(turned)), key=lambda place: turned[place] > min(turned) + 1e-9)
    sides = [
        ((voted.above if place < line else voted.below)[item], voted.above[item] + voted.below[item])
        for place, level in enumerate(levels)
        for item in level
    ]
    if any(said and not agreeing for agreeing, said in sides):
        return None, True
    return line, any(_contested(agreeing, said) for agreeing, said in sides)


def _contested(agreeing: float, said: float) -> bool:
    return agreeing < said * CONTESTED_BELOW - 1e-9 * said
