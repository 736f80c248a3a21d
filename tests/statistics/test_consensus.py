"""The consensus against trying every weak order, and what must make no difference to it."""

from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations, product
from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.ranking import WeakOrder
from labeling.statistics.consensus import consensus, of_many
from labeling.statistics.contested import votes as votes_of
from tests.statistics.make import order, order_at_random


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


@dataclass(frozen=True)
class Slowly:
    """What trying every weak order and every exchange of letters tells."""

    nearest: list[WeakOrder]
    least: float
    label_free: list[
        tuple[float, WeakOrder]
    ]  # orders that tie what some exchange of letters maps onto each other, and how near they are
    agreed: set[tuple[int, int]]  # what all nearest orders have above what

    @property
    def fewest_strict(self) -> int:
        fewest = min(len(each.strict_pairs()) for each in self.nearest)
        return sum(len(each.strict_pairs()) == fewest for each in self.nearest)

    def is_right(self, found: WeakOrder, distance: float) -> bool:
        keeping = [each for each in self.label_free if self.agreed <= set(each[1].strict_pairs())]
        near = [each for away, each in self.label_free if away <= self.least + 1e-9]
        if not near:
            least = min(away for away, _order in keeping)
            near = [each for away, each in keeping if away <= least + 1e-9]
            assert distance == pytest.approx(least)
        else:
            assert distance == pytest.approx(self.least)
        fewest = min(len(each.strict_pairs()) for each in near)
        return found in [each for each in near if len(each.strict_pairs()) == fewest]


def slowly(orders: list[WeakOrder], weights: list[float] | None = None) -> Slowly:
    """Only for votes about every output."""
    items = orders[0].items
    weights = weights or [1] * len(orders)
    distances = {
        tried: sum(weight * apart(tried, vote) for vote, weight in zip(orders, weights, strict=True))
        for tried in every_weak_order(items)
    }
    least = min(distances.values())
    near = [tried for tried, distance in distances.items() if distance <= least + 1e-9]
    found = votes_of(orders, weights)
    better, tied = np.array(found.better), np.array(found.tied)
    alike = {
        pair
        for to in map(list, permutations(range(items)))
        if np.allclose(better[np.ix_(to, to)], better) and np.allclose(tied[np.ix_(to, to)], tied)
        for pair in enumerate(to)
    }
    label_free = [
        (distance, tried)
        for tried, distance in distances.items()
        if all(tried.ranks()[a] == tried.ranks()[b] for a, b in alike)
    ]
    return Slowly(near, least, label_free, set.intersection(*(set(each.strict_pairs()) for each in near)))


def with_circles(draws: np.random.Generator, items: int) -> list[WeakOrder]:
    """Votes that an exchange of letters leaves as they are: each vote with its images."""
    to = [int(item) for item in draws.permutation(items)]
    found = []
    for vote in [order_at_random(draws, items) for _ in range(draws.integers(1, 3))]:
        found.append(vote)
        while (image := found[-1].relabel(to)) != vote:
            found.append(image)
    return found


def spoken_of(orders: list[WeakOrder]) -> set[int]:
    return {
        i
        for vote in orders
        for pair in combinations(range(vote.items), 2)
        if vote.compare(*pair) is not None
        for i in pair
    }


@pytest.mark.slow
@pytest.mark.parametrize(("items", "rounds"), [(2, 20), (3, 80), (4, 60), (5, 25)])
@pytest.mark.parametrize("circles", [False, True])
def test_it_is_as_near_as_an_order_can_be_that_letters_have_no_part_in(items, rounds, circles):
    draws = np.random.default_rng(items)
    exact = several = impossible = 0
    for _round in range(rounds):
        votes = (
            with_circles(draws, items)
            if circles
            else [order_at_random(draws, items) for _ in range(draws.integers(1, 7))]
        )
        if spoken_of(votes) != set(range(items)):
            continue
        right = slowly(votes)
        found = consensus(votes)
        whole = WeakOrder(items, found.order.levels)
        assert right.is_right(whole, found.distance)
        assert right.agreed <= set(whole.strict_pairs())
        assert found.optima == right.fewest_strict
        assert isclose(found.distance, sum(apart(whole, vote) for vote in votes))
        exact += 1
        several += found.optima > 1
        impossible += found.distance > right.least + 1e-9
    assert exact > rounds / 3
    assert several or items < 4
    assert impossible or not circles or items == 2


def test_it_is_exact_with_weights():
    draws = np.random.default_rng(1)
    for _round in range(25):
        votes = [order_at_random(draws, 4) for _ in range(5)]
        weights = [float(weight) for weight in draws.integers(1, 30, 5) / 7]
        if spoken_of(votes) == set(range(4)):
            right, found = slowly(votes, weights), consensus(votes, weights=weights)
            assert right.is_right(WeakOrder(4, found.order.levels), found.distance)
            assert found.optima == right.fewest_strict


@pytest.mark.slow
@settings(max_examples=150)
@given(st.integers(0, 10**9), st.integers(2, 9), st.integers(2, 5), st.booleans())
def test_what_all_prefer_stays_preferred_and_is_not_contested(seed, items, people, weighted):
    """Whoever leaves outputs out altogether can make circles of pairs on which one person each speaks; all others cannot."""
    draws = np.random.default_rng(seed)
    votes = [order_at_random(draws, items) for _ in range(people)]
    votes = [
        vote if vote.is_complete else WeakOrder(items, vote.tiers, None, vote.unranked or vote.rest) for vote in votes
    ]
    weights = [float(weight) for weight in draws.uniform(0.2, 2, people)] if weighted else None
    found = consensus(votes, weights=weights)
    for a, b in permutations(range(items), 2):
        said = {vote.compare(a, b) for vote in votes} - {None}
        if said == {1}:
            assert found.order.compare(a, b) == 1
        if len(said) == 1:
            assert tuple(sorted((a, b))) not in found.contested


@pytest.mark.slow
@settings(max_examples=40)
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


@settings(max_examples=40)
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
        (["A > B", "A > B", "A > B", "B > A", "B > A"], "A > B", "AB", 1),
        (["A > B > C > D", "B > C > A > D", "C > A > B > D"], "A = B = C > D", "AB AC BC", 3),
        (["A > D > C > B", "B > D > C > A"], "D > A = B = C", "AB AC AD BC BD", 2),  # D > A = B = C or A = B = D > C
    ],
)
def test_small_cases_by_hand(votes, expected, contested, optima):
    found = consensus([order(vote) for vote in votes])
    assert found.order == order(expected)
    assert " ".join("ABCD"[a] + "ABCD"[b] for a, b in found.contested) == contested
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
        (
            ["A > B", "A > B", "B | A"],
            "A > B",
            True,
        ),  # the only one who drew it finds B good enough, A not: no line does
        (["A > B", "B | A"], "A = B", True),
        (["A > B | C", "A > B | C", "A > B | C", "A | B > C", "A | B > C"], "A > B | C", True),
    ],
)
def test_the_line_lies_where_it_turns_the_fewest_votes_round(votes, expected, contested):
    found = consensus([order(vote, 3) for vote in votes])
    assert found.order == order(expected, 3)
    assert found.line_contested is contested


def test_people_opposed_to_each_other_contest_it_whatever_their_weights():
    votes = [order("B > A = C"), order("C > A > B")]
    for weights in ([1, 1], [0.993, 1.01], [1.01, 0.993], [1.2, 0.8]):
        assert consensus(votes, weights=weights).contested == ((0, 1), (0, 2), (1, 2))
    assert consensus(votes, weights=[2, 1]).contested == ()


def test_many_tasks_at_once_are_the_same_as_one_by_one():
    draws = np.random.default_rng(12)
    rankings = []
    for task in range(60):
        orders = [order_at_random(draws, 2 + task % 3) for _ in range(draws.integers(1, 6))]
        weights = [None, [0.1, 2.5, 0.7, 1 / 3, 1.0], [1e-9] * 5][task % 7 % 3]
        rankings.append((orders, weights and weights[: len(orders)]))
    assert of_many(rankings) == [consensus(orders, weights=weights) for orders, weights in rankings]
    assert of_many([]) == []


def test_nothing_to_say():
    with pytest.raises(ValueError, match="rankings"):
        consensus([])
    with pytest.raises(ValueError, match="same outputs"):
        consensus([order("A > B"), order("A > B > C")])
    nothing = consensus([order("A", 3), order("B |", 3)])
    assert nothing.order is None
    assert nothing.tiers == ()
    assert nothing.votes.above == (0, 1, 0)
