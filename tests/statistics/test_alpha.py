"""Krippendorff's α against the definition worked out value by value, and against a published example."""

from collections import defaultdict
from itertools import permutations
from math import isclose

import pytest
from hypothesis import given, settings

from labeling.statistics import agreement
from labeling.statistics.judgements import Judgement
from tests.statistics.make import at_random, judged, order, simulated
from tests.statistics.test_agreement import first_ones, seeds


def slowly(units: list[list[float]], ordinal: bool) -> tuple[float, float]:
    """(observed, by chance) disagreement summed over all pairable values; `units`: the values of each unit."""
    coincidences: dict[tuple[float, float], float] = defaultdict(float)
    for values in units:
        for one, other in permutations(range(len(values)), 2):
            coincidences[values[one], values[other]] += 1 / (len(values) - 1)
    each: dict[float, float] = defaultdict(float)
    for (one, _other), weight in coincidences.items():
        each[one] += weight
    n = sum(each.values())

    def distance(one: float, other: float) -> float:
        if not ordinal:
            return float(one != other)
        low, high = sorted((one, other))
        between = sum(count for value, count in each.items() if low <= value <= high)
        return ((between - (each[one] + each[other]) / 2) / n) ** 2

    observed = sum(weight * distance(*pair) for pair, weight in coincidences.items())
    by_chance = sum(each[a] * each[b] * distance(a, b) for a in each for b in each) / (n - 1) if n > 1 else 0.0
    return observed, by_chance


def places_of(ranking, item: int) -> float | None:
    ranks = ranking.ranks()
    if ranks[item] is None or item in ranking.rest:
        return None
    said = [rank for rank in ranks if rank is not None]
    above, equal = sum(rank < ranks[item] for rank in said), said.count(ranks[item])
    return round((above + equal / 2) / len(said), 9)


@pytest.mark.slow
@settings(max_examples=60)
@given(seeds)
def test_ordinal_alpha_is_that_of_the_places_in_tasks_of_one_size(seed):
    judgements = at_random(seed)
    units: dict[int, dict[object, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in first_ones(judgements):
        for item in range(one.order.items):
            place = places_of(one.order, item)
            if place is not None:
                units[one.order.items][one.task, item].append(place)
    sums = [slowly(list(of_size.values()), ordinal=True) for of_size in units.values()]
    observed, by_chance = (sum(each) for each in zip(*sums, strict=True))
    found = agreement.alpha(judgements)
    if by_chance < 1e-12:
        assert found.value is None
        assert found.why.id in ("no_overlap", "no_variation")
    else:
        assert isclose(found.value, 1 - observed / by_chance, abs_tol=1e-9)


@settings(max_examples=60)
@given(seeds)
def test_nominal_alpha_looks_at_each_pair_from_both_sides(seed):
    judgements = at_random(seed)
    units: dict[object, list[float]] = defaultdict(list)
    for one in first_ones(judgements):
        for a, b in permutations(range(one.order.items), 2):
            answer = one.order.compare(a, b)
            if answer is not None:
                units[one.task, a, b].append(answer)
    observed, by_chance = slowly(list(units.values()), ordinal=False)
    found = agreement.alpha(judgements, metric="nominal")
    if by_chance < 1e-12:
        assert found.value is None
        assert found.why.id in ("no_overlap", "no_variation")
    else:
        assert isclose(found.value, 1 - observed / by_chance, abs_tol=1e-9)


def test_the_example_of_krippendorff():
    """Four observers, twelve units, values missing: ordinal 0.815 (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability)."""
    observers = {
        "a": "1 2 3 3 2 1 4 1 2 . . .",
        "b": "1 2 3 3 2 2 4 1 2 5 . 3",
        "c": ". 3 3 3 2 3 4 2 2 5 1 .",
        "d": "1 2 3 3 2 4 4 1 2 5 1 .",
    }
    judgements = [
        Judgement(task, name, order("A = B = C = D"), answers={"quality": values[4 * task : 4 * task + 4]})
        for name, text in observers.items()
        for values in [[None if value == "." else float(value) for value in text.split()]]
        for task in range(3)
    ]
    found = agreement.on_question(judgements, "quality")
    assert round(found.value, 3) == 0.815
    assert found.n == 40  # one of 41 values stands alone in its unit
    assert agreement.on_question(judgements, "humour").why.id == "no_answers"


def test_half_agreement_by_hand():
    """Two people, A > B and B > A in turn: places 1/4 and 3/4 are never shared."""
    judgements = [one for task in range(6) for one in judged("A > B", "B > A", task=task)]
    assert agreement.alpha(judgements).value == pytest.approx(1 - 24 / (2 * 12 * 12 / 23))
    assert agreement.alpha(judgements, metric="nominal").value == pytest.approx(1 - 24 / (2 * 12 * 12 / 23))


def test_blind_people_have_no_agreement_and_alike_ones_all():
    for metric in ("ordinal", "nominal"):
        blind = agreement.alpha(simulated(scales=[0.0] * 8, tasks=500), metric=metric)
        assert blind.low < 0 < blind.high
        alike = [one for task in range(6) for one in judged("A > B = C", "A > B = C", task=task)]
        assert agreement.alpha(alike, metric=metric).value == 1


def test_alpha_says_why_it_is_missing():
    assert agreement.alpha(judged("A > B")).why.id == "no_overlap"
    for metric in ("ordinal", "nominal"):
        assert agreement.alpha(judged("A = B", "A = B"), metric=metric).why.id == "no_variation"
        assert agreement.alpha(judged("A > B > C", "A > C > B"), metric=metric).why.id == "few_tasks"
