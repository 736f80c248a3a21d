"""The weak order: notation both ways, pairs, comparisons, and errors that point at the character."""

from itertools import combinations, permutations, product
from math import isclose, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.ranking import LETTERS, MESSAGES, RankingError, WeakOrder


def every_order(items: int):
    """Every ranking of `items` outputs that the notation can write, by brute force over level numbers."""
    for count in range(1, items + 1):
        for named in combinations(range(items), count):
            for levels in product(range(count), repeat=count):
                if set(levels) != set(range(max(levels) + 1)):
                    continue
                tiers = tuple(
                    tuple(item for item, level in zip(named, levels, strict=True) if level == number)
                    for number in range(max(levels) + 1)
                )
                left = tuple(item for item in range(items) if item not in named)
                for rest in {(), left}:
                    for line in (None, *range(len(tiers) + bool(rest) + 1)):
                        yield WeakOrder(items, tiers, line, rest)
    for line in (0, 1):
        yield WeakOrder(items, (), line, tuple(range(items)))


@st.composite
def orders(draw, items: int | None = None):
    count = items or draw(st.integers(2, 9))
    ranks = draw(st.lists(st.none() | st.integers(0, count), min_size=count, max_size=count).filter(any))
    order = WeakOrder.from_ranks(ranks)
    rest = order.unranked if draw(st.booleans()) else ()
    line = draw(st.none() | st.integers(0, len(order.tiers) + bool(rest)))
    return WeakOrder(count, order.tiers, line, rest)


def test_a_ranking_reads_as_people_write_it():
    order = WeakOrder.parse("C > B = D > A")
    assert order.items == 4
    assert order.tiers == ((2,), (1, 3), (0,))
    assert order.line is None
    assert order == WeakOrder.parse(" c>d=b  >a ")
    assert str(order) == "C > B = D > A"
    assert hash(order) == hash(WeakOrder.parse("c>d=b>a"))


@pytest.mark.slow
@pytest.mark.parametrize("items", [2, 3, 4, 5])
def test_every_ranking_of_up_to_five_outputs_survives_writing_and_reading(items):
    seen = set()
    for order in every_order(items):
        text = str(order)
        assert WeakOrder.parse(text, items=items) == order
        assert WeakOrder.parse(text.replace(" ", "").lower(), items=items) == order
        seen.add(text)
    complete_without_line = {t for t in seen if "|" not in t and "*" not in t and all(c in t for c in LETTERS[:items])}
    assert len(complete_without_line) == {2: 3, 3: 13, 4: 75, 5: 541}[items]  # the ordered Bell numbers


@pytest.mark.slow
@settings(max_examples=500)
@given(orders())
def test_rankings_of_up_to_nine_outputs_survive_writing_and_reading(order):
    assert WeakOrder.parse(str(order), items=order.items) == order


@pytest.mark.slow
@settings(max_examples=500)
@given(st.text(alphabet="ABCDabcd>=|* \tZ1,", max_size=14), st.none() | st.integers(1, 9))
def test_any_text_is_either_a_ranking_or_an_error_that_points_into_it(text, items):
    try:
        order, error = WeakOrder.parse(text, items=items), None
    except RankingError as caught:
        error = caught
    if error is None:
        assert WeakOrder.parse(str(order), items=order.items) == order
    else:
        assert error.code in MESSAGES
        assert 0 <= error.position <= len(text)
        assert str(error).startswith(f"Character {error.position + 1}: ")
        assert "expected" in str(error)


@pytest.mark.parametrize(
    ("text", "items", "code", "position"),
    [
        ("", 4, "empty", 0),
        ("   ", 4, "empty", 0),
        ("> A", 4, "expected_letter", 0),
        ("A > > B", 4, "expected_letter", 4),
        ("A > 1", 4, "expected_letter", 4),
        ("A > ı", 9, "expected_letter", 4),  # a dotless i is no I
        ("A B", 4, "expected_sign", 2),
        ("A > B, C", 4, "expected_sign", 5),
        ("A > E", 4, "unknown_letter", 4),
        ("A > J", None, "unknown_letter", 4),
        ("A > B = a", 4, "repeated_letter", 8),
        ("A >", 4, "ends_early", 3),
        ("A = ", 4, "ends_early", 3),
        ("|", 4, "ends_early", 1),
        ("A > | B", 4, "line_not_alone", 4),
        ("A | > B", 4, "line_not_alone", 4),
        ("A | B | C", 4, "second_line", 6),
        ("A = *", 4, "rest_tied", 4),
        ("A > * > B", 4, "rest_not_last", 6),
        ("A > * B", 4, "rest_not_last", 6),
        ("* | B", 4, "rest_not_last", 4),
        ("A > B > *", 2, "rest_empty", 8),
        ("A > B > *", None, "rest_empty", 8),
        ("*", 4, "nothing_said", 0),
    ],
)
def test_an_error_points_at_the_character(text, items, code, position):
    with pytest.raises(RankingError) as caught:
        WeakOrder.parse(text, items=items)
    assert (caught.value.code, caught.value.position) == (code, position)


def test_an_error_can_be_said_in_another_language():
    with pytest.raises(RankingError) as caught:
        WeakOrder.parse("A > E", items=4)
    assert caught.value.template % caught.value.params == str(caught.value)
    assert str(caught.value) == "Character 5: there is no output E; expected a letter from A to D."


@pytest.mark.parametrize(
    ("items", "tiers", "line", "rest"),
    [
        (10, ((0,),), None, ()),
        (0, (), 0, ()),
        (3, ((0,), ()), None, ()),
        (3, ((0,), (0, 1)), None, ()),
        (3, ((3,),), None, ()),
        (3, ((0,),), None, (1,)),
        (3, ((0,),), 2, ()),
        (3, ((0,),), -1, ()),
        (3, (), None, ()),
        (3, (), None, (0, 1, 2)),
    ],
)
def test_parts_that_do_not_fit_together_make_no_ranking(items, tiers, line, rest):
    with pytest.raises(RankingError):
        WeakOrder(items, tiers, line, rest)


def test_the_rest_lies_below_each_named_output_and_nothing_is_said_within_it():
    order = WeakOrder.parse("C > B > *", items=5)
    assert order.rest == (0, 3, 4)
    assert order.strict_pairs() == [(2, 1), (2, 0), (2, 3), (2, 4), (1, 0), (1, 3), (1, 4)]
    assert order.tied_pairs() == []
    assert order.compare(0, 3) is None
    assert not order.is_complete


def test_an_output_left_out_is_in_no_pair():
    order = WeakOrder.parse("C > B", items=4)
    assert order.unranked == (0, 3)
    assert order.strict_pairs() == [(2, 1)]
    assert order.ranks() == (None, 2, 1, None)


@pytest.mark.parametrize(
    ("text", "acceptable"),
    [
        ("C > B | D > A", (False, True, True, False)),
        ("| C > B = D > A", (False,) * 4),
        ("C > B = D > A |", (True,) * 4),
        ("C | *", (False, False, True, False)),
        ("C > B |", (None, True, True, None)),
        ("| *", (False,) * 4),
        ("C > B = D > A", (None,) * 4),
    ],
)
def test_the_line_parts_good_enough_from_not(text, acceptable):
    assert WeakOrder.parse(text, items=4).acceptable() == acceptable


@pytest.mark.slow
@given(orders())
def test_pairs_agree_with_comparing_each_two_outputs(order):
    strict, tied = [], []
    rank = dict(zip(range(order.items), order.ranks(), strict=True))
    for a, b in permutations(range(order.items), 2):
        silent = rank[a] is None or rank[b] is None or (a in order.rest and b in order.rest)
        if not silent and rank[a] < rank[b]:
            strict.append((a, b))
            assert order.distance(a, b) == rank[b] - rank[a] > 0
        if not silent and rank[a] == rank[b] and a < b:
            tied.append((a, b))
        assert order.compare(a, b) == (None if silent else (rank[a] < rank[b]) - (rank[a] > rank[b]))
    assert sorted(order.strict_pairs()) == sorted(strict)
    assert sorted(order.tied_pairs()) == sorted(tied)


@pytest.mark.slow
@given(orders(), st.randoms(use_true_random=False))
def test_relabelling_there_and_back_changes_nothing(order, random):
    to = list(range(order.items))
    random.shuffle(to)
    back = [to.index(i) for i in range(order.items)]
    moved = order.relabel(to)
    assert moved.relabel(back) == order
    assert {(to[a], to[b]) for a, b in order.strict_pairs()} == set(moved.strict_pairs())
    assert [moved.acceptable()[to[i]] for i in range(order.items)] == list(order.acceptable())


@pytest.mark.slow
@given(orders(), st.data())
def test_a_restriction_says_the_same_about_the_outputs_it_keeps(order, data):
    keep = data.draw(st.lists(st.sampled_from(range(order.items)), min_size=1, unique=True))
    part = order.restrict(keep)
    if part is None:
        assert all(order.compare(a, b) is None for a, b in combinations(keep, 2))
        assert all(order.ranks()[i] is None or order.line is None for i in keep)
        return
    assert part.items == len(keep)
    for (i, a), (j, b) in combinations(enumerate(keep), 2):
        assert part.compare(i, j) == order.compare(a, b)
    assert part.acceptable() == tuple(order.acceptable()[a] for a in keep)


def test_blank_ranks_say_nothing_and_equal_ranks_tie():
    assert str(WeakOrder.from_ranks([3, 1, None, 3])) == "B > A = D"
    with pytest.raises(RankingError):
        WeakOrder.from_ranks([None, None])


def _slow_tau_b(a: WeakOrder, b: WeakOrder) -> float | None:
    """From the counts of concordant, discordant and one-sided ties, as the textbook has it."""
    concordant = discordant = only_a = only_b = 0
    for i, j in combinations(range(a.items), 2):
        x, y = a.compare(i, j), b.compare(i, j)
        if x is None or y is None:
            continue
        concordant += x * y > 0
        discordant += x * y < 0
        only_a += x == 0 and y != 0
        only_b += y == 0 and x != 0
    untied = concordant + discordant
    norm = sqrt((untied + only_a) * (untied + only_b))
    return (concordant - discordant) / norm if norm else None


def _slow_tau_x(a: WeakOrder, b: WeakOrder) -> float | None:
    """Emond and Mason's score matrices, entry by entry."""
    products = []
    for i, j in permutations(range(a.items), 2):
        x, y = a.compare(i, j), b.compare(i, j)
        if x is not None and y is not None:
            products.append((1 if x >= 0 else -1) * (1 if y >= 0 else -1))
    return sum(products) / len(products) if products else None


@pytest.mark.slow
@given(st.integers(2, 9).flatmap(lambda k: st.tuples(orders(k), orders(k))))
def test_both_taus_agree_with_their_slow_twins(pair):
    a, b = pair
    for fast, slow in ((a.tau_b(b), _slow_tau_b(a, b)), (a.tau_x(b), _slow_tau_x(a, b))):
        assert fast is slow is None or isclose(fast, slow, abs_tol=1e-12)
        assert fast is None or -1 - 1e-12 <= fast <= 1 + 1e-12
    assert a.tau_x(b) == b.tau_x(a)


def test_taus_at_known_points():
    up, down, tied = (WeakOrder.parse(t) for t in ("A > B > C", "C > B > A", "A = B = C"))
    assert up.tau_b(up) == up.tau_x(up) == 1
    assert up.tau_b(down) == up.tau_x(down) == -1
    assert tied.tau_b(up) is None  # a tie of all has no order to agree with
    assert tied.tau_x(tied) == 1
    assert tied.tau_x(up) == 0
    with pytest.raises(ValueError):
        up.tau_b(WeakOrder.parse("A > B"))
