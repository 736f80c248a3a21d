"""The human ceiling against predicting each person in turn."""

from itertools import combinations

import pytest
from hypothesis import given, settings

from labeling.statistics import ceiling
from labeling.statistics.consensus import consensus
from tests.statistics.make import at_random, judged, shuffled, simulated
from tests.statistics.test_agreement import first_ones, seeds


def shares(predictions: list[tuple[int | None, int | None]]) -> tuple[float | None, float | None]:
    """(strict, three-way) of (predicted, said)."""
    known = [(predicted, said) for predicted, said in predictions if predicted is not None and said is not None]
    strict = [(predicted, said) for predicted, said in known if said != 0]
    right = [1 if predicted == said else 0.5 if predicted == 0 else 0 for predicted, said in strict]
    same = [predicted == said for predicted, said in known]
    return sum(right) / len(right) if right else None, sum(same) / len(same) if same else None


def slowly(judgements):
    by_person, by_consensus = [], []
    first = first_ones(judgements)
    for one in first:
        others = [other.order for other in first if other.task == one.task and other is not one]
        predictors = [(other, by_person) for other in others]
        if len(others) > 1:
            order = consensus(others).order
            # What nobody spoke of is no prediction; a rest within which the others said nothing is predicted as tied.
            ranks = order.ranks() if order else ()
            for a, b in combinations(range(one.order.items), 2):
                if ranks and ranks[a] and ranks[b]:
                    predicted = (ranks[b] > ranks[a]) - (ranks[b] < ranks[a])
                    by_consensus.append((predicted, one.order.compare(a, b)))
        for other, into in predictors:
            for a, b in combinations(range(one.order.items), 2):
                into.append((other.compare(a, b), one.order.compare(a, b)))
    return (*shares(by_person), *shares(by_consensus))


@pytest.mark.slow
@settings(max_examples=60)
@given(seeds)
def test_it_is_what_predicting_everybody_in_turn_gives(seed):
    judgements = at_random(seed)
    found = ceiling.human_ceiling(judgements)
    figures = (
        found.strict_by_person,
        found.three_way_by_person,
        found.strict_by_consensus,
        found.three_way_by_consensus,
    )
    for figure, slow in zip(figures, slowly(judgements), strict=True):
        assert figure.value == (None if slow is None else pytest.approx(slow))
        assert (figure.value is None) == (figure.why is not None and figure.why.id != "few_tasks")


def test_a_ceiling_lies_between_chance_and_certainty_and_others_together_predict_better_than_one():
    found = ceiling.human_ceiling(simulated(tasks=200, overlap=5, ties=0.0))
    assert 0.5 < found.strict_by_person.low < found.strict_by_person.high < found.strict_by_consensus.value < 1


def test_names_letters_and_order_do_not_matter():
    judgements = simulated(tasks=30)
    one, other = ceiling.human_ceiling(judgements), ceiling.human_ceiling(shuffled(judgements, 1))
    for name in ("strict_by_person", "three_way_by_person", "strict_by_consensus", "three_way_by_consensus"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a.value, a.low, a.high, a.n) == pytest.approx((b.value, b.low, b.high, b.n))


def test_where_leaving_everybody_out_takes_long_tasks_are_drawn(monkeypatch):
    judgements = simulated(tasks=200, items=4)
    whole = ceiling.human_ceiling(judgements).strict_by_consensus
    monkeypatch.setattr(ceiling, "MOST_STEPS", 300 * 3**4)
    some = ceiling.human_ceiling(judgements).strict_by_consensus
    assert whole.n / 3 < some.n < whole.n * 2 / 3
    assert whole.low < some.value < whole.high


def test_it_says_why_it_is_missing():
    alone = ceiling.human_ceiling(judged("A > B"))
    assert alone.strict_by_person.why.id == alone.three_way_by_person.why.id == "no_overlap"
    two = ceiling.human_ceiling(judged("A = B", "A = B"))
    assert (two.strict_by_person.why.id, two.three_way_by_person.value) == ("no_strict", 1)
    assert two.strict_by_consensus.why.id == two.three_way_by_consensus.why.id == "two_others"
