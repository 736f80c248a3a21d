"""Which words two outputs share: as long a common part as there is, and quickly enough that nobody waits."""

import base64
import random
import re

import pytest
from django.conf import settings

pytestmark = pytest.mark.browser

SOURCE = (settings.BASE_DIR / "static/js/board/diff.js").read_bytes()
ADDRESS = "data:text/javascript;base64," + base64.b64encode(SOURCE).decode()
CALL = "async ([address, given]) => { const m = await import(address); %s }"


@pytest.fixture(scope="module")
def diff(chromium):
    """Call a function body of JavaScript with the module as `m` and `given`."""
    page = chromium.new_page()

    def call(body: str, given: object = None):
        return page.evaluate(CALL % body, [ADDRESS, given])

    yield call
    page.close()


@pytest.fixture
def work(chromium):
    """How often any block of the module ran for two texts, loops included: what its time is made of, the same on every machine."""
    page = chromium.new_page()
    profiler = page.context.new_cdp_session(page)
    profiler.send("Profiler.enable")
    profiler.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})

    def count(one: str, other: str) -> int:
        page.evaluate(CALL % "m.difference(given[0], given[1])", [ADDRESS, [one, other]])
        scripts = profiler.send("Profiler.takePreciseCoverage")["result"]
        (module,) = [script for script in scripts if script["url"] == ADDRESS]
        return sum(block["count"] for function in module["functions"] for block in function["ranges"])

    yield count
    page.close()


def longest(one: list[str], other: list[str]) -> int:
    """The length of a longest common subsequence, by the table that everybody learns first."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for at, against in enumerate(other, 1):
            before, row[at] = row[at], before + 1 if word == against else max(row[at], row[at - 1])
    return row[-1]


def test_what_is_shared_is_a_longest_common_subsequence(diff):
    chance = random.Random(5)
    cases = [
        [[chance.choice("abcdef"[:kinds]) for _ in range(chance.randrange(14))] for _side in range(2)]
        for kinds in (1, 2, 3, 6)
        for _ in range(250)
    ]
    answers = diff(
        "return given.map(([a, b]) => { const s = m.shared(a, b); return [[...s.inOne], [...s.inOther]] })", cases
    )
    for (one, other), (in_one, in_other) in zip(cases, answers, strict=True):
        kept = [word for word, stays in zip(one, in_one, strict=True) if stays]
        assert kept == [word for word, stays in zip(other, in_other, strict=True) if stays]
        assert len(kept) == longest(one, other), (one, other)


def test_both_texts_can_be_put_together_again_from_the_pieces(diff):
    chance = random.Random(6)
    vocabulary = "the a cat, dog. sat\n ran under über naïve 2,000 don't x_1 東 京 — ( )".split(" ")
    for _ in range(60):
        one, other = (" ".join(chance.choices(vocabulary, k=chance.randrange(40))) for _side in range(2))
        made = diff("return m.difference(given[0], given[1])", [one, other])
        squeezed = {
            name: "".join(piece["text"] for piece in made["pieces"] if piece["kind"] in ("same", name)).split()
            for name in ("one", "other")
        }
        assert "".join(squeezed["one"]) == "".join(one.split())
        assert "".join(squeezed["other"]) == "".join(other.split())
        for name, text in (("one", one), ("other", other)):
            alone = "".join(piece["text"] for piece in made["pieces"] if piece["kind"] == name)
            assert re.sub(r"\s", "", "".join(text[a:b] for a, b in made[name])) == re.sub(r"\s", "", alone)


@pytest.mark.parametrize(
    ("one", "other", "alone", "alone_there"),
    [
        ("Paris is the capital of France.", "Paris was the capital of France!", ["is", "."], ["was", "!"]),
        ("one  two\nthree", "one two three", [], []),  # spaces are no difference
        ("東京は日本の首都です", "京都は日本の古都です", ["東京", "首"], ["京都", "古"]),
        ("", "all of it", [], ["all of it"]),
        ("don't stop", "do stop", ["don't"], ["do"]),
        # "the" and "of" alone are not worth jumping to
        ("green apples fall under the tree", "yesterday nobody saw the moon", ["green apples fall under the tree"], ["yesterday nobody saw the moon"]),
    ],
)  # fmt: skip
def test_what_is_marked(diff, one, other, alone, alone_there):
    made = diff("return m.difference(given[0], given[1])", [one, other])
    assert [one[a:b] for a, b in made["one"]] == alone
    assert [other[a:b] for a, b in made["other"]] == alone_there


@pytest.mark.parametrize(("alike", "most"), [(0.0, 16_000_000), (0.5, 10_000_000), (0.97, 200_000)])
def test_the_more_alike_two_texts_are_the_less_work_they_make(work, alike, most):
    chance = random.Random(7)
    vocabulary = [f"word{n}" for n in range(900)]
    one = chance.choices(vocabulary, k=2000)
    other = [word if chance.random() < alike else chance.choice(vocabulary) for word in one]
    assert work(" ".join(one), " ".join(other)) < most


def test_the_longest_texts_make_hardly_more_work_than_two_thousand_words(work):
    chance = random.Random(8)
    one, other = ("".join(chance.choices([chr(0x4E00 + n) for n in range(2000)], k=20_000)) for _side in range(2))
    assert work(one, other) < 21_000_000
