"""Losses over weak orders against hand-checkable numbers and a slow twin."""

import math

import pytest
import torch

from labeling.ranking import WeakOrder
from training.engine.preferences import BradleyTerry, Comparisons, RaoKupper, Soft, batch_loss, ranking_losses

# Computed in float64 from the definitions: (d, -log σ(d), its derivative).
BRADLEY_TERRY = [
    (-5.0, 5.006715348489118, -0.9933071490757152),
    (-1.0, 1.3132616875182228, -0.7310585786300049),
    (0.0, 0.6931471805599453, -0.5),
    (0.5, 0.4740769841801067, -0.3775406687981454),
    (5.0, 0.006715348489118068, -0.006692850924284732),
    (40.0, 4.248354255291589e-18, 0.0),
    (-800.0, 800.0, -1.0),
]
# (d, θ, P(first), P(second), P(tie), -log P(first), -log P(tie)).
RAO_KUPPER = [
    (-2.0, 1.5, 0.08275690289563169, 0.831253174318424, 0.08598992278594426, 2.4918478495257808, 2.453525166502004),
    (0.0, 2.0, 1 / 3, 1 / 3, 1 / 3, 1.0986122886681098, 1.0986122886681098),
    (0.5, 1.5, 0.5236161377769489, 0.2879287120346848, 0.18846, 0.6469964246097528, 1.6688952304391054),
    (1.0, 2.0, 0.5761168847658291, 0.15536240349696362, 0.2685207117372073, 0.5514447139320511, 1.3148272293221923),
    (3.0, 1.5, 0.9305090253099674, 0.03212510246346066, 0.03736587222657202, 0.0720235035272389, 3.2869974984608015),
]


def float64(value: float | list) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize(("d", "loss", "slope"), BRADLEY_TERRY)
def test_bradley_terry_agrees_with_its_numbers_also_far_out(d, loss, slope):
    x = float64(d).requires_grad_()
    found = BradleyTerry().strict(x)
    found.backward()
    assert found.item() == pytest.approx(loss, rel=1e-12)
    assert x.grad.item() == pytest.approx(slope, rel=1e-9, abs=1e-15)


def test_a_ranking_of_four_is_the_mean_over_its_six_pairs():
    scores = float64([1.2, 0.3, -0.5, 0.8]).requires_grad_()
    order = WeakOrder.parse("A > B > C > D")
    loss = batch_loss(BradleyTerry(), scores, Comparisons.of([order]), float64([1.0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.6513568767465304, rel=1e-12)
    assert scores.grad.tolist() == pytest.approx(
        [-0.14080468372434646, -0.10723905878320766, -0.0535573665144394, 0.30160110902199355], rel=1e-12
    )


@pytest.mark.parametrize(("d", "theta", "first", "second", "tie", "nll_first", "nll_tie"), RAO_KUPPER)
def test_rao_kupper_agrees_with_its_numbers(d, theta, first, second, tie, nll_first, nll_tie):
    model = RaoKupper(theta, learned=False).double()
    x = float64(d)
    assert model.strict(x).item() == pytest.approx(nll_first, rel=1e-6)
    assert model.tied(x).item() == pytest.approx(nll_tie, rel=1e-6)
    assert model.outcomes(x).tolist() == pytest.approx([first, tie, second], rel=1e-4)


@pytest.mark.parametrize("model", [BradleyTerry(), Soft(), RaoKupper(1.01), RaoKupper(1.5), RaoKupper(20.0)])
def test_the_three_outcomes_sum_to_one_and_mirror(model):
    d = torch.linspace(-12, 12, 49, dtype=torch.float64)
    outcomes = model.double().outcomes(d)
    assert outcomes.sum(-1).tolist() == pytest.approx([1.0] * 49, abs=1e-9)
    assert torch.allclose(outcomes, outcomes.flip(0).flip(1), atol=1e-12)
    assert bool((outcomes[1:, 0] > outcomes[:-1, 0]).all())


def test_soft_takes_a_tie_as_half_a_win_each_way():
    d = float64(0.7)
    expected = -0.5 * math.log(1 / (1 + math.exp(-0.7))) - 0.5 * math.log(1 / (1 + math.exp(0.7)))
    assert Soft().tied(d).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("theta", [1.0, 0.5, -1.0])
def test_rao_kupper_refuses_a_theta_that_allows_no_tie(theta):
    with pytest.raises(ValueError, match="above 1"):
        RaoKupper(theta)


def test_theta_is_learned_unless_fixed():
    assert RaoKupper(1.7).theta == pytest.approx(1.7, rel=1e-6)
    assert RaoKupper(1.7, learned=True).raw.requires_grad
    assert not RaoKupper(1.7, learned=False).raw.requires_grad


def slow_loss(model, scores: list[float], order: WeakOrder) -> float | None:
    """Every pair by itself, in plain Python, from the probabilities."""
    losses = []
    for a in range(order.items):
        for b in range(a + 1, order.items):
            said = order.compare(a, b)
            if said is None or (said == 0 and not model.uses_ties):
                continue
            first, tie, second = model.outcomes(float64(scores[a] - scores[b])).tolist()
            if said == 0 and isinstance(model, Soft):
                losses.append(-(math.log(first) + math.log(second)) / 2)
            else:
                losses.append(-math.log({1: first, 0: tie, -1: second}[said]))
    return sum(losses) / len(losses) if losses else None


@pytest.mark.parametrize("model", [BradleyTerry(), Soft(), RaoKupper(1.4), RaoKupper(3.0, learned=False)])
def test_a_batch_of_unequal_rankings_equals_the_slow_twin(model):
    """Ties, rankings that leave outputs out, the rest behind `*`, an acceptability line, and rankings that say nothing to the loss."""
    notations = [
        ("C > B = D > A", 4),
        ("A = B = C", 3),
        ("B > A", 2),
        ("D > A", 5),
        ("C > A > *", 6),
        ("B = A | C", 3),
    ]
    orders = [WeakOrder.parse(text, items=items) for text, items in notations]
    torch.manual_seed(1)
    scores = torch.randn(sum(order.items for order in orders), dtype=torch.float64) * 2
    losses, count = ranking_losses(model.double(), scores, Comparisons.of(orders))
    start = 0
    for order, loss, used in zip(orders, losses.tolist(), count.tolist(), strict=True):
        expected = slow_loss(model, scores[start : start + order.items].tolist(), order)
        assert loss == pytest.approx(expected or 0.0, rel=1e-6)
        assert (used == 0) == (expected is None)
        start += order.items


def test_outputs_about_which_nothing_is_said_get_no_gradient():
    scores = torch.randn(5, requires_grad=True)
    batch_loss(RaoKupper(), scores, Comparisons.of([WeakOrder.parse("D > A", items=5)]), torch.ones(1)).backward()
    assert scores.grad[[1, 2, 4]].tolist() == [0, 0, 0]
    assert scores.grad[0] > 0 > scores.grad[3]


@pytest.mark.slow
def test_ties_teach_rao_kupper_that_two_outputs_are_alike():
    """Free scores under `A = B > C`, far apart at first: the tie pulls A and B together, θ grows from seeing ties."""
    order = WeakOrder.parse("A = B > C")
    scores = torch.tensor([3.0, 0.0, -1.0], requires_grad=True)
    model = RaoKupper(1.2)
    optimizer = torch.optim.Adam([scores, *model.parameters()], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        batch_loss(model, scores, Comparisons.of([order]), torch.ones(1)).backward()
        optimizer.step()
    a, b, c = scores.tolist()
    assert abs(a - b) < 0.05 < min(a, b) - c
    assert model.theta > 1.5
