"""How far the rankings of one task disagree, and where. Plain Python on a handful of rankings: asked while people wait."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """Mean τ-x over every two rankings of one task; None if no two of them speak of the same pair. Adaptive overlap goes by it."""
    raise NotImplementedError


def votes(orders: Sequence[WeakOrder], weights: Sequence[float] | None = None) -> Votes:
    """The disagreement matrix of one task."""
    raise NotImplementedError
