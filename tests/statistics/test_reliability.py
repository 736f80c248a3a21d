"""A scale per annotator: at the maximum of the posterior written out plainly, and it finds people whose scales are known."""

from dataclasses import replace
from itertools import combinations
from math import exp, log

import numpy as np
import pytest

from labeling.statistics import reliability as module
from labeling.statistics.reliability import SPREAD, TIE_SPREAD, reliability
from tests.statistics.make import judged, shuffled, simulated


def log_posterior(judgements, scales: dict, ties: dict, typical: float, spread: float) -> float:
    """Up to a constant: each pair's answers given the difference d, over the points of a Gauss–Hermite rule, with weight 2/K; and the priors."""
    points, probability = np.polynomial.hermite_e.hermegauss(module.NODES)
    probability = probability / probability.sum()
    total = 0.0
    for task in {one.task for one in judgements}:
        here = [one for one in judgements if one.task == task]
        items = here[0].order.items
        for a, b in combinations(range(items), 2):
            answers = [(one.annotator, one.order.compare(a, b)) for one in here if one.order.compare(a, b) is not None]
            if len(answers) < 2:
                continue
            likelihood = 0.0
            for point, chance in zip(points, probability, strict=True):
                for person, answer in answers:
                    half = scales[person] * spread * point / 2
                    weights = {1: exp(half), 0: exp(ties[person]), -1: exp(-half)}
                    chance = chance * weights[answer] / sum(weights.values())
                likelihood += chance
            total += 2 / items * log(likelihood)
    total -= sum((scale - 1) ** 2 for scale in scales.values()) / (2 * SPREAD**2)
    return total - sum((tie - typical) ** 2 for tie in ties.values()) / (2 * TIE_SPREAD**2)


@pytest.mark.slow
def test_the_fit_is_the_maximum_of_the_posterior(monkeypatch):
    judgements = simulated(people=4, tasks=40, scales=[2.0, 1.0, 1.0, 0.0], seed=2)
    fits = []
    fit = module._fit
    monkeypatch.setattr(module, "_fit", lambda *given: fits.append(fit(*given)) or fits[-1])
    spreads = []
    errors = module._errors
    monkeypatch.setattr(module, "_errors", lambda *given: spreads.append(given[-1].max()) or errors(*given))
    found = reliability(judgements)
    names = list(found)
    scales = {name: found[name].scale.value for name in names}
    ties = {name: float(value) for name, value in zip(names, fits[0].values[:, 1], strict=True)}
    spread = spreads[0] / np.polynomial.hermite_e.hermegauss(module.NODES)[0].max()
    best = log_posterior(judgements, scales, ties, fits[0].typical_tie, spread)
    for step in (-0.1, 0.1):
        for name in names:
            assert (
                log_posterior(judgements, {**scales, name: scales[name] + step}, ties, fits[0].typical_tie, spread)
                < best
            )
            assert (
                log_posterior(judgements, scales, {**ties, name: ties[name] + step}, fits[0].typical_tie, spread)
                < best
            )
        assert log_posterior(judgements, scales, ties, fits[0].typical_tie, spread * (1 + step)) < best
        all_moved = {name: scale * (1 + step) for name, scale in scales.items()}
        assert log_posterior(judgements, all_moved, ties, fits[0].typical_tie, spread / (1 + step)) < best


def test_it_finds_careful_careless_and_contrary_people():
    scales = [2.0, 1.5, 1.0, 1.0, 1.0, 0.5, 0.0, -1.0]
    judgements = simulated(scales=scales, tasks=200)
    found = reliability(judgements)
    values = [found[person].scale.value for person in range(8)]
    assert np.corrcoef(values, scales)[0, 1] > 0.95
    assert found[0].scale.low > found[5].scale.value
    assert found[6].scale.low < 0 < found[6].scale.high < found[2].scale.low
    assert found[7].scale.high < 0
    for person in range(8):
        assert found[person].scale.n == sum(one.annotator == person for one in judgements)


@pytest.mark.slow
def test_intervals_hold_the_truth():
    scales = [1.6, 1.4, 1.2, 1.0, 1.0, 0.8, 0.6, 0.4]
    unit = sum(scale**2 for scale in scales) / sum(scales)
    hits = 0
    for seed in range(5):
        found = reliability(simulated(scales=scales, tasks=80, seed=seed))
        hits += sum(found[i].scale.low <= scale / unit <= found[i].scale.high for i, scale in enumerate(scales))
    assert hits >= 36  # of 40


def test_who_ranked_little_is_held_to_be_typical():
    judgements = simulated(tasks=100, people=6)
    newcomer = judged("A > B > C > D", "D > C > B > A", task="x")
    judgements += [replace(one, annotator=name) for one, name in zip(newcomer, (0, "new"), strict=True)]
    found = reliability(judgements)["new"].scale
    assert 0.5 < found.value < 1.1
    assert found.high - found.low > 1.4
    assert found.n == 1


def test_ties_are_told_from_carelessness():
    often = simulated(tasks=200, people=4, ties=0.1, seed=3)
    often = [one if one.annotator else replace(one, order=coarser(one.order)) for one in often]
    found = reliability(often)
    assert found[0].ties.low > max(found[person].ties.high for person in (1, 2, 3))
    assert found[0].scale.value > 0.6


def coarser(order):
    """The two best are tied, and the two worst."""
    tiers = [item for tier in order.tiers for item in tier]
    return order.from_ranks([tiers.index(item) // 2 for item in range(order.items)])


def test_names_letters_and_order_do_not_matter():
    judgements = simulated(tasks=50)
    one = sorted(each.scale.value for each in reliability(judgements).values())
    other = sorted(each.scale.value for each in reliability(shuffled(judgements, 4)).values())
    assert one == pytest.approx(other, abs=1e-6)


def test_much_work_is_drawn_from(monkeypatch):
    judgements = simulated(tasks=300, people=5)
    whole = reliability(judgements)
    monkeypatch.setattr(module, "MOST_ANSWERS", 3000)
    some = reliability(judgements)
    for person in range(5):
        assert 80 <= some[person].scale.n <= 200
        assert some[person].scale.n + some[person].scale.left_out == whole[person].scale.n
        assert some[person].scale.low < whole[person].scale.value < some[person].scale.high


def test_who_ranked_alone_has_no_scale():
    found = reliability([*judged("A > B", task=1), *judged("A > B", "B > A", task=2)[1:]])
    assert [each.scale.why.id for each in found.values()] == ["alone", "alone"]
    assert reliability([]) == {}
