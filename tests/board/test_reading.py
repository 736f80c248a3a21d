"""Help with reading: what models wrote is rendered and can do nothing; layouts, size, differences, find; all of it by keyboard, and kept."""

import re
from html.parser import HTMLParser

import pytest
from playwright.sync_api import expect

from labeling import reading
from labeling.actions.tasks import NewTask, add_tasks
from tests import factories
from tests.board.test_keeping import next_request, stop_the_clock, until
from tests.board.test_ranking import open_board, present, reload, says, shows, wait_for_next
from tests.conftest import PHONE

CODE = "```python\nprint('<b>')\n```"
LONG = "One more sentence to read. " * 300
HEBREW = "מהי עיר הבירה של צרפת?"


# ── rendering, without a browser ───────────────────────────────────────────────────────────────────────────


class Elements(HTMLParser):
    """The tags and attributes of a text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![spy](https://example.org/pixel.png)",
        "![spy][1]\n\n[1]: https://example.org/pixel.png",
        "[click](javascript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD4=)",
        '[click](https://example.org "onmouseover=alert(1) x=")',
        '[click](https://example.org/"onmouseover="alert(1))',
        "<https://example.org/><svg onload=alert(1)>",
        "[a](https://example.org/<script>)",
        "```<script>\nx\n```",
        "| <iframe src=//example.org> | a |\n|---|---|\n| <style>*{}</style> | b |",
        "<form action=https://example.org><input name=a>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "$<img src=x onerror=alert(1)>$ \\(<script>\\)",
    ],
)
def test_nothing_that_a_model_writes_can_act(evil):
    made = Elements(reading.as_html(evil))
    assert not {"script", "img", "svg", "iframe", "style", "form", "input", "a", "link", "object"} & set(made.tags)
    assert {name for name, _value in made.attributes} <= {"dir", "class", "type", "data-outside", "title", "start"}
    for name, value in made.attributes:
        if name == "data-outside":
            assert value.startswith("https://example.org")


def test_what_markdown_means_is_shown():
    made = reading.as_html(f"## One\n\n**two** `three`\nfour\n\n- five\n- six\n\n{CODE}\n\n|a|b|\n|---|---|\n|1|2|")
    for part in (
        "<strong>two</strong>",
        "<code>three</code>",
        "<br>",
        "<li",
        "<td>1</td>",
        "print('&lt;b&gt;')",
        "python",
    ):
        assert part in made


def test_headings_stand_below_the_page_s_own_and_skip_no_level():
    made = Elements(reading.as_html("### a\n\n# b\n\n#### c\n\n###### d\n\n## e"))
    assert [tag for tag in made.tags if tag[0] == "h"] == ["h3", "h3", "h4", "h5", "h4"]


@pytest.mark.parametrize(
    "formula", [r"\(x_1^2 * y_2 * z\)", r"\[a_1 * b_2 * c\]", "$$a_1 * b_2 * c$$", "$x_1 + y_2*z*$"]
)
def test_formulae_stay_as_they_were_written(formula):
    assert f'<span class="maths" dir="ltr">{formula}</span>' in reading.as_html(f"**So** {formula} holds.")


def test_money_is_no_formula():
    assert "maths" not in reading.as_html("It costs $5 or **$6** today.")


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "# Title",
        "**bold**",
        "a `word` b",
        "- a\n- b",
        "1. a\n2. b",
        "|a|b|\n|---|---|",
        "> so",
        "[a](https://b.c)",
    ],
)
def test_markdown_is_recognised(text):
    assert reading.looks_like_markdown(f"Well:\n\n{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "Plain.",
        "2 * 3 * 4 = 24",
        "- only one",
        "1945. It began.",
        "#hashtag",
        "a_b_c",
        "it's 5 < 6",
        "-- so\n-- what",
        "",
        "* * *",
    ],
)
def test_plain_text_is_left_alone(text):
    assert not reading.looks_like_markdown(text)


def test_dialogues_are_turns_however_they_are_written():
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Why?"},
    ]
    assert reading.turns(messages) == messages
    assert reading.turns("\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Why?\n\nAssistant:") == messages
    assert reading.turns("Human: the word for a person") is None
    assert reading.turns("What did Assistant: mean?\n\nHuman: x\n\nAssistant: y") is None


@pytest.mark.parametrize(("content", "direction"), [("«שלום» he said", "rtl"), ("123 مرحبا", "rtl"), ("Hello שלום", "ltr"), ("12", "ltr"), ([{"content": HEBREW}], "rtl")])  # fmt: skip
def test_the_first_letter_says_the_direction(content, direction):
    assert reading.direction(content) == direction


# ── on the board ───────────────────────────────────────────────────────────────────────────────────────────

browser = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def annotator():
    return factories.user()


def project_of(prompt: object, *outputs: str):
    project = factories.project(outputs=len(outputs))
    add_tasks(project, [NewTask(prompt, [(text, "s") for text in outputs])])
    return project


def where(page, text: str) -> str:
    """The letter of the output that says `text`: the board shows them in an order of its own."""
    return page.locator(".card", has_text=text).first.locator(".letter").inner_text()


class TestOnTheBoard:
    pytestmark = browser

    def test_markdown_is_shown_as_it_means_or_as_it_was_written_and_the_choice_is_each_person_s(
        self, open_page, annotator
    ):
        project = project_of("Why?", f"**Because** of\n\n{CODE}", "plain")
        page = open_board(open_page, annotator, project)
        expect(page.locator(".card strong")).to_have_text("Because", use_inner_text=True)
        page.keyboard.press("p")
        expect(page.locator(".card", has_text="Because")).to_contain_text("**Because** of", use_inner_text=True)
        reload(page)
        expect(page.locator(".card strong")).to_be_hidden()
        expect(page.locator("#announce")).to_have_text("")
        other = factories.user()
        page.context.clear_cookies()
        again = open_board(open_page, other, factories.project(tasks=1, outputs=2))
        expect(again.locator("#board")).to_have_attribute("data-view", "rendered")

    def test_code_is_copied_and_a_link_asks_before_it_opens(self, open_page, annotator):
        project = project_of("Why?", f"See [this](https://example.org/a?b=1).\n\n{CODE}", "plain")
        page = open_board(open_page, annotator, project, permissions=["clipboard-read", "clipboard-write"])
        stop_the_clock(page)  # it says so for a second and a half
        page.click(".copy-code")
        expect(page.locator(".copy-code")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == "print('<b>')\n"
        page.context.route("https://example.org/**", lambda route: route.fulfill(body="outside"))
        page.click(".outside")
        says(page, "https://example.org/a?b=1", place="#confirm")
        page.click("#confirm [value=no]")
        page.click(".outside")
        with page.context.expect_page() as opened:
            page.click("#confirm [value=yes]")
        assert page.context.pages == [page, opened.value]  # none for the no
        opened.value.wait_for_url("https://example.org/a?b=1")

    def test_differences_follow_the_focus_and_ranking_goes_on(self, open_page, annotator):
        page = open_board(
            open_page, annotator, project_of("Why?", "Paris is grand.", "Paris was grand.", "Rome is grand.")
        )
        requested = []
        page.on("request", lambda request: requested.append(request.url.rsplit("/", 1)[1]))
        one, other, third = (where(page, text) for text in ("Paris is", "Paris was", "Rome"))
        page.keyboard.press(one.lower())
        page.keyboard.press("v")
        page.wait_for_selector("#compare-bar:not([hidden])")
        assert {"compare.js", "diff.js"} <= set(requested)  # brought when first used
        page.keyboard.press(other.lower())
        expect(page.locator("del")).to_have_text(["is"])
        expect(page.locator("ins")).to_have_text(["was"])
        decorated = "getComputedStyle(document.querySelector('ins')).textDecorationLine"
        assert page.evaluate(decorated) == "underline"  # not by colour alone
        page.keyboard.press("2")  # ranks the other one; the focus goes to the next unranked, which is compared now
        shows(page, other)
        page.keyboard.press(third.lower())
        expect(page.locator("ins")).to_have_text(["Rome"])
        page.click("button[data-way=inline]")
        expect(page.locator(".card:visible")).to_have_count(1)
        expect(page.locator("del.struck")).to_have_text("Paris")
        page.select_option("#compare-other", label=other)
        expect(page.locator("ins")).to_have_text(["was"])
        page.keyboard.press("Escape")
        expect(page.locator(".card:visible")).to_have_count(3)
        expect(page.locator("#board ins, #board del")).to_have_count(0)
        page.keyboard.press("1")
        stayed = re.compile(f"^{other}")  # it was chosen when the comparison was closed
        expect(page.locator("#notation")).to_have_value(stayed)

    def test_find_counts_goes_round_and_opens_what_is_folded(self, open_page, annotator):
        page = open_board(
            open_page, annotator, project_of("Where is the needle?", f"{LONG} A Needle!", "No nee**dle**s, **so**.")
        )
        page.keyboard.press("/")
        page.wait_for_selector("#find-bar:not([hidden])")
        page.keyboard.type("needle")
        figure = page.locator("#find-bar output")
        expect(figure).to_have_text("1 of 3")
        assert page.evaluate("CSS.highlights.get('found').size") == 3
        for expected in ("2 of 3", "3 of 3", "1 of 3"):
            page.keyboard.press("Enter")
            expect(figure).to_have_text(expected)
        page.keyboard.press("Shift+Enter")
        expect(figure).to_have_text("3 of 3")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        expect(page.locator(".card[data-unread]")).to_have_count(0)  # one of the two was folded
        page.fill("#find-text", "haystack")
        expect(figure).to_have_text("nothing found")
        page.keyboard.press("Escape")
        expect(page.locator(".card:focus")).to_be_focused()
        assert page.evaluate("CSS.highlights.get('found').size") == 0

    def test_what_is_typed_while_the_search_is_still_loading_is_searched_for(self, open_page, annotator):
        page = open_board(open_page, annotator, project_of("Where is the needle?", "A Needle!", "No needle."))
        held = []
        next_request(page, "**/board/find*.js", held.append)
        page.keyboard.press("/")
        page.keyboard.type("needle")
        until(page, lambda: held)
        held[0].continue_()
        expect(page.locator("#find-bar output")).to_have_text("1 of 3")
        shows(page, "")

    def test_the_text_grows_by_key_and_stays_so(self, open_page, annotator):
        page = open_board(open_page, annotator, project_of("Why?", "Because.", "So."))
        size = "parseFloat(getComputedStyle(document.querySelector('.card .reading')).fontSize)"
        before = page.evaluate(size)
        page.keyboard.press("+")
        page.keyboard.press("+")
        assert page.evaluate(size) == pytest.approx(before * 1.3)
        reload(page)
        assert page.evaluate(size) == pytest.approx(before * 1.3)
        page.keyboard.press("-")
        assert page.evaluate(size) == pytest.approx(before * 1.15)

    def test_equal_frames_are_equal_and_read_when_scrolled_to_their_end(self, open_page, annotator):
        page = open_board(open_page, annotator, project_of("Why?", LONG, "So.", "Or so."))
        for _ in range(4):
            if page.get_attribute("#board", "data-layout") == "equal":
                break
            page.keyboard.press("l")
        heights = {round(page.locator(".card").nth(n).bounding_box()["height"]) for n in range(3)}
        assert len(heights) == 1
        expect(page.locator(".card[data-unread]")).to_have_count(1)
        page.locator(".card[data-unread] .reading").evaluate("e => e.scrollTo(0, e.scrollHeight)")
        page.wait_for_selector(".card[data-unread]", state="detached")

    def test_in_the_focus_layout_an_output_is_read_once_its_end_was_in_sight(self, open_page, annotator):
        page = open_board(open_page, annotator, project_of("Why?", LONG * 2, "So.", "Or so."))
        long = where(page, "One more")
        page.evaluate("document.querySelector('button[data-layout=focus]').click()")
        for letter in "abc":
            page.keyboard.press(letter)
            if letter.upper() != long:
                page.wait_for_selector(f"#letter-{letter.upper()} >> xpath=ancestor::*[@data-read]")
        page.keyboard.press(long.lower())
        expect(page.locator(".card[data-unread]")).to_have_count(1)
        for _ in range(40):
            page.keyboard.press("r")
        page.wait_for_selector(".card[data-unread]", state="detached")

    def test_what_is_ranked_before_it_was_read_says_so_and_folds_again(self, open_page, annotator):
        page = open_board(open_page, annotator, project_of("Why?", LONG, "So."))
        page.keyboard.press(where(page, "One more").lower())
        expect(page.locator(".ranked-unread").filter(visible=True)).to_have_count(0)
        page.keyboard.press("1")
        expect(page.locator(".ranked-unread").filter(visible=True)).to_have_count(1)
        page.keyboard.press(where(page, "One more").lower())
        page.keyboard.press("r")
        expect(page.locator(".read-on:visible")).to_have_count(0)
        page.click(".fold-up:visible")
        expect(page.locator(".read-on:visible")).to_have_count(1)

    def test_a_prompt_from_right_to_left_mirrors_the_board_but_not_the_notation(self, open_page, annotator):
        page = open_board(open_page, annotator, project_of(HEBREW, "Paris", f"{HEBREW} **פריז**"))
        left = {
            name: page.locator(name).first.bounding_box()["x"] for name in (".prompt", ".outputs", ".letter", ".ranks")
        }
        assert left[".prompt"] > left[".outputs"]
        assert left[".letter"] > left[".ranks"]
        assert page.evaluate("getComputedStyle(document.querySelector('#notation')).direction") == "ltr"
        latin = page.locator(".as-written", has_text="Paris")
        assert latin.evaluate("e => getComputedStyle(e).direction") == "ltr"

    def test_no_letter_of_an_output_is_a_command(self, open_page, annotator):
        page = open_board(open_page, annotator, factories.project(tasks=1, outputs=9, guidelines="Fair."))
        for letter in "abcdefghi":
            page.keyboard.press(letter)
            expect(page.locator("dialog[open], .reading-bar:visible")).to_have_count(0)
        shows(page, "")
        expect(page.locator("#board")).to_have_attribute("data-layout", "rows")

    def test_on_a_phone_the_prompt_stays_in_sight_and_the_menu_fits(self, open_page, annotator):
        phone = {**PHONE, "viewport": {"width": 360, "height": 740}}
        table = "| " + " | ".join(["a wide column"] * 8) + " |\n|" + "---|" * 8 + "\n" + "| x " * 8 + "|"
        page = open_board(
            open_page, annotator, project_of("Why, in sight?", f"{LONG}\n\n{CODE}\n\n{table}", LONG), **phone
        )
        page.tap("#reading-menu summary")
        expect(page.locator("#reading-menu .menu-list")).to_be_visible()
        box = page.locator("#reading-menu .menu-list").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        page.tap("[data-do=bigger]")
        page.tap("[data-do=compare]")
        page.wait_for_selector("#compare-bar:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.tap("#compare-bar [data-stop]")
        expect(page.locator("#compare-bar")).to_be_hidden()
        for left in (1, 0):
            page.locator(".read-on:visible").first.tap()
            expect(page.locator(".read-on:visible")).to_have_count(left)
        page.locator(".outputs").evaluate("e => e.scrollTo(0, e.scrollHeight)")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        prompt = page.get_by_text("Why, in sight?").bounding_box()
        assert 0 <= prompt["y"] < 300

    def test_by_names_and_roles_alone_as_a_screen_reader_has_them(self, open_page, annotator):
        project = factories.project(tasks=2, outputs=3, guidelines="Fair.")
        page = open_board(open_page, annotator, project)
        outputs = page.get_by_role("region", name="Outputs")
        expect(page.get_by_role("region", name="Prompt")).to_be_visible()
        expect(outputs.get_by_role("heading", name="Outputs", level=2)).to_have_count(1)
        for letter, rank in (("A", "2"), ("B", "1"), ("C", "2")):
            card = outputs.get_by_role("group", name=f"Output {letter}", exact=True)
            described = card.get_attribute("aria-describedby")
            assert "Answer" in page.text_content(f"#{described}")
            card.get_by_role("radio", name=rank, exact=True).focus()
            page.keyboard.press("Space")
        announced = page.locator("#announce")
        expect(announced).to_have_text("C second, tied with A")
        expect(announced).to_have_attribute("aria-live", "polite")
        before = present(page)
        page.get_by_role("button", name="Submit").focus()
        page.keyboard.press("Enter")
        wait_for_next(page, before)
        expect(announced).to_contain_text("Next task")
        first = page.get_by_role("group", name="Output A", exact=True)
        expect(first).to_be_focused()
        page.keyboard.press("u")
        page.get_by_role("dialog", name="Guidelines").wait_for()
        page.keyboard.press("Escape")
        expect(first).to_be_focused()
