"""Annotators whose utilities and ties are known: what the losses find of them when every output's score is free, without a model between."""

from functools import partial

import numpy as np
import pytest
import torch

from labeling.ranking import LETTERS, WeakOrder
from models_registry.lm.heads import Scale
from training.engine.methods.reward.report import Pairs, Scored, three_way_log_loss
from training.engine.methods.reward.train import fitted_theta, outcomes
from training.engine.preferences import (
    BradleyTerry,
    Comparisons,
    Davidson,
    Objective,
    PlackettLuce,
    Preference,
    RaoKupper,
)
from training.engine.preferences.luce import subsets

pytestmark = pytest.mark.slow

OUTPUTS = 30
UTILITIES = 1.5 * torch.randn(OUTPUTS, generator=torch.Generator().manual_seed(99))

Ranked = list[tuple[list[int], WeakOrder]]  # which outputs, and how somebody ranked them


def of_pairs(truth: Preference, number: int, choose: torch.Generator) -> Ranked:
    """Somebody compares two outputs, and says what `truth` makes likely."""
    pairs = torch.stack([torch.randperm(OUTPUTS, generator=choose)[:2] for _ in range(number)])
    with torch.no_grad():
        likely = truth.outcomes(UTILITIES[pairs[:, 0]] - UTILITIES[pairs[:, 1]])
    said = torch.multinomial(likely, 1, generator=choose)[:, 0].tolist()
    return [(pair, WeakOrder.parse(("A > B", "A = B", "B > A")[one])) for pair, one in zip(pairs.tolist(), said, strict=True)]  # fmt: skip


def of_four(truth: PlackettLuce, number: int, choose: torch.Generator) -> Ranked:
    """Somebody takes the best of four, then of what is left, each set with the probability that Davidson–Luce gives it."""
    found = []
    weights, size = subsets(4)
    members = weights > 0
    deltas = torch.tensor([1.0, *truth.deltas])
    for _ in range(number):
        outputs = torch.randperm(OUTPUTS, generator=choose)[:4]
        odds = deltas[size - 1] * (weights.float() @ UTILITIES[outputs]).exp()
        left, tiers = torch.ones(4, dtype=torch.bool), []
        while left.any():
            possible = ~(members & ~left).any(1)
            taken = members[torch.multinomial(odds * possible, 1, generator=choose)[0]]
            tiers.append(" = ".join(LETTERS[item] for item in taken.nonzero()[:, 0].tolist()))
            left &= ~taken
        found.append((outputs.tolist(), WeakOrder.parse(" > ".join(tiers))))
    return found


def fitted(preference: Preference, ranked: Ranked) -> torch.Tensor:
    """The likeliest utilities, (OUTPUTS,); the tie parameter of `preference` is learned with them."""
    comparisons = Comparisons.of_orders([order for _outputs, order in ranked])
    places = torch.tensor([output for outputs, _order in ranked for output in outputs])
    objective = Objective(preference)
    scores = torch.zeros(OUTPUTS, requires_grad=True)
    learned = [scores, *(p for p in objective.parameters() if p.requires_grad)]
    optimizer = torch.optim.LBFGS(learned, max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        losses, _count = objective.losses(scores[places], comparisons)
        losses.mean().backward()
        return losses.mean()

    optimizer.step(loss)
    return scores.detach()


def pairs_of(scores: torch.Tensor, ranked: Ranked) -> Pairs:
    return Pairs.of([Scored(order, scores[outputs].numpy(), np.ones(len(outputs))) for outputs, order in ranked])


def log_loss(preference: Preference, scores: torch.Tensor, ranked: Ranked) -> float:
    return three_way_log_loss(pairs_of(scores, ranked), partial(outcomes, preference, std=1.0))


def kendall(found: torch.Tensor, true: torch.Tensor) -> float:
    """Pairs in the same order minus pairs turned round, as a share of all."""
    first, second = torch.triu_indices(len(true), len(true), offset=1)
    return ((found[first] - found[second]).sign() * (true[first] - true[second]).sign()).mean().item()


WORLDS = {
    "rao_kupper": (RaoKupper(1.8, learned=False), [RaoKupper, Davidson, PlackettLuce]),
    "davidson": (Davidson(0.8, learned=False), [Davidson, RaoKupper, PlackettLuce]),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("world", WORLDS)
def test_utilities_and_ties_of_annotators_are_found_and_foretold(world: str, seed: int):
    """Bradley–Terry gets the best θ for the very comparisons that judge, and stays behind all the same: it threw the ties away."""
    truth, tie_aware = WORLDS[world]
    choose = torch.Generator().manual_seed(seed)
    train, heldout = of_pairs(truth, 6000, choose), of_pairs(truth, 2000, choose)

    preferences = [kind() for kind in tie_aware]
    scores = [fitted(preference, train) for preference in preferences]
    (name,) = truth.tie
    assert preferences[0].tie[name] == pytest.approx(truth.tie[name], rel=0.1)
    assert kendall(scores[0], UTILITIES) >= 0.9

    without = fitted(BradleyTerry(), train)
    bar = log_loss(fitted_theta(pairs_of(without, heldout), Scale()), without, heldout)
    found = [log_loss(*each, heldout) for each in zip(preferences, scores, strict=True)]
    assert max(found) < bar
    # Nothing foretells better than what people really follow.
    assert found[0] == pytest.approx(log_loss(truth, UTILITIES, heldout), abs=0.02)


@pytest.mark.parametrize("seed", [0, 1])
def test_plackett_luce_finds_them_in_rankings_of_four(seed: int):
    """A loss that is the mean over choices would find δ₂ a fifth too large here: rankings with ties make fewer choices."""
    truth, model = PlackettLuce(0.6, learned=False), PlackettLuce()
    utilities = fitted(model, of_four(truth, 3000, torch.Generator().manual_seed(seed)))
    assert model.deltas[0] == pytest.approx(truth.deltas[0], rel=0.1)
    assert model.deltas[1] == pytest.approx(truth.deltas[1], rel=0.1)
    assert kendall(utilities, UTILITIES) >= 0.9
