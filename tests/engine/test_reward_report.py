"""The figures of a reward model against slow twins, and against cases whose answer is plain."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from labeling.ranking import WeakOrder
from labeling.statistics.ceiling import human_ceiling
from labeling.statistics.judgements import Judgement
from training.engine.diversity import distinct_ngrams
from training.engine.intervals import clustered_share, wilson
from training.engine.methods.reward.ensemble import auc, by_doubt, doubts, shares
from training.engine.methods.reward.judging import judged
from training.engine.methods.reward.rankings import Ranking
from training.engine.methods.reward.report import (
    Pairs,
    Scored,
    chance_log_loss,
    length_slope,
    report,
    three_way_log_loss,
    tie_threshold,
)
from training.engine.preferences import RaoKupper


def scored(text: str, scores: list[float], tokens: list[int] | None = None, prompt: object = None) -> Scored:
    lengths = np.array(tokens or [10] * len(scores))
    return Scored(WeakOrder.parse(text, items=len(scores)), np.array(scores), lengths, prompt)


def some(n: int = 40, seed: int = 0) -> list[Scored]:
    """Rankings of 2..5 outputs whose scores agree with them more often than not; every prompt is ranked twice."""
    choose = np.random.default_rng(seed)
    found = []
    for number in range(n):
        ranks = choose.integers(0, 3, size=int(choose.integers(2, 6)))
        order = WeakOrder.from_ranks(list(ranks))
        scores = -ranks + choose.normal(0, 0.8, size=len(ranks))
        found.append(Scored(order, scores, choose.integers(5, 50, size=len(ranks)), number // 2))
    return found


def rao_kupper(theta: float):
    def outcomes(d: np.ndarray) -> np.ndarray:
        first, second = 1 / (1 + theta * np.exp(-d)), 1 / (1 + theta * np.exp(d))
        return np.stack([first, 1 - first - second, second], -1)

    return outcomes


def pairs_of(rankings: list[Scored]):
    """(score difference, tied) of every pair, in plain Python."""
    for ranking in rankings:
        for a, b in itertools.combinations(range(ranking.order.items), 2):
            said = ranking.order.compare(a, b)
            if said is not None:
                d = ranking.scores[a] - ranking.scores[b]
                yield (-d if said < 0 else d), said == 0


def test_accuracy_and_log_loss_equal_the_slow_twin():
    train, heldout = some(seed=1), some(seed=2)
    found = report(train, heldout, rao_kupper(1.6))
    strict = [d for d, tied in pairs_of(heldout) if not tied]
    tied = [d for d, tied in pairs_of(heldout) if tied]
    assert found["heldout_strict_pairs"] == len(strict)
    assert found["heldout_tied_pairs"] == len(tied)
    assert found["accuracy"] == pytest.approx(sum(d > 0 for d in strict) / len(strict))
    assert found["accuracy_low"] < found["accuracy"] < found["accuracy_high"]
    losses = [math.log(1 + 1.6 * math.exp(-d)) for d in strict]
    losses += [-math.log(1 - 1 / (1 + 1.6 * math.exp(-d)) - 1 / (1 + 1.6 * math.exp(d))) for d in tied]
    assert found["log_loss_three_way"] == pytest.approx(sum(losses) / len(losses))
    threshold = found["tie_threshold"]
    right = sum(abs(d) <= threshold for d in tied) + sum(d > threshold for d in strict)
    assert found["tie_aware_accuracy"] == pytest.approx(right / (len(strict) + len(tied)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_the_tie_threshold_agrees_best_among_all(seed):
    rankings = some(12, seed)
    found = tie_threshold(Pairs.of(rankings))

    def agreement(threshold: float) -> int:
        return sum(abs(d) <= threshold if tied else d > threshold for d, tied in pairs_of(rankings))

    candidates = [0.0, *(abs(d) for d, _tied in pairs_of(rankings))]
    assert agreement(found) == max(agreement(threshold) for threshold in candidates)


def test_where_nobody_ties_the_threshold_is_zero_and_where_all_do_it_takes_them_in():
    assert tie_threshold(Pairs.of([scored("A > B", [1.0, 0.0]), scored("A > B > C", [3.0, 2.0, 0.5])])) == 0
    assert tie_threshold(Pairs.of([scored("A = B", [1.0, 0.0])])) >= 1


def test_equal_scores_are_half_right():
    found = report([scored("A > B", [1.0, 0.0])], [scored("A > B", [2.0, 2.0])], rao_kupper(1.5))
    assert found["accuracy"] == 0.5


def test_one_who_knows_only_how_often_people_tie():
    train = [scored("A = B", [0.0, 0.0]), scored("A > B", [0.0, 0.0]), scored("B > A", [0.0, 0.0])]
    expected = -(1 / 3) * math.log(1 / 3) - (2 / 3) * math.log(1 / 3)
    assert chance_log_loss(Pairs.of(train), Pairs.of(train)) == pytest.approx(expected)
    # A model whose scores are all equal can do no better than that with the right θ: P(tie) = 1/3 at θ = 2.
    assert three_way_log_loss(Pairs.of(train), rao_kupper(2.0)) == pytest.approx(expected)


def test_the_engine_and_numpy_have_the_same_tie_model():
    import torch

    d = np.linspace(-4, 4, 9)
    found = RaoKupper(1.8, learned=False).double().outcomes(torch.from_numpy(d)).detach().numpy()
    assert found == pytest.approx(rao_kupper(1.8)(d), rel=1e-6)


def test_the_length_slope_is_the_gain_per_doubling_within_a_prompt():
    lengths = [8, 16, 32]
    long_liked = [scored("A > B > C", [0.0 + base, 0.3 + base, 0.6 + base], lengths) for base in (0.0, 5.0, -9.0)]
    assert length_slope(long_liked) == pytest.approx(0.3)
    assert length_slope([scored("A > B", [1.0, 0.0], [60, 61])]) is None  # too alike to say
    found = report(long_liked, long_liked, rao_kupper(1.5))
    assert found["longer_accuracy"] == 0  # the shortest was the best here


def test_pairs_of_one_prompt_do_not_count_as_many():
    """The same hits: in prompts of their own the interval is narrow, hanging together it is wide."""
    alone = clustered_share([1, 0] * 50, [1] * 100)
    together = clustered_share([25, 0] * 2, [25] * 4)
    assert alone[1] - alone[0] < 0.25 < together[1] - together[0]
    assert clustered_share([3], [4]) == (0.0, 1.0)
    assert clustered_share([1, 0] * 50, [1] * 100) == alone


def test_wilson_intervals():
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)
    assert wilson(5.5, 11) == pytest.approx((1 - wilson(5.5, 11)[1], wilson(5.5, 11)[1]))


def test_distinct_runs_of_words():
    assert distinct_ngrams(["a b c d"]) == (1.0, 1.0)
    within, across = distinct_ngrams(["a b c", "A b  c"])
    assert (within, across) == (1.0, 0.5)
    assert distinct_ngrams(["a a a a a"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert distinct_ngrams(["too short", ""]) == (None, None)


# Where it is right and where not


def shared(prompts: int = 30, people: int = 3, seed: int = 0) -> list[Scored]:
    """Tasks of four outputs that several people ranked by a common taste with noise; the model scores by the taste itself, badly on one output."""
    choose = np.random.default_rng(seed)
    found = []
    for prompt in range(prompts):
        taste = choose.normal(0, 1, size=4)
        scores = taste + choose.normal(0, 0.5, size=4)
        for person in range(people):
            felt = np.round(taste + choose.normal(0, 0.4 + person, size=4))
            whole = WeakOrder.from_ranks([*(-felt[:3]).tolist(), None if person else -felt[3]])
            said = tuple(range(3 if person else 4))
            order = whole.restrict(said)
            here = scores[list(said)]
            found.append(Scored(order, here, np.ones(len(here)), prompt, f"p{person}", ("t", prompt), whole, said))
    return found


def test_accuracy_by_annotator_distance_and_items_adds_up_to_the_whole():
    rankings = shared()
    found = judged(rankings, rao_kupper(1.5))
    strict = [pair for r in rankings for pair in r.order.strict_pairs()]
    for name in ("by_distance", "by_items", "by_annotator"):
        assert sum(row["pairs"] for row in found[name]) == len(strict)
    by_hand = [
        float(r.scores[a] > r.scores[b]) for r in rankings if r.annotator == "p0" for a, b in r.order.strict_pairs()
    ]
    own = next(row for row in found["by_annotator"] if row["of"] == "p0")
    assert own["value"] == pytest.approx(np.mean(by_hand))
    assert own["low"] < own["value"] < own["high"]
    assert [row["of"] for row in found["by_items"]] == [3, 4]
    assert found["by_annotator"][0]["pairs"] == max(row["pairs"] for row in found["by_annotator"])
    near, far = found["by_distance"][0], found["by_distance"][-1]
    assert near["of"] == 1 < far["of"]
    assert near["value"] < far["value"]


@pytest.mark.slow
def test_a_model_that_is_as_sure_as_it_may_be_is_calibrated():
    """People who rank by the model's own scores and tie model: what it expects happens."""
    choose = np.random.default_rng(0)
    outcomes = rao_kupper(1.5)
    found = []
    for prompt in range(3000):
        scores = choose.normal(0, 1.5, size=2)
        first, tie, _second = outcomes(np.array([scores[0] - scores[1]]))[0]
        drawn = choose.random()
        text = "A > B" if drawn < first else "A = B" if drawn < first + tie else "B > A"
        found.append(Scored(WeakOrder.parse(text), scores, np.ones(2), prompt))
    bins = judged(found, outcomes)["calibration"]
    assert len(bins) == 10
    assert sum(row["pairs"] for row in bins) == 3000
    assert sum(row["low"] <= row["predicted"] <= row["high"] for row in bins) >= 8
    assert [row["predicted"] for row in bins] == sorted(row["predicted"] for row in bins)
    boastful = judged([replace(r, scores=r.scores * 4) for r in found], outcomes)["calibration"]
    assert sum(row["predicted"] > row["high"] for row in boastful) >= 5


def test_people_on_the_same_tasks_stand_beside_the_model():
    rankings = shared(people=3)
    found = judged(rankings, rao_kupper(1.5))["people"]
    assert found["tasks"] == 30
    judgements = [Judgement(r.task, r.annotator, r.whole) for r in rankings]
    assert found["person"]["value"] == human_ceiling(judgements).strict_by_person.value
    strict = [(r, a, b) for r in rankings for a, b in r.order.strict_pairs()]
    assert found["model"]["value"] == pytest.approx(np.mean([float(r.scores[a] > r.scores[b]) for r, a, b in strict]))
    assert found["person"]["value"] < found["model"]["value"] < found["consensus"]["value"]


def test_where_nobody_shared_a_task_people_cannot_be_compared_and_it_says_why():
    found = judged(shared(people=1), rao_kupper(1.5))["people"]
    assert found["tasks"] == 0
    assert found["person"]["value"] is None
    assert found["person"]["why"]["id"]
    assert found["model"] is None
    assert found["consensus"] is None


def ensemble_of(scale: float, seed: int = 3) -> list[Scored]:
    """Four heads that stand apart; about every second ranking the model errs, and there they stand `scale` times as far apart."""
    choose = np.random.default_rng(seed)
    found = []
    for number in range(60):
        ranks = choose.permutation(4)
        errs = number % 2
        mean = (ranks if errs else -ranks) + choose.normal(0, 0.3, size=4)
        noise = choose.normal(0, 0.2 * (scale if errs else 1), size=(4, 4))
        heads = mean[:, None] + noise - noise.mean(1, keepdims=True)
        order = WeakOrder.from_ranks([int(rank) for rank in ranks])
        found.append(Scored(order, mean, np.ones(4), number, by_head=heads))
    return found


@pytest.mark.slow
def test_disagreement_that_stands_where_the_model_errs_is_found_and_other_is_not():
    knows, does_not = (Pairs.of(ensemble_of(scale)) for scale in (8.0, 1.0))
    best, least, worst = by_doubt(knows)
    assert best["value"] > 0.9 > worst["value"]
    assert best["doubt"] < least["doubt"] < worst["doubt"] <= 0.5
    assert best["pairs"] + least["pairs"] + worst["pairs"] == 60 * 6
    found = doubts(knows, rao_kupper(1.5))
    assert found["error_auc"] > 0.9
    assert 0.5 < found["error_auc_low"] < found["error_auc"] < found["error_auc_high"]
    other = doubts(does_not, rao_kupper(1.5))
    assert other["error_auc_low"] < 0.5 < other["error_auc_high"]
    assert found["log_loss_averaged"] < three_way_log_loss(knows, rao_kupper(1.5))


def test_the_area_under_the_curve_is_that_of_all_pairs_of_a_wrong_and_a_right_one():
    choose = np.random.default_rng(5)
    value, wrong = choose.integers(0, 5, size=30).astype(float), choose.random(30) < 0.4
    weight = choose.integers(0, 3, size=30)
    many = [(v, w) for v, w, n in zip(value, wrong, weight, strict=True) for _time in range(n)]
    bad, right = [v for v, w in many if w], [v for v, w in many if not w]
    slow = np.mean([(b > r) + 0.5 * (b == r) for b in bad for r in right])
    assert auc(value, wrong, weight) == pytest.approx(slow)
    assert np.isnan(auc(value, np.zeros(30, bool), weight))


def test_every_head_weighs_the_rankings_alike_on_the_whole_and_prompts_by_themselves():
    rankings = [Ranking(None, None, 1.0, (), None, f"prompt {n % 7}", None, None, ()) for n in range(20)]
    found = shares(rankings, 3, seed=1)
    assert np.mean([found[r.prompt] for r in rankings], axis=0).tolist() == pytest.approx([1.0] * 3)
    assert (np.array(list(found.values())) > 0).all()
    assert np.ptp([found[prompt][0] for prompt in found]) > 0.1
    again = shares(rankings[::-1], 3, seed=1)
    assert all(np.allclose(found[prompt], again[prompt]) for prompt in found)
    assert not np.allclose(found["prompt 0"], shares(rankings, 3, seed=2)["prompt 0"])
