"""Losses over weak orders against hand-checkable numbers and a slow twin."""

import copy
import itertools
import math

import pytest
import torch

from labeling.ranking import WeakOrder
from training.engine.preferences import BradleyTerry, Comparisons, Davidson, Objective, PlackettLuce, RaoKupper, Soft

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
# (d, ν, P(first), P(second), P(tie), -log P(first), -log P(tie)).
DAVIDSON = [
    (0.0, 0.5, 0.4, 0.4, 0.2, 0.916290731874155, 1.6094379124341003),
    (0.0, 1.0, 1 / 3, 1 / 3, 1 / 3, 1.0986122886681098, 1.0986122886681098),
    (0.5, 0.5, 0.5010193109499246, 0.3038835731992268, 0.19509711585084852, 0.6911106338298757, 1.6342578143898208),
    (0.5, 1.0, 0.4192289516096977, 0.25427521259046565, 0.32649583579983665, 0.8693380844056782, 1.1193380844056782),
]
MODELS = [
    BradleyTerry(),
    Soft(),
    RaoKupper(1.01),
    RaoKupper(1.5),
    RaoKupper(20.0),
    Davidson(0.01),
    Davidson(2.0),
    PlackettLuce(0.7),
]


def float64(value: float | list) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def mean_loss(model, scores: torch.Tensor, *orders: WeakOrder) -> torch.Tensor:
    losses, _count = model.losses(scores, Comparisons.of_orders(orders))
    return losses.mean()


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
    loss = mean_loss(BradleyTerry(), scores, order)
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


@pytest.mark.parametrize(("d", "nu", "first", "second", "tie", "nll_first", "nll_tie"), DAVIDSON)
def test_davidson_agrees_with_its_numbers(d, nu, first, second, tie, nll_first, nll_tie):
    model = Davidson(nu, learned=False).double()
    x = float64(d)
    assert model.strict(x).item() == pytest.approx(nll_first, rel=1e-6)
    assert model.tied(x).item() == pytest.approx(nll_tie, rel=1e-6)
    assert model.outcomes(x).tolist() == pytest.approx([first, tie, second], rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
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


@pytest.mark.parametrize("nothing", [0.0, -1.0])
def test_davidson_and_plackett_luce_refuse_what_allows_no_tie(nothing):
    for model in (Davidson, PlackettLuce):
        with pytest.raises(ValueError, match="above 0"):
            model(nothing)


@pytest.mark.parametrize(
    "model", [BradleyTerry(), Soft(), RaoKupper(1.4), RaoKupper(3.0, learned=False), Davidson(0.8)]
)
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
    losses, count = model.double().losses(scores, Comparisons.of_orders(orders))
    start = 0
    for order, loss, used in zip(orders, losses.tolist(), count.tolist(), strict=True):
        expected = slow_loss(model, scores[start : start + order.items].tolist(), order)
        assert loss == pytest.approx(expected or 0.0, rel=1e-6)
        assert (used == 0) == (expected is None)
        start += order.items


@pytest.mark.parametrize("model", [RaoKupper(), PlackettLuce()])
def test_outputs_about_which_nothing_is_said_get_no_gradient(model):
    scores = torch.randn(5, requires_grad=True)
    mean_loss(model, scores, WeakOrder.parse("D > A", items=5)).backward()
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
        mean_loss(model, scores, order).backward()
        optimizer.step()
    a, b, c = scores.tolist()
    assert abs(a - b) < 0.05 < min(a, b) - c
    assert model.theta > 1.5


# Plackett–Luce


def without_ties() -> PlackettLuce:
    """Ties as good as impossible: the model of Plackett and Luce."""
    return PlackettLuce(1e-12, learned=False).double()


def test_plackett_luce_without_ties_agrees_with_its_numbers():
    scores = float64([1.2, 0.3, -0.5, 0.8]).requires_grad_()
    order = WeakOrder.parse("A > B > C > D")
    loss = mean_loss(without_ties(), scores, order) * 3  # three choices
    loss.backward()
    assert loss.item() == pytest.approx(3.486957370030943, rel=1e-9)
    gradient = [-0.5574385522014307, -0.4972842807072005, -0.559950249647281, 1.6146730825559121]
    assert scores.grad.tolist() == pytest.approx(gradient, rel=1e-9)
    scores = scores.detach()
    assert mean_loss(without_ties(), scores, WeakOrder.parse("D > C > B > A")).item() * 3 == pytest.approx(
        4.619594043988677
    )
    assert mean_loss(without_ties(), scores * 0, order).item() * 3 == pytest.approx(math.log(24))
    two_best = mean_loss(without_ties(), scores, WeakOrder.parse("A > B > *", items=4))
    assert two_best.item() * 3 == pytest.approx(1.9459489161979504, rel=1e-9)


def weak_orders(items: int):
    for ranks in itertools.product(range(items), repeat=items):
        if set(ranks) == set(range(max(ranks) + 1)):
            yield WeakOrder.from_ranks(list(ranks))


@pytest.mark.parametrize(("items", "many"), [(2, 3), (3, 13), (4, 75)])
def test_the_probabilities_of_all_weak_orders_sum_to_one(items, many):
    orders = list(weak_orders(items))
    assert len(orders) == many
    scores = float64([0.9, -0.4, 0.3, 1.7][:items])
    losses, _count = PlackettLuce(0.6).double().losses(scores.repeat(many), Comparisons.of_orders(orders))
    assert (-losses * (items - 1)).exp().sum().item() == pytest.approx(1.0, abs=1e-6)


def slow_luce(deltas: list[float], scores: list[float], order: WeakOrder) -> float:
    """Every choice by itself, every subset written out."""

    def weight(group: tuple[int, ...]) -> float:
        delta = 1.0 if len(group) == 1 else deltas[len(group) - 2]
        return delta * math.exp(sum(scores[item] for item in group) / len(group))

    left = [item for level in order.levels for item in level]
    losses = []
    for tier in order.tiers:
        if len(left) > 1:
            groups = [group for size in range(1, len(left) + 1) for group in itertools.combinations(left, size)]
            losses.append(-math.log(weight(tier) / sum(map(weight, groups))))
        left = [item for item in left if item not in tier]
    return sum(losses) / max(sum(map(len, order.levels)) - 1, 1)


def test_plackett_luce_with_ties_equals_the_slow_twin():
    model = PlackettLuce(0.7).double()
    with torch.no_grad():
        model.log_deltas += torch.linspace(-0.3, 0.5, 8)
    notations = ["C > B = D > A", "A = B = C", "B > A", "D > A", "C > A > *", "B = A | C", "I = H > G = F = E > D > *"]
    orders = [WeakOrder.parse(text, items=items) for text, items in zip(notations, [4, 3, 2, 5, 6, 3, 9], strict=True)]
    torch.manual_seed(1)
    scores = torch.randn(sum(order.items for order in orders), dtype=torch.float64) * 2
    losses, _count = model.losses(scores, Comparisons.of_orders(orders))
    start = 0
    for order, loss in zip(orders, losses.tolist(), strict=True):
        assert loss == pytest.approx(
            slow_luce(model.deltas, scores[start : start + order.items].tolist(), order), rel=1e-6
        )
        start += order.items


@pytest.mark.parametrize("model", [*MODELS, PlackettLuce(0.7)], ids=lambda model: type(model).__name__)
def test_a_model_in_half_precision_leaves_the_loss_in_full(model):
    comparisons = Comparisons.of_orders([WeakOrder.parse("A > B = C > D > E"), WeakOrder.parse("B > A > *", items=4)])
    scores = 20 + 5 * torch.randn(9, generator=torch.Generator().manual_seed(3))
    objective = Objective(copy.deepcopy(model).float(), line=1.0, centering=0.1)
    exact, _count = objective.losses(scores, comparisons)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _count = objective.losses(scores, comparisons)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)


def test_of_two_outputs_plackett_luce_is_davidson():
    scores = float64([0.4, -0.3])
    for text in ("A > B", "B > A", "A = B"):
        order = WeakOrder.parse(text)
        expected = mean_loss(Davidson(0.7).double(), scores, order)
        assert mean_loss(PlackettLuce(0.7).double(), scores, order).item() == pytest.approx(expected.item(), rel=1e-6)


# What stands beside the loss


def test_a_margin_asks_for_a_lead_for_every_tier_between():
    scores = float64([1.2, 0.3, -0.5, 0.8])
    order = WeakOrder.parse("A > B > C > D")
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    expected = sum(math.log1p(math.exp(-(scores[a] - scores[b]).item() + 0.5 * (b - a))) for a, b in pairs) / 6
    assert mean_loss(BradleyTerry(margin=0.5), scores, order).item() == pytest.approx(expected, rel=1e-12)
    one = [mean_loss(BradleyTerry(margin=1.0), scores[[a, b]], WeakOrder.parse("A > B")).item() for a, b in pairs]
    assert sum(one) / 6 == pytest.approx(1.1800280452345369, rel=1e-12)


def test_label_smoothing_takes_a_share_of_the_comparisons_the_other_way_round_and_leaves_ties():
    scores = float64([0.7, -0.2])
    plain, smooth = RaoKupper(1.5), RaoKupper(1.5, smoothing=0.1)
    better, worse = (mean_loss(plain, scores, WeakOrder.parse(text)).item() for text in ("A > B", "B > A"))
    assert mean_loss(smooth, scores, WeakOrder.parse("A > B")).item() == pytest.approx(0.9 * better + 0.1 * worse)
    tie = WeakOrder.parse("A = B")
    assert mean_loss(smooth, scores, tie).item() == mean_loss(plain, scores, tie).item()


def test_centering_is_the_mean_square_of_what_two_scores_sum_to():
    scores = float64([1.2, 0.3, -0.5, 0.8, 2.0, -1.0])
    orders = [WeakOrder.parse("A > B > C > D"), WeakOrder.parse("A > B")]
    plain, _ = Objective(BradleyTerry()).losses(scores, Comparisons.of_orders(orders))
    with_it, _ = Objective(BradleyTerry(), centering=0.01).losses(scores, Comparisons.of_orders(orders))
    four = [(a + b) ** 2 for a, b in itertools.combinations(scores[:4].tolist(), 2)]
    assert (with_it - plain).tolist() == pytest.approx([0.01 * sum(four) / 6, 0.01 * (2.0 - 1.0) ** 2], rel=1e-9)


def test_the_acceptability_line_is_a_score_to_be_above_or_below():
    scores = float64([2.0, 0.5, -1.0, 9.0])
    order = WeakOrder.parse("A > B | C", items=4)  # D is left out: no word about it
    objective = Objective(BradleyTerry(), line=0.3)
    with torch.no_grad():
        objective.threshold.fill_(0.25)
    loss, count = objective.losses(scores, Comparisons.of_orders([order]))
    plain, pairs = BradleyTerry().losses(scores, Comparisons.of_orders([order]))
    said = [2.0 - 0.25, 0.5 - 0.25, 0.25 + 1.0]
    expected = plain.item() + 0.3 * sum(math.log1p(math.exp(-x)) for x in said) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert count.item() == pairs.item() + 3
    alone, _ = objective.losses(scores, Comparisons.of_orders([WeakOrder.parse("| A = B", items=4)]))
    assert alone.isfinite().all()


def test_a_scale_per_annotator_is_learned_and_shrunk():
    """One ranks by the scores, one by dice: the second's scale falls; who made few rankings stays near 1."""
    torch.manual_seed(0)
    scores = torch.tensor([2.0, 0.5, -1.5])
    right, wrong = WeakOrder.parse("A > B > C"), WeakOrder.parse("C > B > A")
    made = [("careful", right)] * 40 + [("dice", right)] * 20 + [("dice", wrong)] * 20 + [("new", wrong)]
    objective = Objective(BradleyTerry(), people={"careful": 40, "dice": 40, "new": 1}, spread=0.5)
    who = objective.numbers_of([person for person, _order in made])
    comparisons = Comparisons.of_orders([order for _person, order in made])
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        losses, _count = objective.losses(scores.repeat(len(made)), comparisons, who)
        (losses + objective.penalty(who)).sum().backward()
        optimizer.step()
    scales = objective.scales
    assert scales["careful"] > 1.1
    assert scales["dice"] < 0.4
    assert scales["dice"] < scales["new"] < 1
    assert objective.penalty(who).sum().item() == pytest.approx(
        (objective.log_scales**2).sum().item() / (2 * 0.25), rel=1e-5
    )
    assert objective.numbers_of([None, "stranger", "new"]).tolist() == [-1, -1, 2]
