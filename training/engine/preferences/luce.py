"""Plackett–Luce with ties: a ranking as a row of choices of the best among what is left, where several may be best together."""

from collections.abc import Iterator
from functools import cache
from math import log

import torch
from torch import Tensor, nn

from labeling.ranking import MAX_ITEMS, WeakOrder

from .comparisons import Comparisons, mean_by_ranking
from .pairwise import Davidson


class PlackettLuce(nn.Module):
    """P(T is chosen from S) ∝ δ_|T| · (∏ over T of eˢ)^(1/|T|), T any non-empty subset of S, δ₁ = 1 (Firth, Kosmidis and Turner 2019,
    "Davidson-Luce model for multi-item choice with ties"); exact: the sum goes over all subsets, at most 511.

    A ranking is its tiers chosen one after the other from what no tier above has taken (Luce 1959; Plackett 1975). The outputs behind `*` are
    there to be chosen from and never chosen; outputs of which nothing is said are not there. Of two outputs it is Davidson's model with ν = δ₂,
    and where nothing ties, the model of Plackett and Luce. δ₂ … δ₉ are learned with the scores, or fixed.
    """

    uses_ties = True

    def __init__(self, delta: float = 0.5, *, learned: bool = True) -> None:
        """`delta`: δ₂ at the start, δ_t is its power t − 1. Raises ValueError unless it is above 0: at 0 a tie is impossible."""
        super().__init__()
        if not delta > 0:
            raise ValueError("delta must be above 0")
        self.log_deltas = nn.Parameter(
            log(delta) * torch.arange(1, MAX_ITEMS, dtype=torch.float32), requires_grad=learned
        )

    @property
    def deltas(self) -> list[float]:
        """δ₂ … δ₉."""
        return self.log_deltas.detach().exp().tolist()

    @property
    def tie(self) -> dict[str, float]:
        return {f"delta_{size}": delta for size, delta in enumerate(self.deltas, 2)}

    def outcomes(self, d: Tensor) -> Tensor:
        """(…, 3) probabilities of first wins, tie, second wins, of two outputs by themselves."""
        return Davidson(self.deltas[0], learned=False).to(d).outcomes(d)

    def losses(self, scores: Tensor, comparisons: Comparisons) -> tuple[Tensor, Tensor]:
        """Per ranking, the -log probability of its choices over the most that so many outputs could make, and how many it makes: (R,) and
        (R,). `scores` is (N,), flat.

        The choice of the only output that is left is none. A tie makes fewer choices, so their mean would count rankings with ties more and find
        ties likelier than they are.
        """
        chosen = [(number, *choice) for number, order in enumerate(comparisons.orders) for choice in choices(order)]
        if not chosen:
            zero = scores.new_zeros(comparisons.rankings)
            return zero, zero
        device = scores.device
        number, left, taken = torch.tensor(chosen, device=device).unbind(1)
        items = max(order.items for order in comparisons.orders)
        weights, size = (table.to(device) for table in subsets(items))
        # (R, items): completions side by side, 0 where a ranking has fewer.
        place = torch.arange(len(scores), device=device) - torch.searchsorted(comparisons.of, comparisons.of)
        rows = scores.new_zeros(comparisons.rankings, items).index_put((comparisons.of, place), scores)
        log_deltas = torch.cat([self.log_deltas.new_zeros(1), self.log_deltas]).to(scores)
        with torch.autocast(device.type, enabled=False):  # in bf16 the products would be good to two digits
            value = rows @ weights.to(scores).T + log_deltas[size - 1]  # (R, subsets)
        numbers = torch.arange(1, len(size) + 1, device=device)
        within = (numbers & ~left[:, None]) == 0  # (choices, subsets)
        total = value[number].masked_fill(~within, -torch.inf).logsumexp(1)
        mean, count = mean_by_ranking([(total - value[number, taken - 1], number)], comparisons.rankings, scores)
        most = torch.tensor(
            [max(order.items - len(order.unranked) - 1, 1) for order in comparisons.orders], device=device
        )
        return mean * count / most, count


def choices(order: WeakOrder) -> Iterator[tuple[int, int]]:
    """(what is left, what is taken of it) of each choice that a ranking makes, as bits: item i is bit i."""
    left = sum(1 << item for level in order.levels for item in level)
    for tier in order.tiers:
        taken = sum(1 << item for item in tier)
        if left.bit_count() > 1:
            yield left, taken
        left &= ~taken


@cache
def subsets(items: int) -> tuple[Tensor, Tensor]:
    """All non-empty subsets of so many items, subset n standing at n − 1, its bits being its items: (2^items − 1, items) with 1/size at each
    member, and (2^items − 1,) sizes."""
    member = (torch.arange(1, 2**items)[:, None] >> torch.arange(items)) & 1
    size = member.sum(1)
    return member / size[:, None].double(), size
