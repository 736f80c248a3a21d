"""Losses that see a ranking as the set of comparisons it makes."""

from math import expm1, log

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from .comparisons import Comparisons, mean_by_ranking


class Pairwise(nn.Module):
    """A model of one comparison. `uses_ties`: whether a tie teaches it anything; `tie`: what it learned of ties, by name.

    margin: score difference by which the better output must win for each tier that lies between the two (Touvron et al. 2023, Llama 2,
    equation 2, with the distance of the tiers as m). smoothing: share of the strict comparisons taken to be the wrong way round.
    """

    uses_ties = True

    def __init__(self, *, margin: float = 0.0, smoothing: float = 0.0) -> None:
        super().__init__()
        self.margin, self.smoothing = margin, smoothing

    def strict(self, d: Tensor) -> Tensor:
        """-log P(first wins), elementwise."""
        raise NotImplementedError

    def tied(self, d: Tensor) -> Tensor:
        """-log P(tie), or what stands for it, elementwise."""
        raise NotImplementedError

    def outcomes(self, d: Tensor) -> Tensor:
        """(…, 3) probabilities of first wins, tie, second wins."""
        return torch.stack([-self.strict(d), -self.tied(d), -self.strict(-d)], dim=-1).exp()

    @property
    def tie(self) -> dict[str, float]:
        return {}

    def losses(self, scores: Tensor, comparisons: Comparisons) -> tuple[Tensor, Tensor]:
        """Per ranking, the mean loss of the comparisons it makes, and how many of them the loss uses: (R,) and (R,).

        `scores` is (N,), flat. A ranking without any usable comparison has loss 0 and count 0.
        """
        better, worse = comparisons.strict.unbind(1)
        d = scores[better] - scores[worse] - self.margin * comparisons.distance
        strict = self.strict(d)
        if self.smoothing:
            strict = (1 - self.smoothing) * strict + self.smoothing * self.strict(-d)
        parts = [(strict, comparisons.strict_of)]
        if self.uses_ties:
            first, second = comparisons.tied.unbind(1)
            parts.append((self.tied(scores[first] - scores[second]), comparisons.tied_of))
        return mean_by_ranking(parts, comparisons.rankings, scores)


class BradleyTerry(Pairwise):
    """P(first wins) = σ(d). Knows no tie: tied pairs are left out, as InstructGPT does (Ouyang et al. 2022)."""

    uses_ties = False

    def strict(self, d: Tensor) -> Tensor:
        return -logsigmoid(d)

    def tied(self, d: Tensor) -> Tensor:
        """A tie teaches nothing: 0, elementwise."""
        return torch.zeros_like(d)

    def outcomes(self, d: Tensor) -> Tensor:
        return torch.stack([torch.sigmoid(d), torch.zeros_like(d), torch.sigmoid(-d)], dim=-1)


class Soft(BradleyTerry):
    """Bradley–Terry with a tie as half a win for each side. A way to use ties in the loss; it still predicts none."""

    uses_ties = True

    def tied(self, d: Tensor) -> Tensor:
        """Cross-entropy against the target ½, elementwise."""
        return -(logsigmoid(d) + logsigmoid(-d)) / 2


class RaoKupper(Pairwise):
    """P(first wins) = eᵈ/(eᵈ + θ), P(tie) = (θ² − 1)·P(first wins)·P(second wins), θ > 1 (Rao and Kupper 1967).

    log θ is the score difference below which people see none. It is learned with the scores, or fixed.
    """

    def __init__(
        self, theta: float = 1.5, *, learned: bool = True, margin: float = 0.0, smoothing: float = 0.0
    ) -> None:
        """Raises ValueError unless theta > 1: at 1 a tie is impossible and its loss infinite."""
        super().__init__(margin=margin, smoothing=smoothing)
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

    @property
    def tie(self) -> dict[str, float]:
        return {"theta": self.theta}

    def strict(self, d: Tensor) -> Tensor:
        return softplus(self.log_theta - d)

    def tied(self, d: Tensor) -> Tensor:
        return softplus(self.log_theta - d) + softplus(self.log_theta + d) - torch.log(torch.expm1(2 * self.log_theta))


class Davidson(Pairwise):
    """P(first wins) = e^(d/2)/(e^(d/2) + e^(−d/2) + ν), P(tie) = ν/(the same), ν > 0 (Davidson 1970).

    A tie is likeliest between equals, where its odds against either winning are ν. ν is learned with the scores, or fixed.
    """

    def __init__(self, nu: float = 0.5, *, learned: bool = True, margin: float = 0.0, smoothing: float = 0.0) -> None:
        """Raises ValueError unless nu > 0: at 0 a tie is impossible and its loss infinite."""
        super().__init__(margin=margin, smoothing=smoothing)
        if not nu > 0:
            raise ValueError("nu must be above 0")
        self.log_nu = nn.Parameter(torch.tensor(log(nu), dtype=torch.float32), requires_grad=learned)

    @property
    def nu(self) -> float:
        return float(self.log_nu.detach().exp())

    @property
    def tie(self) -> dict[str, float]:
        return {"nu": self.nu}

    def _log_all(self, d: Tensor) -> Tensor:
        return torch.stack([d / 2, -d / 2, self.log_nu.expand_as(d)]).logsumexp(0)

    def strict(self, d: Tensor) -> Tensor:
        return self._log_all(d) - d / 2

    def tied(self, d: Tensor) -> Tensor:
        return self._log_all(d) - self.log_nu
