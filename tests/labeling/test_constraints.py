"""What is known about the order of outputs: the notation, what a ranking keeps of it, and that it can be kept at all."""

from itertools import product

import pytest

from labeling.constraints import Constraint, ConstraintError, Constraints
from labeling.ranking import WeakOrder

FOUR = [WeakOrder.from_ranks(ranks) for ranks in set(product(range(4), repeat=4))]


def order(text, items=4):
    return WeakOrder.parse(text, items=items)


@pytest.mark.parametrize(
    ("text", "keeps", "breaks"),
    [
        ("A > D", ["A > B > C > D", "A = B > D = C"], ["A = B = C = D", "D > A > B > C"]),
        ("B >= C", ["B = C > A > D", "B > C > A > D"], ["C > B > A > D"]),
        ("B = C", ["B = C > A > D"], ["B > C > A > D", "C > B > A > D"]),
        ("A > B, C >= D", ["A > B > C = D"], ["A > B > D > C", "B > A > C > D"]),
        ("C > B = D > A", ["C > B = D > A"], ["C > B > D > A", "B > C = D > A"]),
        ("A > B = C", ["A > B = C > D"], ["B = C > A > D", "A > B > C > D"]),
    ],
)
def test_a_ranking_keeps_all_of_it_or_not(text, keeps, breaks):
    known = Constraints.parse(text, items=4)
    assert [known.kept(order(one)) for one in keeps] == [1.0] * len(keeps)
    for one in breaks:
        assert known.kept(order(one)) < 1
        assert known.violated(order(one))


@pytest.mark.slow
def test_a_whole_ranking_is_kept_by_itself_alone():
    for whole in FOUR:
        known = Constraints.parse(str(whole), items=4)
        assert [other for other in FOUR if known.kept(other) == 1] == [
            other for other in FOUR if str(other) == str(whole)
        ]


def test_the_share_kept_counts_each_demand_once():
    known = Constraints.parse("a > d; b >= c\nB=C, A > D", items=4)
    assert str(known) == "A > D, B >= C, B = C"
    assert known.kept(order("A > B > C > D")) == pytest.approx(2 / 3)
    assert known.violated(order("D > C > B > A")) == ["A > D", "B >= C", "B = C"]


def test_what_a_ranking_leaves_out_keeps_nothing():
    known = Constraints.parse("A > D, B >= C", items=4)
    assert known.kept(order("A > B > *")) == 1
    assert known.kept(order("B > C")) == 0.5


def test_a_chain_says_something_about_every_two_of_its_letters():
    assert str(Constraints.parse("A > B >= C", items=3)) == "A > B, A > C, B >= C"
    assert str(Constraints.parse("A ≥ B = C", items=3)) == "A >= B, A >= C, B = C"


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("", "empty", None),
        (" , ;\n", "empty", None),
        ("A > E", "expected_letter", 4),
        ("A > > B", "expected_letter", 4),
        ("A B", "expected_sign", 2),
        ("A > B, C <= D", "expected_sign", 9),
        ("A > ", "ends_early", 3),
        ("A >, B > C", "ends_early", 3),
        ("A > B, D", "alone", 7),
        ("A > B > A", "itself", 8),
        ("A > B, B > A", "contradiction", None),
        ("A >= B, B >= C, C > A", "contradiction", None),
        ("A = B, B > A", "contradiction", None),
    ],
)
def test_errors_point_at_the_character(text, code, position):
    with pytest.raises(ConstraintError) as caught:
        Constraints.parse(text, items=4)
    assert (caught.value.code, caught.value.position) == (code, position)


def test_a_contradiction_is_refused_exactly_where_no_ranking_keeps_all():
    """Every set of three demands on three items, against all their weak orders."""
    three = [WeakOrder.from_ranks(ranks) for ranks in set(product(range(3), repeat=3))]
    signs = [None, "A {} B", "B {} A"], [None, "B {} C", "C {} B"], [None, "C {} A", "A {} C"]
    seen = {True: 0, False: 0}
    for pairs in product(*signs):
        for each in product((">", ">=", "="), repeat=3):
            text = ", ".join(pair.format(sign) for pair, sign in zip(pairs, each, strict=True) if pair)
            if not text:
                continue
            demands = [Constraint("ABC".index(one[0]), one[2:-2], "ABC".index(one[-1])) for one in text.split(", ")]
            possible = any(all(one.kept_by(ranking) for one in demands) for ranking in three)
            seen[possible] += 1
            if possible:
                assert Constraints.parse(text, items=3).each
            else:
                with pytest.raises(ConstraintError, match="No ranking can keep"):
                    Constraints.parse(text, items=3)
    assert min(seen.values()) > 50


def test_constraints_in_the_letters_of_another_order_say_the_same():
    known = Constraints.parse("A > D, B >= C", items=4)
    to = [2, 0, 3, 1]
    for ranking in FOUR:
        assert known.relabel(to).kept(ranking.relabel(to)) == known.kept(ranking)
