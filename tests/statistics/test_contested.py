"""How far the rankings of one task disagree: against comparing them pair by pair."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.statistics.contested import agreement_of, votes
from tests.statistics.make import order, order_at_random


def drawn(seed: int):
    draws = np.random.default_rng(seed)
    items = int(draws.integers(2, 10))
    return [order_at_random(draws, items, line=True) for _ in range(draws.integers(1, 6))]


@settings(max_examples=80)
@given(st.integers(0, 10**9))
def test_agreement_is_the_mean_of_tau_x(seed):
    orders = drawn(seed)
    taus = [tau for one, other in combinations(orders, 2) if (tau := one.tau_x(other)) is not None]
    assert agreement_of(orders) == (pytest.approx(sum(taus) / len(taus)) if taus else None)


def test_agreement_by_hand():
    assert agreement_of([order("A > B > C")] * 3) == 1
    assert agreement_of([order("A = B")] * 2) == 1
    assert agreement_of([order("A > B"), order("B > A")]) == -1
    assert agreement_of([order("A > B"), order("A = B")]) == 0
    assert agreement_of([order("A > B")]) is None
    assert agreement_of([]) is None
    assert agreement_of([order("A > B", 4), order("C > D", 4)]) is None


@settings(max_examples=40)
@given(st.integers(0, 10**9))
def test_votes_count_what_everybody_says_about_each_pair(seed):
    orders = drawn(seed)
    found = votes(orders)
    for a in range(found.items):
        for b in range(found.items):
            if a != b:
                said = [one.compare(a, b) for one in orders]
                counts = (found.better[a][b], found.better[b][a], found.tied[a][b], found.silent[a][b])
                assert counts == tuple(said.count(answer) for answer in (1, -1, 0, None))
        good = [one.acceptable()[a] for one in orders]
        assert (found.above[a], found.below[a]) == (good.count(True), good.count(False))


def test_weighted_votes_are_sums_of_weights():
    found = votes([order("A > B"), order("A | B"), order("B = A")], [1.5, 2, 0.5])
    assert (found.better[0][1], found.better[1][0], found.tied[0][1]) == (3.5, 0, 0.5)
    assert (found.above, found.below) == ((2, 0), (0, 2))
