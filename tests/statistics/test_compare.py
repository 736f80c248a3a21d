"""Models compared: against reference numbers, closed forms and known strengths; groups that nothing links are told apart."""

import json
import os
from collections import Counter
from itertools import combinations
from math import exp, inf, log, sqrt
from pathlib import Path

import numpy as np
import pytest

from labeling.statistics import compare
from labeling.statistics.compare import davidson, models, rao_kupper
from labeling.statistics.judgements import Judgement
from tests.statistics.make import judged, order

REFERENCE = Path(os.environ.get("PERINGKAT_REAL_DATA", "/nowhere")) / "reference/values.json"


def ranked(strengths: list[float], *, tasks: int, items: int = 4, tie: float = 0.6, overlap: int = 1, seed: int = 0):
    """Rankings of outputs of sources drawn at random, from Gumbel noise around their strengths, and the sources of each task."""
    draws = np.random.default_rng(seed)
    judgements, sources = [], {}
    for task in range(tasks):
        chosen = [int(number) for number in draws.permutation(len(strengths))[:items]]
        sources[task] = [f"m{number}" for number in chosen]
        for person in range(overlap):
            scores = np.array(strengths)[chosen] + draws.gumbel(0, 1, items)
            best = np.argsort(-scores)
            ranks = np.empty(items, int)
            ranks[best] = np.r_[0, np.cumsum(-np.diff(scores[best]) > tie)]
            judgements.append(Judgement(task, person, order_of(ranks)))
    return judgements, sources


def order_of(ranks):
    return order("A > B").from_ranks([int(rank) for rank in ranks])


def pairwise(strengths: list[float], tie: float, *, tasks: int, model, seed: int = 0):
    """Tasks of two outputs, answered exactly as the model says."""
    draws = np.random.default_rng(seed)
    judgements, sources = [], {}
    for task in range(tasks):
        a, b = (int(number) for number in draws.choice(len(strengths), 2, replace=False))
        answer = draws.choice(["A > B", "A = B", "B > A"], p=model(np.array(strengths[a] - strengths[b]), tie))
        judgements.append(Judgement(task, "a", order(answer)))
        sources[task] = [f"m{a}", f"m{b}"]
    return judgements, sources


def duel(wins: int, ties: int, losses: int):
    """x against y."""
    texts = ["A > B"] * wins + ["A = B"] * ties + ["B > A"] * losses
    return [one for task, text in enumerate(texts) for one in judged(text, task=task)], {
        task: ["x", "y"] for task in range(len(texts))
    }


@pytest.mark.skipif(not REFERENCE.is_file(), reason="PERINGKAT_REAL_DATA is not set")
@pytest.mark.parametrize(
    ("name", "chances", "parameter"), [("davidson", davidson, "nu"), ("rao_kupper", rao_kupper, "theta")]
)
def test_chances_are_those_of_the_reference(name, chances, parameter):
    for case in json.loads(REFERENCE.read_text())[name]["cases"]:
        found = chances(np.array(case["score_difference"]), case[parameter])
        assert found == pytest.approx([case["p_first"], case["p_tie"], case["p_second"]], rel=1e-12, abs=1e-15)


def test_chances_by_hand():
    for difference in (-2.0, 0.0, 0.5, 60.0):
        for chances, tie in ((davidson, 0.5), (rao_kupper, 1.5)):
            found = chances(np.array(difference), tie)
            assert found.sum() == pytest.approx(1)
            assert found == pytest.approx(chances(np.array(-difference), tie)[::-1])
    assert davidson(np.array(0.5), 0.5) == pytest.approx(
        np.array([exp(0.25), 0.5, exp(-0.25)]) / (exp(0.25) + 0.5 + exp(-0.25))
    )
    assert rao_kupper(np.array(0.0), 2.0) == pytest.approx([1 / 3] * 3)


def test_two_sources_have_a_closed_form():
    """Davidson: e^d = wins / losses, ν = ties / √(wins · losses). Rao–Kupper: the shares of wins and losses are those of the chances."""
    judgements, sources = duel(60, 25, 30)
    found = models(judgements, sources)
    x, y = found.strengths
    assert (x.source, x.wins, x.ties, x.losses) == ("x", 60, 25, 30)
    assert x.strength.value - y.strength.value == pytest.approx(log(2), rel=2e-3)
    assert found.tie.value == pytest.approx(25 / sqrt(1800), rel=2e-3)
    assert x.win_share.value == pytest.approx(72.5 / 115)
    assert (found.wins, found.ties) == (((0, 60), (30, 0)), ((0, 25), (25, 0)))
    assert x.strength.low < x.strength.value < x.strength.high
    other = models(judgements, sources, model="rao_kupper")
    difference = other.strengths[0].strength.value - other.strengths[1].strength.value
    assert rao_kupper(np.array(difference), other.tie.value) == pytest.approx([60 / 115, 25 / 115, 30 / 115], rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "chances", "tie"), [("davidson", davidson, 0.8), ("rao_kupper", rao_kupper, 1.8)])
def test_known_strengths_are_found(model, chances, tie):
    true = [1.2, 0.4, 0.0, -0.5, -1.1]
    hits = 0
    for seed in range(4):
        found = models(*pairwise(true, tie, tasks=1500, model=chances, seed=seed), model=model)
        by_name = {each.source: each.strength for each in found.strengths}
        hits += sum(by_name[f"m{i}"].low <= value <= by_name[f"m{i}"].high for i, value in enumerate(true))
        hits += found.tie.low <= tie <= found.tie.high
        assert [by_name[f"m{i}"].value for i in range(5)] == pytest.approx(true, abs=0.3)
    assert hits >= 20  # of 24


@pytest.mark.parametrize(("model", "chances"), [("davidson", davidson), ("rao_kupper", rao_kupper)])
def test_the_fit_is_the_maximum_of_the_likelihood(model, chances):
    judgements, sources = ranked([0.5, 0.2, 0.0, -0.3, -0.9], tasks=80)
    found = models(judgements, sources, model=model)
    counts: Counter[tuple[str, str, int]] = Counter()
    for one in judgements:
        for a, b in combinations(range(4), 2):
            counts[sources[one.task][a], sources[one.task][b], one.order.compare(a, b)] += 1
    strengths = {each.source: each.strength.value for each in found.strengths}

    def likelihood(strengths, tie: float) -> float:
        raw = log(tie - (model == "rao_kupper"))
        prior = sum(value**2 for value in [*strengths.values(), raw]) / (2 * compare.WIDTH**2)
        return (
            sum(
                n * log(chances(np.array(strengths[a] - strengths[b]), tie)[1 - said])
                for (a, b, said), n in counts.items()
            )
            - prior
        )

    best = likelihood(strengths, found.tie.value)
    for step in (-0.02, 0.02):
        for name, value in strengths.items():
            assert likelihood({**strengths, name: value + step}, found.tie.value) < best
        assert likelihood(strengths, found.tie.value * (1 + step)) < best


@pytest.mark.slow
def test_intervals_are_those_of_drawing_tasks_with_all_their_rankings():
    """Three people rank each task and mostly agree: pairs are far from independent."""
    judgements, sources = ranked([0.8, 0.3, 0.0, -0.2, -0.9], tasks=60)
    judgements = [Judgement(one.task, person, one.order) for one in judgements for person in range(3)]
    found = models(judgements, sources)
    draws, values = np.random.default_rng(1), []
    by_task = {task: [one for one in judgements if one.task == task] for task in range(60)}
    for _round in range(60):
        chosen = list(enumerate(draws.integers(0, 60, 60)))
        again = [Judgement(copy, one.annotator, one.order) for copy, task in chosen for one in by_task[task]]
        fitted = models(again, {copy: sources[task] for copy, task in chosen})
        values.append(
            [next(each.strength.value for each in fitted.strengths if each.source == f"m{i}") for i in range(5)]
        )
    spread = np.std(values, axis=0)
    for i in range(5):
        figure = next(each.strength for each in found.strengths if each.source == f"m{i}")
        assert (figure.high - figure.low) / 4 == pytest.approx(spread[i], rel=0.35)


def test_what_nothing_links_is_told_apart():
    left, right = duel(6, 2, 4)[0], duel(3, 1, 4)[0]
    judgements = left + [Judgement(f"r{one.task}", one.annotator, one.order) for one in right]
    sources = {one.task: ["x", "y"] for one in left} | {f"r{one.task}": ["u", "v"] for one in right}
    sources |= {"lonely": ["z", "z"]}
    found = models([*judgements, *judged("A > B", task="lonely")], sources)
    assert found.groups == 3
    assert found.why.id == "disconnected"
    assert "3 groups" in str(found.why)
    groups = {each.source: each.group for each in found.strengths}
    assert groups["x"] == groups["y"] != groups["u"] == groups["v"] != groups["z"]
    for one, other in (("x", "y"), ("u", "v")):
        pair = [each.strength.value for each in found.strengths if each.source in (one, other)]
        assert sum(pair) == pytest.approx(0, abs=1e-9)
    lonely = next(each for each in found.strengths if each.source == "z")
    assert lonely.strength.value is None
    assert lonely.strength.why.id == lonely.win_share.why.id == "never_compared"
    assert models(left, sources).why is None


@pytest.mark.parametrize("model", ["davidson", "rao_kupper"])
@pytest.mark.parametrize("score", [(12, 0, 0), (0, 12, 0), (12, 3, 0), (9, 0, 3)])
def test_one_sided_and_tieless_results_stay_finite_with_wide_intervals(model, score):
    found = models(*duel(*score), model=model)
    strength = found.strengths[0].strength
    assert -inf < strength.low <= strength.value <= strength.high < inf
    assert found.tie.low <= found.tie.value <= found.tie.high
    if score[2] == 0 and score[0]:
        assert strength.high - strength.low > 2


def test_unknown_sources_and_the_same_source_twice_are_left_out():
    judgements = judged("A > B > C > D", "A > B > C > D")
    found = models(judgements, {0: ["x", None, "x", "y"]})
    assert {each.source: (each.wins, each.losses) for each in found.strengths} == {"x": (4, 0), "y": (0, 4)}
    assert found.strengths[0].strength.why.id == "few_tasks"
    nothing = models(judgements, {})
    assert (nothing.strengths, nothing.groups, nothing.why.id) == ((), 0, "nothing_compared")
    assert models([], {}).why.id == "nothing_compared"


def test_neither_letters_nor_the_order_of_rankings_matter():
    judgements, sources = ranked([0.5, 0.1, 0.0, -0.6], tasks=30, overlap=2)
    turned = [Judgement(one.task, one.annotator, one.order.relabel([2, 3, 0, 1])) for one in reversed(judgements)]
    one = models(judgements, sources)
    two = models(turned, {task: [names[i] for i in (2, 3, 0, 1)] for task, names in sources.items()})
    for a, b in zip(one.strengths, two.strengths, strict=True):
        assert (a.source, a.wins, a.ties) == (b.source, b.wins, b.ties)
        assert (a.strength.value, a.strength.low) == pytest.approx((b.strength.value, b.strength.low))
        assert a.win_share.low == pytest.approx(b.win_share.low)
