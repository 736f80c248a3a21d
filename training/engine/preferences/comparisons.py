"""What a batch of rankings says, as indices into the flat scores of all completions, ranking by ranking."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labeling.ranking import WeakOrder


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a batch of R rankings with N completions together.

    strict: (S, 2) better and worse; tied: (T, 2); strict_of (S,) and tied_of (T,): the ranking that each belongs to; distance: (S,) tiers
    between the two. of: (N,) the ranking of each completion; acceptable: (N,) 1 above the acceptability line, -1 below, 0 where
    nothing is said. orders: the rankings themselves.
    """

    strict: Tensor
    strict_of: Tensor
    distance: Tensor
    tied: Tensor
    tied_of: Tensor
    of: Tensor
    acceptable: Tensor
    orders: tuple[WeakOrder, ...]

    @property
    def rankings(self) -> int:
        return len(self.orders)

    @classmethod
    def of_orders(cls, orders: Sequence[WeakOrder], device: torch.device | str = "cpu") -> "Comparisons":
        strict: list[tuple[int, int]] = []
        strict_of: list[int] = []
        distance: list[int] = []
        tied: list[tuple[int, int]] = []
        tied_of: list[int] = []
        of: list[int] = []
        acceptable: list[int] = []
        start = 0
        for number, order in enumerate(orders):
            ranks = [rank or 0 for rank in order.ranks()]
            for a, b in order.strict_pairs():
                strict.append((start + a, start + b))
                distance.append(ranks[b] - ranks[a])
            for a, b in order.tied_pairs():
                tied.append((start + a, start + b))
            strict_of += [number] * (len(strict) - len(strict_of))
            tied_of += [number] * (len(tied) - len(tied_of))
            of += [number] * order.items
            acceptable += [0 if good is None else 1 if good else -1 for good in order.acceptable()]
            start += order.items

        def tensor(values: list, *shape: int) -> Tensor:
            return torch.tensor(values, dtype=torch.long, device=device).reshape(shape)

        return cls(
            strict=tensor(strict, -1, 2),
            strict_of=tensor(strict_of, -1),
            distance=tensor(distance, -1),
            tied=tensor(tied, -1, 2),
            tied_of=tensor(tied_of, -1),
            of=tensor(of, -1),
            acceptable=tensor(acceptable, -1),
            orders=tuple(orders),
        )


def mean_by_ranking(parts: Sequence[tuple[Tensor, Tensor]], rankings: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Means over what each ranking says, and how much that is: (rankings,) and (rankings,). `parts`: (losses, ranking of each) alike (n,).

    A ranking that says nothing has mean 0 and count 0.
    """
    total, count = like.new_zeros(rankings), like.new_zeros(rankings)
    for losses, of in parts:
        total = total.index_add(0, of, losses)
        count = count.index_add(0, of, torch.ones_like(losses))
    return total / count.clamp(min=1), count
