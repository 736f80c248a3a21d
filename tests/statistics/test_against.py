"""How unlikely a model finds what people say: against a slow twin, and against cases whose answer is plain."""

import math

import numpy as np
import pytest

from labeling.ranking import WeakOrder
from labeling.statistics.against import THETAS, against


def order(text: str) -> WeakOrder:
    return WeakOrder.parse(text, items=3)


def slowly(rows, theta: float) -> list[float]:
    """-log P of every pair, in plain Python."""
    found = []
    for said, scores in rows:
        losses = []
        for tied, pairs in ((False, said.strict_pairs()), (True, said.tied_pairs())):
            for a, b in pairs:
                chances = []
                for one, other in zip(scores[a], scores[b], strict=True):
                    first, second = 1 / (1 + theta * math.exp(other - one)), 1 / (1 + theta * math.exp(one - other))
                    chances.append((theta**2 - 1) * first * second if tied else first)
                losses.append(-math.log(sum(chances) / len(chances)))
        found.append(sum(losses) / len(losses))
    return found


@pytest.mark.parametrize("heads", [1, 3])
def test_surprise_is_that_of_the_pairs_under_the_likeliest_tie_parameter(heads):
    choose = np.random.default_rng(2)
    rows = []
    for _row in range(30):
        mean = choose.normal(0, 1, size=3)
        said = WeakOrder.from_ranks(list(np.round(-mean + choose.normal(0, 0.5, size=3))))
        rows.append((said, (mean[:, None] + choose.normal(0, 0.3, size=(3, heads))).tolist()))
    found = [each.surprise for each in against(rows)]

    def total(theta: float) -> float:
        pairs = [len(said.strict_pairs()) + len(said.tied_pairs()) for said, _scores in rows]
        return sum(n * loss for n, loss in zip(pairs, slowly(rows, theta), strict=True))

    assert found == pytest.approx(slowly(rows, min(THETAS, key=total)), rel=1e-9)


def test_what_the_model_sees_the_other_way_round_surprises_it_most():
    scores = [[2.0], [0.0], [-2.0]]
    agrees, turned, partly = against([(order(text), scores) for text in ("A > B > C", "C > B > A", "A > C > B")])
    assert agrees.surprise < partly.surprise < turned.surprise
    assert [(each.opposite, each.strict) for each in (agrees, partly, turned)] == [(0, 3), (1, 3), (3, 3)]
    assert str(turned.order) == "A > B > C"


def test_an_ensemble_whose_heads_disagree_is_less_surprised():
    sure, torn = [[1.0, 1.0], [0.0, 0.0], [-1.0, -1.0]], [[3.0, -1.0], [0.0, 0.0], [-3.0, 1.0]]
    others = [(order("A > B > C"), sure)] * 20
    *_others, one, other = against([*others, (order("C > B > A"), sure), (order("C > B > A"), torn)])
    assert other.surprise < one.surprise
    assert (one.opposite, other.opposite) == (3, 3)


def test_of_what_says_nothing_of_a_pair_nothing_is_found():
    scores = [[1.0], [0.0], [2.0]]
    assert against([(order("A"), scores)]) == [None]
    silent, spoken = against([(order("A"), scores), (order("A = C"), scores)])
    assert silent is None
    assert (spoken.strict, spoken.opposite) == (0, 0)
    assert str(spoken.order) == "C > A > B"
    far = against([(order("B > A"), [[900.0], [-900.0], [0.0]])])[0]
    assert math.isfinite(far.surprise)
