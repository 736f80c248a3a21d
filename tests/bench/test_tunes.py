"""The judges of the tunes: the n-gram model is a distribution, and the checker knows a tune from a broken one."""

import numpy as np
import pytest

from bench.abc_notation import check
from bench.kneser_ney import KneserNey, best_order

TEXTS = [b"abracadabra", b"abrakadabra", b"cadabra abra", b"", b"a"]


@pytest.mark.parametrize("context", [b"", b"abra", b"never seen", b"\xff\x00"])
def test_the_probabilities_of_what_may_follow_sum_to_one(context):
    model = KneserNey(TEXTS, 5)
    follows = [model.probabilities([context + bytes([byte])]) for byte in range(256)]
    ends = model.probabilities([context])
    for order in range(5):
        total = sum(probabilities[order][-2] for probabilities in follows) + ends[order][-1]
        assert total == pytest.approx(1, abs=1e-9)


def test_the_lower_order_counts_what_a_symbol_comes_after():
    """ "Francisco" is frequent and comes after one word alone: after another one it is less likely than a rarer symbol of many contexts."""
    texts = [b"sf"] * 50 + [bytes([before]) + b"x" for before in b"abcdefgh"]
    after_unknown = KneserNey(texts, 2)
    probabilities = {follower: after_unknown.probabilities([b"z" + follower])[1][1] for follower in (b"f", b"x")}
    assert probabilities[b"x"] > probabilities[b"f"]


def test_longer_contexts_help_where_there_is_something_to_know():
    random = np.random.default_rng(0)
    words = [b"the cat ", b"sat on ", b"a mat. "]
    texts = [b"".join(words[i] for i in random.integers(0, 3, 30)) for _ in range(20)]
    order, bits = best_order(texts[:15], texts[15:])
    assert order > 3
    assert bits < 0.5 < KneserNey(texts[:15], 1).bits(texts[15:])[0] / sum(map(len, texts[15:]))


TUNE = """X: 1
T:A tune
% a comment
M:6/8
K:G
P:A
D|"G"GAB "D7"d2c|B/2c/2BA G2:|[1 (3ABc d3 e|f6:|[2 [G2B2d2] D4|]
"""


def test_a_tune_parses_and_its_bars_fit():
    report = check(TUNE)
    assert report.problems == []
    assert report.bars_fit
    assert (report.bars, report.full) == (6, 4)  # an upbeat, and the bar before the repeat that gives it back
    assert not check(TUNE.replace('"G"GAB', '"G"GABc')).bars_fit


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (TUNE.replace("X: 1\n", ""), "no X:"),
        (TUNE.replace("M:6/8\n", ""), "there is no M:"),
        (TUNE.replace("M:6/8", "M:six"), "no metre"),
        (TUNE.replace("K:G\n", ""), "there is no K:"),
        (TUNE.replace('"G"GAB', '"G GAB'), "cannot be read"),
        (TUNE.replace("[G2B2d2]", "[G2B2d2"), "chord"),
        (TUNE.replace("D4|]", "D4"), "does not end with a bar line"),
        (TUNE.replace("f6", "h6"), "cannot be read"),
        ("X: 1\nT:x\nM:4/4\nK:C\n|]", "fewer than two bars"),
    ],
)
def test_what_is_no_tune_is_told_why(broken, why):
    assert any(why in problem for problem in check(broken).problems)


def test_a_bar_may_be_short_only_at_a_border():
    head = "X: 1\nT:x\nM:4/4\nL:1/4\nK:C\n"
    assert check(head + "C|CDEF|GABc|cBA|]").bars_fit
    assert not check(head + "CDEF|GAB|CDEF|GABc|]").bars_fit
    assert not check(head + "CDEF|CDEFG|]").bars_fit
    assert check(head + "C>DE<F|(3CDE F z2|]").bars_fit is False
    assert check(head + "C>DE<F|(3CDE F z|]").bars_fit
