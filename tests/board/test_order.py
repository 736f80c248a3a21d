"""The board's order module in the browser: the same notation as the server's, and what each action does."""

import base64
import random
from itertools import product

import pytest
from django.conf import settings

from labeling.ranking import LETTERS, RankingError, WeakOrder

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def order(chromium):
    """Call a function body of JavaScript with the module as `m` and `given`. The module needs no page and no server."""
    source = (settings.BASE_DIR / "static/js/board/order.js").read_bytes()
    address = "data:text/javascript;base64," + base64.b64encode(source).decode()
    page = chromium.new_page()

    def call(body: str, given: object = None):
        script = "async ([address, given]) => { const m = await import(address); " + body + " }"
        return page.evaluate(script, [address, given])

    yield call
    page.close()


def acting(order, items: int, *actions: dict) -> str:
    """The notation after these actions on a fresh order."""
    return order(
        "let s = m.initial(given.items); for (const a of given.actions) s = m.reduce(s, a); return m.format(s)",
        {"items": items, "actions": list(actions)},
    )


def weak_orders(items: int):
    """Every weak order of up to `items` outputs, partial ones, with every line, with and without a rest."""
    seen = set()
    for ranks in product([None, *range(items)], repeat=items):
        tiers = WeakOrder.from_ranks(ranks).tiers if any(rank is not None for rank in ranks) else ()
        unnamed = tuple(item for item, rank in enumerate(ranks) if rank is None)
        for rest in {(), unnamed}:
            levels = len(tiers) + bool(rest)
            for line in [None, *range(levels + 1)]:
                if not tiers and (not rest or line is None):
                    continue
                made = WeakOrder(items, tiers, line, rest)
                if made not in seen:
                    seen.add(made)
                    yield made


@pytest.mark.parametrize("items", [2, 3, 4])
def test_every_weak_order_reads_and_writes_as_on_the_server(order, items):
    orders = list(weak_orders(items))
    read = order(
        "return given.texts.map(t => { const o = m.parse(t, given.items);"
        " return {tiers: o.tiers, line: o.line, rest: o.rest, text: m.format({items: given.items, ...o})} })",
        {"texts": [str(each) for each in orders], "items": items},
    )
    assert len(orders) > 3**items
    for each, got in zip(orders, read, strict=True):
        assert got == {
            "tiers": [list(tier) for tier in each.tiers],
            "line": each.line,
            "rest": bool(each.rest),
            "text": str(each),
        }


def test_bad_notation_gets_the_error_of_the_server_at_the_same_character(order):
    texts = ["".join(characters) for length in range(5) for characters in product("AcD>=|* ", repeat=length)]
    texts += ["A > B > C é", "Ａ > B", "A > 😀", "😀 > A", "a=b=a", "A > B C"]

    def on_the_server(text: str) -> dict | None:
        try:
            WeakOrder.parse(text, items=3)
        except RankingError as error:
            return {"code": error.code, "at": error.position, "params": error.params}
        return None

    got = order("return given.map(t => m.parse(t, 3).error ?? null)", texts)
    expected = [on_the_server(text) for text in texts]
    assert sum(error is not None for error in expected) > 1000
    assert [(t, g) for t, g in zip(texts, got, strict=True)] == list(zip(texts, expected, strict=True))


def test_digits_rank_and_move_on(order):
    digits = [{"type": "rank", "tier": tier} for tier in (3, 2, 1, 2)]
    assert acting(order, 4, *digits) == "C > B = D > A"


def test_gaps_between_digits_close(order):
    assert acting(order, 3, {"type": "rank", "tier": 3}, {"type": "rank", "tier": 1}) == "B > A"


def test_a_digit_beyond_the_number_of_outputs_does_nothing(order):
    assert acting(order, 3, {"type": "rank", "tier": 4}) == ""


def test_a_digit_moves_an_output_that_is_ranked(order):
    actions = [{"type": "rank", "tier": 1}, {"type": "rank", "tier": 2}, {"type": "focus", "item": 0}]
    assert acting(order, 2, *actions, {"type": "rank", "tier": 2}) == "A = B"


def test_signs_place_after_the_last_one(order):
    actions = []
    for letter, sign in [("C", "below"), ("B", "below"), ("D", "tie"), ("A", "below")]:
        actions += [{"type": "focus", "item": LETTERS.index(letter)}, {"type": sign}]
    assert acting(order, 4, *actions) == "C > B = D > A"


TYPED = {"type": "replace", "order": {"tiers": [[2], [1, 3], [0]], "line": 2, "rest": False}}  # C > B = D | A


@pytest.mark.parametrize(
    ("action", "result"),
    [
        ({"type": "join", "item": 0, "tier": 0}, "A = C > B = D |"),
        ({"type": "join", "item": 2, "tier": 1}, "B = C = D | A"),
        ({"type": "join", "item": 2, "tier": 2}, "B = D | A = C"),
        ({"type": "insert", "item": 3, "at": 1, "above": True}, "C > D > B | A"),
        ({"type": "insert", "item": 3, "at": 2, "above": True}, "C > B > D | A"),
        ({"type": "insert", "item": 3, "at": 2, "above": False}, "C > B | D > A"),
        ({"type": "insert", "item": 2, "at": 3, "above": False}, "B = D | A > C"),
        ({"type": "insert", "item": 0, "at": 0, "above": True}, "A > C > B = D |"),
        ({"type": "insert", "item": 0, "at": 3, "above": False}, "C > B = D | A"),  # where it was
        ({"type": "insert", "item": 0, "at": 2, "above": True}, "C > B = D > A |"),  # across the line
        ({"type": "unrank", "item": 3}, "C > B | A"),
        ({"type": "unrank", "item": 2}, "B = D | A"),
        ({"type": "line", "at": 0}, "| C > B = D > A"),
        ({"type": "line", "at": None}, "C > B = D > A"),
    ],
)
def test_dragging(order, action, result):
    assert acting(order, 4, TYPED, action) == result
    assert acting(order, 4, TYPED, action, {"type": "undo"}) in {"C > B = D | A", ""}


@pytest.mark.parametrize(
    ("letter", "by", "result"),
    [
        ("D", -1, "C > D > B | A"),
        ("D", 1, "C > B > D | A"),
        ("A", -1, "C > B = D > A |"),  # first over the line, then into the tie
        ("C", 1, "B = C = D | A"),
        ("C", -1, "C > B = D | A"),
        ("A", 1, "C > B = D | A"),
    ],
)
def test_moving_one_step(order, letter, by, result):
    actions = [{"type": "focus", "item": LETTERS.index(letter)}, {"type": "shift", "by": by}]
    assert acting(order, 4, TYPED, *actions) == result


def test_rest_and_line(order):
    best = {"type": "rank", "tier": 1}
    assert acting(order, 4, best, {"type": "toggleRest"}) == "A > *"
    assert acting(order, 4, best, {"type": "focus", "item": 0}, {"type": "toggleLine"}) == "A |"
    assert acting(order, 4, best, {"type": "toggleRest"}, {"type": "line", "at": 1}) == "A | *"


def test_the_line_s_key_draws_it_below_then_above_then_takes_it_away(order):
    """All of equal outputs good, none of them good, by the same key."""
    same = [{"type": "rank", "tier": 1, "item": item} for item in range(3)]
    line = {"type": "toggleLine"}
    assert acting(order, 3, *same, line) == "A = B = C |"
    assert acting(order, 3, *same, line, line) == "| A = B = C"
    assert acting(order, 3, *same, line, line, line) == "A = B = C"
    three = [{"type": "rank", "tier": item + 1, "item": item} for item in range(3)]
    assert (
        acting(order, 3, *three, {"type": "focus", "item": 0}, line, {"type": "focus", "item": 2}, line)
        == "A > B > C |"
    )
    assert acting(order, 3, line) == ""


def test_whatever_is_done_the_order_stays_sound_and_undo_leads_back(order):
    """A long random walk: each output at most once, the notation readable on the server, each step undone exactly."""
    chance = random.Random(7)
    for items in (2, 4, 9):
        actions = []
        for _ in range(400):
            item, tier = chance.randrange(items), chance.randrange(items + 1)
            actions.append(
                chance.choice(
                    [
                        {"type": "rank", "tier": tier},
                        {"type": "rank", "tier": tier, "item": item},
                        {"type": "tie"},
                        {"type": "below"},
                        {"type": "join", "item": item, "tier": min(tier, items - 1)},
                        {"type": "insert", "item": item, "at": tier, "above": chance.random() < 0.5},
                        {"type": "shift", "by": chance.choice([-1, 1])},
                        {"type": "unrank", "item": item},
                        {"type": "line", "at": chance.choice([None, tier])},
                        {"type": "toggleLine"},
                        {"type": "toggleRest"},
                        {"type": "step", "by": chance.choice([-1, 1])},
                    ]
                )
            )
        walked = order(
            """
            let s = m.initial(given.items);
            return given.actions.map(action => {
              const before = s;
              s = m.reduce(s, action);
              const named = s.tiers.flat();
              const back = s.past === before.past ? before : m.reduce(s, {type: "undo"});
              return {
                text: m.format(s), tiers: s.tiers.length, twice: new Set(named).size < named.length,
                undone: m.format(back) === m.format(before) && back.line === before.line,
              };
            });
            """,
            {"items": items, "actions": actions},
        )
        assert len({step["text"] for step in walked}) > items * 5
        for action, step in zip(actions, walked, strict=True):
            assert not step["twice"], action
            assert step["undone"], action
            assert step["tiers"] <= items, action
            if step["text"]:
                assert str(WeakOrder.parse(step["text"], items=items)) == step["text"]
