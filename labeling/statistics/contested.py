"""How far the rankings of one task disagree, and where. Plain Python on a handful of rankings: asked while people wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from labeling.ranking import WeakOrder


@dataclass(frozen=True)
class Votes:
    """What people say about each pair: `better[a][b]` say a > b, `tied[a][b]` say a = b (symmetric), `silent[a][b]` say nothing.

    `above[a]`, `below[a]`: how many put a above or below the acceptability line. Weighted votes are sums of weights.
    """

    items: int
    better: tuple[tuple[float, ...], ...]
    tied: tuple[tuple[float, ...], ...]
    silent: tuple[tuple[float, ...], ...]
    above: tuple[float, ...]
    below: tuple[float, ...]


def agreement_of(orders: Sequence[WeakOrder]) -> float | None:
    """Mean τ-x over every two rankings of one task; None if no two of them speak of the same pair. Adaptive overlap goes by it.

    Emond and Mason (2002): of the pairs of outputs that both speak of, those with the same answer of >, =, < less those with opposite ones.
    """
    said = [_signs(order) for order in orders]
    found = []
    for one, other in combinations(said, 2):
        score = [(a == b) - (a * b < 0) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        if score:
            found.append(sum(score) / len(score))
    return sum(found) / len(found) if found else None


def votes(orders: Sequence[WeakOrder], weights: Sequence[float] | None = None) -> Votes:
    """The disagreement matrix of one task. Raises ValueError without rankings, or if they rank different numbers of outputs."""
    if len({order.items for order in orders}) != 1:
        raise ValueError("votes need rankings of the same outputs")
    items = orders[0].items
    better, tied, silent = ([[0.0] * items for _ in range(items)] for _ in range(3))
    above, below = [0.0] * items, [0.0] * items
    for order, weight in zip(orders, [1.0] * len(orders) if weights is None else weights, strict=True):
        for (a, b), sign in zip(combinations(range(items), 2), _signs(order), strict=True):
            if sign is None:
                silent[a][b] += weight
                silent[b][a] += weight
            elif sign == 0:
                tied[a][b] += weight
                tied[b][a] += weight
            elif sign > 0:
                better[a][b] += weight
            else:
                better[b][a] += weight
        for item, good in enumerate(order.acceptable()):
            if good is not None:
                (above if good else below)[item] += weight
    return Votes(items, _frozen(better), _frozen(tied), _frozen(silent), tuple(above), tuple(below))


def _signs(order: WeakOrder) -> list[int | None]:
    """For each pair a < b: 1 if a is better, -1 if b, 0 if tied, None if nothing is said; `WeakOrder.compare` for all pairs at once."""
    ranks, rest = order.ranks(), set(order.rest)
    return [
        None if (x := ranks[a]) is None or (y := ranks[b]) is None or (a in rest and b in rest) else (y > x) - (y < x)
        for a, b in combinations(range(order.items), 2)
    ]


def _frozen(matrix: list[list[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix))
