"""What is minimised over rankings: a preference loss, and what may stand beside it (a line, centred scores, people who differ in care)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from .comparisons import Comparisons, mean_by_ranking
from .luce import PlackettLuce
from .pairwise import Pairwise


class Objective(nn.Module):
    """Loss of rankings under scores, with the numbers that are learned beside the model.

    line: weight of an absolute term, -log σ(±(s − c)), over the outputs that a ranking puts above (+) or below (−) the acceptability line; c, the
    score that is just good enough, is learned. centering: weight of `centered` (0: none of it).

    people: how many training rankings each annotator made. Given, the scores an annotator ranks by are exp(a) times the model's, a learned per
    annotator: near 0 for who ranks by dice, large for who never errs (the worker quality of Chen et al. 2013, Crowd-BT, as a scale; the
    same as a sensitivity in item response theory). a has a normal prior with mean 0 and standard deviation `spread`, which shrinks it where labels
    are few; who is not in `people` has a = 0.
    """

    made: Tensor  # (people,) training rankings of each

    def __init__(
        self,
        preference: Pairwise | PlackettLuce,
        *,
        line: float = 0.0,
        centering: float = 0.0,
        people: Mapping[str, int] | None = None,
        spread: float = 0.5,
    ) -> None:
        super().__init__()
        self.preference, self.line, self.centering, self.spread = preference, line, centering, spread
        self.threshold = nn.Parameter(torch.zeros(()), requires_grad=line > 0)
        self.number = {person: number for number, person in enumerate(people or {})}
        self.log_scales = nn.Parameter(torch.zeros(len(self.number)), requires_grad=bool(self.number))
        self.register_buffer(
            "made", torch.tensor(list((people or {}).values()), dtype=torch.float32), persistent=False
        )

    @property
    def scales(self) -> dict[str, float]:
        """exp(a) of each annotator."""
        return dict(zip(self.number, self.log_scales.detach().exp().tolist(), strict=True))

    def numbers_of(self, annotators: list[str | None]) -> Tensor:
        """(R,) what `losses` takes: the annotator's number, -1 for somebody unknown."""
        known = [-1 if person is None else self.number.get(person, -1) for person in annotators]
        return torch.tensor(known, device=self.log_scales.device)

    def losses(
        self, scores: Tensor, comparisons: Comparisons, annotators: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Loss of each ranking, and how many of its statements count: (R,) and (R,). `scores` (N,), flat; `annotators` (R,) as numbers_of
        gives them, None: nobody is known."""
        felt, threshold = scores, self.threshold.expand(len(scores))
        if annotators is not None and self.number:
            scale = torch.cat([self.log_scales, self.log_scales.new_zeros(1)])[annotators].exp()[comparisons.of]
            felt, threshold = scores * scale, threshold * scale
        losses, count = self.preference.losses(felt, comparisons)
        if self.line:
            side = comparisons.acceptable
            said = side != 0
            absolute = -logsigmoid((felt - threshold)[said] * side[said])
            mean, lines = mean_by_ranking([(absolute, comparisons.of[said])], comparisons.rankings, scores)
            losses, count = losses + self.line * mean, count + lines
        if self.centering:
            losses = losses + self.centering * centered(scores, comparisons)
        return losses, count

    def penalty(self, annotators: Tensor) -> Tensor:
        """The prior's share of each ranking, (R,): over all training rankings it adds up to Σ a² / (2 spread²)."""
        if not self.number:
            return torch.zeros(len(annotators), device=annotators.device)
        known = annotators >= 0
        a = self.log_scales[annotators.clamp(min=0)]
        return torch.where(known, a**2 / (2 * self.spread**2 * self.made[annotators.clamp(min=0)]), 0.0)


def centered(scores: Tensor, comparisons: Comparisons) -> Tensor:
    """(R,): the mean of (s_i + s_j)² over all pairs of a ranking's outputs, which keeps scores near 0 (Eisenstein et al. 2023, "Helping or
    herding?", for more than two outputs)."""
    of, rankings = comparisons.of, comparisons.rankings
    zero = scores.new_zeros(rankings)
    items = zero.index_add(0, of, torch.ones_like(scores))
    squares = zero.index_add(0, of, scores**2)
    total = zero.index_add(0, of, scores)
    # Σ over pairs of (s_i + s_j)² = (n − 2) Σ s² + (Σ s)².
    pairs = items * (items - 1) / 2
    return ((items - 2) * squares + total**2) / pairs.clamp(min=1)
