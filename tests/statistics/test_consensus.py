"""The consensus against trying every weak order, and what must make no difference to it."""

from functools import cache
from itertools import combinations, pairwise, product
from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.ranking import WeakOrder
from labeling.statistics.consensus import consensus, of_tasks
from labeling.statistics.judgements import Judgement
from tests.statistics.make import at_random, order, order_at_random


@cache
def every_weak_order(items: int) -> list[WeakOrder]:
    return [
        WeakOrder.from_ranks(ranks)
        for ranks in product(range(items), repeat=items)
        if set(ranks) == set(range(max(ranks) + 1))
    ]


def apart(one: WeakOrder, other: WeakOrder) -> float:
    """Pairs turned round, a tie against a strict answer is half of one; for two whole rankings (1 - τ-x) / 2 times the number of pairs."""
    answers = zip(answers_of(one), answers_of(other), strict=True)
    return sum(abs(x - y) / 2 for x, y in answers if x is not None and y is not None)


@cache
def answers_of(one: WeakOrder) -> list[int | None]:
    return [one.compare(*pair) for pair in combinations(range(one.items), 2)]


def slowly(orders: list[WeakOrder], weights: list[float] | None = None) -> tuple[list[tuple[int, ...]], int, float]:
    """The tiers that all nearest weak orders refine, how many they are, how near they are; only for votes about every output."""
    items = orders[0].items
    weights = weights or [1] * len(orders)
    distances = {
        tried: sum(weight * apart(tried, vote) for vote, weight in zip(orders, weights, strict=True))
        for tried in every_weak_order(items)
    }
    least = min(distances.values())
    near = [tried for tried, distance in distances.items() if distance <= least + 1e-9]
    fewest = min(len(tried.strict_pairs()) for tried in near)
    best = [tried for tried in near if len(tried.strict_pairs()) == fewest]
    tops = [
        {frozenset(i for tier in tried.tiers[:n] for i in tier) for n in range(len(tried.tiers) + 1)} for tried in best
    ]
    shared = sorted(set.intersection(*tops), key=len)
    return [tuple(sorted(upper - lower)) for lower, upper in pairwise(shared)], len(best), least


def spoken_of(orders: list[WeakOrder]) -> set[int]:
    return {
        i
        for vote in orders
        for pair in combinations(range(vote.items), 2)
        if vote.compare(*pair) is not None
        for i in pair
    }


@pytest.mark.parametrize(("items", "rounds"), [(2, 20), (3, 60), (4, 60), (5, 25)])
def test_it_is_exact(items, rounds):
    draws = np.random.default_rng(items)
    exact = several = 0
    for _round in range(rounds):
        votes = [order_at_random(draws, items) for _ in range(draws.integers(1, 7))]
        if spoken_of(votes) != set(range(items)):
            continue
        tiers, count, least = slowly(votes)
        found = consensus(votes)
        assert list(found.order.levels) == tiers
        assert found.optima == count
        assert isclose(found.distance, sum(apart(WeakOrder(items, tuple(tiers)), vote) for vote in votes))
        assert found.distance >= least - 1e-9
        exact += 1
        several += count > 1
    assert exact > rounds / 3
    assert several or items < 4


def test_it_is_exact_with_weights():
    draws = np.random.default_rng(1)
    for _round in range(25):
        votes = [order_at_random(draws, 4) for _ in range(5)]
        weights = [float(weight) for weight in draws.integers(1, 30, 5) / 7]
        if spoken_of(votes) == set(range(4)):
            tiers, count, _least = slowly(votes, weights)
            found = consensus(votes, weights=weights)
            assert (list(found.order.levels), found.optima) == (tiers, count)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 9))
def test_neither_letters_nor_the_order_of_people_matter(seed, items):
    draws = np.random.default_rng(seed)
    votes = [order_at_random(draws, items, line=True) for _ in range(draws.integers(1, 6))]
    to = [int(item) for item in draws.permutation(items)]
    found = consensus(votes)
    other = consensus([votes[i].relabel(to) for i in draws.permutation(len(votes))])
    assert other.order == (found.order and found.order.relabel(to))
    assert (other.optima, other.line_contested) == (found.optima, found.line_contested)
    assert other.distance == pytest.approx(found.distance)
    assert set(other.contested) == {tuple(sorted((to[a], to[b]))) for a, b in found.contested}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 9), st.integers(1, 3))
def test_who_all_agree_get_what_they_say(seed, items, people):
    vote = order_at_random(np.random.default_rng(seed), items, line=True)
    if not vote.strict_pairs() and not vote.tied_pairs():
        return
    found = consensus([vote] * people)
    said = {(a, b): vote.compare(a, b) for a, b in combinations(range(items), 2)}
    assert {pair: found.order.compare(*pair) for pair in said if said[pair] is not None} == {
        pair: answer for pair, answer in said.items() if answer is not None
    }
    assert found.order.acceptable() == vote.acceptable()
    assert (found.contested, found.distance) == ((), 0)
    if len(vote.rest) != 1:  # a rest of one is simply the last
        assert found.order == vote


def test_nine_outputs_come_as_near_as_any_order_tried():
    draws = np.random.default_rng(3)
    votes = [order_at_random(draws, 9) for _ in range(5)] + [order("A > B > C > D > E > F > G > H > I")]
    found = consensus(votes)
    assert found.optima == 1, "a draw with one nearest order was chosen, so that it is the nearest itself"
    tried = [*votes, *(order_at_random(draws, 9) for _ in range(300))]
    levels = found.order.ranks()
    for item, place in product(range(9), range(12)):  # and moving any one output anywhere brings it no nearer
        moved = [rank * 1.0 for rank in levels]
        moved[item] = place / 2
        tried.append(WeakOrder.from_ranks(moved))
    whole = [one for one in tried if one.is_complete]
    assert len(whole) > 300
    assert found.distance <= min(sum(apart(one, vote) for vote in votes) for one in whole) + 1e-9


@pytest.mark.parametrize(
    ("votes", "expected", "contested", "optima"),
    [
        (["A > B > C"], "A > B > C", "", 1),
        (["A > B", "B > A"], "A = B", "AB", 1),
        (["A > B", "A = B"], "A = B", "AB", 1),
        (["A > B", "A > B", "B > A"], "A > B", "", 1),
        (["A = B", "A = B", "B > A"], "A = B", "", 1),
        (["A > B > C", "B > C > A", "C > A > B"], "A = B = C", "AB AC BC", 3),
        (["A > B > C", "B > A > C"], "A = B > C", "AB", 1),
    ],
)
def test_small_cases_by_hand(votes, expected, contested, optima):
    found = consensus([order(vote) for vote in votes])
    assert found.order == order(expected)
    assert " ".join("ABC"[a] + "ABC"[b] for a, b in found.contested) == contested
    assert found.optima == optima


@pytest.mark.parametrize(
    ("votes", "items", "expected"),
    [
        (["C > B > *"], 5, "C > B > *"),
        (["C > B > *", "B > C > *"], 5, "B = C > *"),
        (["C > *", "C > *", "A > *"], 4, "C > A > *"),
        (["A > B"], 4, "A > B"),  # C and D: left out by all, no vote
        (["A > B", "C > D"], 4, "A = C > *"),  # nobody compared A with C: nothing strict is claimed
        (["A > B", "C > B"], 4, "A = C > B"),
    ],
)
def test_what_is_left_out_is_no_vote_and_what_is_behind_the_star_loses_to_the_named(votes, items, expected):
    assert consensus([order(vote, items) for vote in votes]).order == order(expected, items)


@pytest.mark.parametrize(
    ("votes", "expected", "contested"),
    [
        (["A > B | C", "A > B | C", "A | B > C"], "A > B | C", False),
        (["A > B | C", "A | B > C"], "A | B > C", True),  # not clearly acceptable stays below
        (["A > B > C", "A | B > C"], "A | B > C", False),  # who drew none says nothing about it
        (["A > B > C", "A > B > C"], "A > B > C", False),
        (["| A > B > C"], "| A > B > C", False),
        (["A > B > C |"], "A > B > C |", False),
        (["| A > B > *"], "| A > B > C", False),
        (["| *"], "| *", False),
        (["* |", "* |", "| *"], "* |", False),
    ],
)
def test_the_line_lies_where_it_turns_the_fewest_votes_round(votes, expected, contested):
    found = consensus([order(vote, 3) for vote in votes])
    assert found.order == order(expected, 3)
    assert found.line_contested is contested


def test_tasks_all_at_once_are_the_same_as_one_by_one():
    judgements = [one for seed in range(12) for one in at_random(seed)]
    judgements = [
        Judgement((i // 5, one.task, one.order.items), one.annotator, one.order) for i, one in enumerate(judgements)
    ]
    seen, votes = set(), {}
    for one in judgements:
        if (one.task, one.annotator) not in seen:
            seen.add((one.task, one.annotator))
            votes.setdefault(one.task, []).append(one.order)
    assert of_tasks(judgements) == {task: consensus(orders) for task, orders in votes.items()}
    assert of_tasks([]) == {}


def test_repeats_are_no_further_votes():
    judgements = [
        Judgement(1, "a", order("A > B")),
        Judgement(1, "a", order("B > A"), 1),
        Judgement(1, "b", order("A > B")),
    ]
    assert of_tasks(judgements)[1] == consensus([order("A > B"), order("A > B")])


def test_nothing_to_say():
    with pytest.raises(ValueError, match="rankings"):
        consensus([])
    with pytest.raises(ValueError, match="same outputs"):
        consensus([order("A > B"), order("A > B > C")])
    nothing = consensus([order("A", 3), order("B |", 3)])
    assert nothing.order is None
    assert nothing.tiers == ()
    assert nothing.votes.above == (0, 1, 0)
