"""Agreement: each figure against a slow version that compares rankings one by one, and what must make no difference to it."""

from collections import Counter
from dataclasses import replace
from itertools import combinations
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.statistics import agreement
from labeling.statistics.judgements import Judgement, Table
from tests.statistics.make import at_random, judged, order, shuffled, simulated

seeds = st.integers(0, 10**9)


def first_ones(judgements: list[Judgement]) -> list[Judgement]:
    found: dict[object, Judgement] = {}
    for one in sorted(judgements, key=lambda one: one.repeat):
        found.setdefault((one.task, one.annotator), one)
    return list(found.values())


def compared(judgements: list[Judgement], with_themselves: bool = False):
    """Every two rankings that are to be compared."""
    chosen = judgements if with_themselves else first_ones(judgements)
    for one, other in combinations(chosen, 2):
        if one.task == other.task and (one.annotator == other.annotator) == with_themselves:
            yield one, other


def slowly(judgements: list[Judgement], with_themselves: bool = False) -> dict[str, float | None]:
    answers, agreed, taus_b, taus_x = Counter(), Counter(), [], []
    for one, other in compared(judgements, with_themselves):
        for a, b in combinations(range(one.order.items), 2):
            x, y = one.order.compare(a, b), other.order.compare(a, b)
            if x is None or y is None:
                continue
            answers.update([x, y])
            kind = "both_tied" if x == y == 0 else "same" if x == y else "one_tied" if 0 in (x, y) else "opposite"
            agreed[kind] += 1
        taus_b.append(one.order.tau_b(other.order))
        taus_x.append(one.order.tau_x(other.order))
    total = agreed.total()
    if not total:
        return dict.fromkeys(("raw", "chance_corrected", "strict", "ties", "tau_b", "tau_x"))
    raw = (agreed["same"] + agreed["both_tied"]) / total
    ties = answers[0] / answers.total()
    chance = ties**2 + 2 * ((1 - ties) / 2) ** 2
    strict = agreed["same"] + agreed["opposite"]

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    return {
        "raw": raw,
        "chance_corrected": None if ties == 1 else (raw - chance) / (1 - chance),
        "strict": agreed["same"] / strict if strict else None,
        "ties": ties,
        "tau_b": mean(taus_b),
        "tau_x": mean(taus_x),
    }


def figures_of(found: agreement.Summary) -> dict[str, agreement.Figure]:
    names = ("raw", "chance_corrected", "strict", "ties")
    return {**{name: getattr(found.three_way, name) for name in names}, "tau_b": found.tau_b, "tau_x": found.tau_x}


def assert_alike(found: agreement.Summary, slow: dict[str, float | None]) -> None:
    for name, figure in figures_of(found).items():
        if slow[name] is None:
            assert figure.value is None
            assert figure.why is not None, name
        else:
            assert isclose(figure.value, slow[name], abs_tol=1e-9), name


@pytest.mark.slow
@settings(max_examples=60)
@given(seeds)
def test_agreement_is_what_comparing_one_by_one_gives(seed):
    judgements = at_random(seed)
    found = agreement.summary(judgements)
    assert_alike(found, slowly(judgements))
    assert found.rankings == len(first_ones(judgements))
    assert found.three_way == agreement.three_way(judgements)
    assert (found.tau_b, found.tau_x) == (agreement.tau_b(judgements), agreement.tau_x(judgements))


@pytest.mark.slow
@settings(max_examples=60)
@given(seeds)
def test_each_persons_agreement_is_that_of_the_comparisons_they_are_part_of(seed):
    judgements = at_random(seed)
    found = agreement.by_annotator(judgements)
    assert set(found) == {one.annotator for one in judgements}
    for person, summary in found.items():
        mine = [pair for pair in compared(judgements) if person in (pair[0].annotator, pair[1].annotator)]
        taus = [tau for one, other in mine if (tau := one.order.tau_x(other.order)) is not None]
        assert summary.rankings == sum(one.annotator == person for one in first_ones(judgements))
        assert summary.tau_x.n == len(taus)
        if taus:
            assert isclose(summary.tau_x.value, sum(taus) / len(taus), abs_tol=1e-9)
        else:
            assert summary.tau_x.why.id == "alone"


@settings(max_examples=60)
@given(seeds)
def test_agreement_with_oneself_compares_repeats_of_the_same_task(seed):
    judgements = at_random(seed)
    found = agreement.with_themselves(judgements)
    assert_alike(found.everyone, slowly(judgements, with_themselves=True))
    for person, summary in found.people.items():
        assert_alike(summary, slowly([one for one in judgements if one.annotator == person], with_themselves=True))


def test_repeats_count_for_nothing_between_people():
    once = simulated(tasks=8)
    twice = once + [replace(one, repeat=1, order=order("A = B = C = D")) for one in once]
    assert agreement.summary(twice) == agreement.summary(once)
    assert agreement.with_themselves(twice).everyone.tau_x.n == len(once)


def test_slices_hold_the_rankings_with_their_value():
    rounds = [replace(one, slices={"round": str(one.task % 3)}) for one in simulated(tasks=30)]
    rounds += [replace(one, task=f"x{one.task}") for one in simulated(tasks=6, items=3, seed=1)]
    found = agreement.by_slice(rounds, "round")
    assert list(found) == ["0", "1", "2"]
    for value, summary in found.items():
        assert summary == agreement.summary([one for one in rounds if one.slices.get("round") == value])
    assert {size: summary.rankings for size, summary in agreement.by_slice(rounds, "K").items()} == {"3": 18, "4": 90}


@pytest.mark.parametrize("seed", [1, 2])
def test_neither_names_nor_letters_nor_the_order_of_rankings_matter_not_even_to_intervals(seed):
    judgements = simulated(tasks=40)
    other = shuffled(judgements, seed)
    assert agreement.summary(judgements).three_way.raw.low is not None
    for one, two in zip(
        figures_of(agreement.summary(judgements)).values(), figures_of(agreement.summary(other)).values(), strict=True
    ):
        assert (one.value, one.low, one.high, one.n) == pytest.approx((two.value, two.low, two.high, two.n))
    for metric in ("ordinal", "nominal"):
        one, two = agreement.alpha(judgements, metric=metric), agreement.alpha(other, metric=metric)
        assert (one.value, one.low, one.high, one.n) == pytest.approx((two.value, two.low, two.high, two.n))


def test_chance_is_what_people_reach_who_do_not_look():
    blind = simulated(scales=[0.0] * 8, tasks=800)
    found = agreement.summary(blind).three_way
    assert found.chance_corrected.low < 0 < found.chance_corrected.high
    assert found.strict.low < 0.5 < found.strict.high
    assert abs(agreement.tau_b(blind).value) < 0.05


def test_all_agree():
    found = agreement.summary([one for task in range(6) for one in judged("A > B = C", "A > B = C", task=task)])
    assert [figure.value for figure in figures_of(found).values()] == pytest.approx([1, 1, 1, 1 / 3, 1, 1])


@pytest.mark.parametrize(
    ("texts", "name", "why"),
    [
        (["A > B"], "raw", "no_overlap"),
        (["A > B", "C > D"], "raw", "no_overlap"),
        (["A = B", "A = B"], "chance_corrected", "all_tied"),
        (["A = B", "A > B"], "strict", "no_strict"),
        (["A = B", "A > B"], "tau_b", "one_ties_all"),
    ],
)
def test_what_cannot_be_told_says_why(texts, name, why):
    found = figures_of(agreement.summary(judged(*texts)))[name]
    assert found.value is None
    assert found.why.id == why


def test_an_interval_needs_some_tasks():
    few = agreement.tau_x([one for task in range(4) for one in judged("A > B", "B > A", task=task)])
    assert (few.value, few.low, few.high, few.tasks) == (-1, None, None, 4)
    assert str(few.why) == "An interval needs at least 5 tasks; these are 4."
    assert agreement.tau_x(simulated(tasks=5)).low is not None


def test_no_rankings_at_all_are_no_error():
    found = agreement.summary([])
    assert found.rankings == 0
    assert found.tau_x.why.id == "no_overlap"
    assert agreement.by_annotator([]) == {}
    assert agreement.with_themselves([]).people == {}
    assert agreement.by_slice([], "K") == {}
    assert agreement.alpha([]).why.id == agreement.alpha([], metric="nominal").why.id == "no_overlap"


def test_rankings_of_one_task_rank_the_same_outputs():
    with pytest.raises(ValueError, match="different numbers of outputs"):
        Table.of([Judgement(1, "a", order("A > B")), Judgement(1, "b", order("A > B > C"))])
