"""Losses over weak orders, one small class each: what it needs, its loss, the probability it gives to each outcome.

All of them see a ranking as the set of comparisons it makes. A ranking's loss is the mean over the comparisons that the loss uses, so a
ranking of nine weighs as much as a ranking of two (Ouyang et al. 2022, section 3.5, equation 1).

`d` is always the difference of two scores, first minus second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, log

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from labeling.ranking import WeakOrder


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a batch of rankings. Indices point into the flat scores of all completions, ranking by ranking.

    strict: (S, 2) better and worse; tied: (T, 2); strict_of (S,) and tied_of (T,): the ranking that each belongs to; rankings: how many.
    """

    strict: Tensor
    strict_of: Tensor
    tied: Tensor
    tied_of: Tensor
    rankings: int

    @classmethod
    def of(cls, orders: Sequence[WeakOrder], device: torch.device | str = "cpu") -> "Comparisons":
        strict: list[tuple[int, int]] = []
        tied: list[tuple[int, int]] = []
        strict_of: list[int] = []
        tied_of: list[int] = []
        start = 0
        for number, order in enumerate(orders):
            for pairs, into, of in (
                (order.strict_pairs(), strict, strict_of),
                (order.tied_pairs(), tied, tied_of),
            ):
                into.extend((start + a, start + b) for a, b in pairs)
                of.extend([number] * len(pairs))
            start += order.items

        def tensor(values: list, *shape: int) -> Tensor:
            return torch.tensor(values, dtype=torch.long, device=device).reshape(shape)

        return cls(tensor(strict, -1, 2), tensor(strict_of, -1), tensor(tied, -1, 2), tensor(tied_of, -1), len(orders))


class BradleyTerry(nn.Module):
    """P(first wins) = σ(d). Knows no tie: tied pairs are left out, as InstructGPT does (Ouyang et al. 2022)."""

    uses_ties = False

    def strict(self, d: Tensor) -> Tensor:
        """-log P(first wins), elementwise."""
        return -logsigmoid(d)

    def tied(self, d: Tensor) -> Tensor:
        """A tie teaches nothing: 0, elementwise."""
        return torch.zeros_like(d)

    def outcomes(self, d: Tensor) -> Tensor:
        """(…, 3) probabilities of first wins, tie, second wins."""
        return torch.stack([torch.sigmoid(d), torch.zeros_like(d), torch.sigmoid(-d)], dim=-1)


class Soft(BradleyTerry):
    """Bradley–Terry with a tie as half a win for each side. A way to use ties in the loss; it still predicts none."""

    uses_ties = True

    def tied(self, d: Tensor) -> Tensor:
        """Cross-entropy against the target ½, elementwise."""
        return -(logsigmoid(d) + logsigmoid(-d)) / 2


class RaoKupper(nn.Module):
    """P(first wins) = eᵈ/(eᵈ + θ), P(tie) = (θ² − 1)·P(first wins)·P(second wins), θ > 1 (Rao and Kupper 1967).

    log θ is the score difference below which people see none. It is learned with the scores, or fixed.
    """

    uses_ties = True

    def __init__(self, theta: float = 1.5, *, learned: bool = True) -> None:
        """Raises ValueError unless theta > 1: at 1 a tie is impossible and its loss infinite."""
        super().__init__()
        if not theta > 1:
            raise ValueError("theta must be above 1")
        # softplus keeps log θ above 0 wherever the optimizer goes; this is its inverse.
        raw = torch.tensor(log(expm1(log(theta))), dtype=torch.float32)
        self.raw = nn.Parameter(raw, requires_grad=learned)

    @property
    def log_theta(self) -> Tensor:
        return softplus(self.raw)

    @property
    def theta(self) -> float:
        return float(self.log_theta.detach().exp())

    def strict(self, d: Tensor) -> Tensor:
        return softplus(self.log_theta - d)

    def tied(self, d: Tensor) -> Tensor:
        """-log P(tie), elementwise."""
        return softplus(self.log_theta - d) + softplus(self.log_theta + d) - torch.log(torch.expm1(2 * self.log_theta))

    def outcomes(self, d: Tensor) -> Tensor:
        return torch.stack([-self.strict(d), -self.tied(d), -self.strict(-d)], dim=-1).exp()


Preference = BradleyTerry | RaoKupper


def ranking_losses(preference: Preference, scores: Tensor, comparisons: Comparisons) -> tuple[Tensor, Tensor]:
    """Per ranking, the mean loss of the comparisons it makes, and how many of them the loss uses: (rankings,) and (rankings,).

    `scores` is (completions,), flat. A ranking without any usable comparison has loss 0 and count 0.
    """
    total = scores.new_zeros(comparisons.rankings)
    count = scores.new_zeros(comparisons.rankings)
    terms = [(comparisons.strict, comparisons.strict_of, preference.strict)]
    if preference.uses_ties:
        terms.append((comparisons.tied, comparisons.tied_of, preference.tied))
    for pairs, of, loss in terms:
        d = scores[pairs[:, 0]] - scores[pairs[:, 1]]
        total = total.index_add(0, of, loss(d))
        count = count.index_add(0, of, torch.ones_like(d))
    return total / count.clamp(min=1), count


def batch_loss(preference: Preference, scores: Tensor, comparisons: Comparisons, weights: Tensor) -> Tensor:
    """Weighted sum of the rankings' losses over their number. `weights` (rankings,) have mean 1 over the whole training set, so that
    a ranking weighs the same whatever batch it falls into."""
    losses, _ = ranking_losses(preference, scores, comparisons)
    return (losses * weights).sum() / comparisons.rankings
