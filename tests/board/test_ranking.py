"""Ranking on the board in a real browser: keyboard, mouse, touch and typing all store the same."""

import pytest
from playwright.sync_api import expect

from labeling.models import Assignment, Ranking
from labeling.questions import PRESETS
from tests import factories
from tests.conftest import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WANTED = "C > B = D > A"


@pytest.fixture
def annotator():
    return factories.user()


def open_board(open_page, annotator, project, **options):
    page = open_page(f"/rank/{project.slug}/", annotator, **options)
    page.wait_for_selector(".card[data-focused]")
    return page


def reload(page) -> None:
    page.reload()
    page.wait_for_selector(".card[data-focused]")


def stored(annotator) -> list[str]:
    """What `annotator` has submitted, in the letters that the board showed."""
    from labeling.queries import as_shown

    rankings = Ranking.objects.filter(assignment__annotator=annotator, current=True).select_related("assignment")
    return [as_shown(ranking.assignment, ranking) for ranking in rankings.order_by("pk")]


def wait_for_next(page, assignment: str) -> None:
    page.wait_for_selector(f"#task:not([data-assignment='{assignment}'])")


def present(page) -> str:
    return page.get_attribute("#task", "data-assignment")


def shows(page, notation: str) -> None:
    """The board has, or comes to, this order."""
    expect(page.locator("#notation")).to_have_value(notation)


def says(page, *texts: str, place: str = "#problem") -> None:
    for text in texts:
        expect(page.locator(place)).to_contain_text(text, use_inner_text=True)


def put_down(page, target: str, steps: int = 3) -> None:
    """Move what the mouse holds over `target`, and let go once the board knows it there."""
    to = page.locator(target).bounding_box()
    page.mouse.move(to["x"] + to["width"] / 2, to["y"] + to["height"] / 2, steps=steps)
    page.wait_for_selector(f"{target}.over")
    page.mouse.up()


def drag(page, letter: str, target: str) -> None:
    """Drag a letter from its card with the mouse."""
    page.hover(f".card[data-item='{'ABCD'.index(letter)}'] .grip .letter")
    page.mouse.down()
    start = page.locator(f".card[data-item='{'ABCD'.index(letter)}'] .grip .letter").bounding_box()
    page.mouse.move(start["x"] + 30, start["y"] + 30)
    put_down(page, target, steps=5)


def drag_by_touch(page, letter: str, target: str) -> None:
    """The same with a finger, on the letter at the foot of the screen: true touch events, not made-up pointer events."""
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *at: float) -> None:
        points = [{"x": at[0], "y": at[1]}] if at else []
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    start = page.locator(".tiers .chip", has_text=letter).bounding_box()
    x, y = start["x"] + start["width"] / 2, start["y"] + start["height"] / 2
    touch("touchStart", x, y)
    touch("touchMove", x - 12, y - 12)
    to = page.locator(target).bounding_box()
    end = to["x"] + to["width"] / 2, to["y"] + to["height"] / 2
    for step in (0.5, 1):
        touch("touchMove", x + (end[0] - x) * step, y + (end[1] - y) * step)
    page.wait_for_selector(f"{target}.over")
    touch("touchEnd")


def test_a_whole_ranking_with_a_tie_takes_one_key_more_than_outputs(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    before = present(page)
    for key in ["3", "2", "1", "2", "Enter"]:
        page.keyboard.press(key)
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]
    expect(page.locator(".card[data-item='0']")).to_be_focused()  # the next one can begin at once


def test_a_page_that_scrolls_follows_what_is_dragged_down_to_the_tiers(open_page, annotator):
    """On a phone held sideways the tiers lie below the screen."""
    sideways = {**PHONE, "viewport": {"width": 740, "height": 360}}
    page = open_board(open_page, annotator, factories.project(tasks=1, outputs=9), **sideways)
    grip = page.locator(".card[data-item='0'] .grip .letter")
    start = grip.bounding_box()
    page.mouse.move(start["x"] + 10, start["y"] + 10)
    page.mouse.down()
    page.mouse.move(start["x"] + 30, 340)
    page.mouse.move(start["x"] + 30, 355)
    page.wait_for_function("() => scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
    put_down(page, ".gap.last")
    shows(page, "A")


@pytest.mark.parametrize("preset", [None, "quality"])
def test_the_board_loads_nothing_that_its_page_does_not_name(open_page, annotator, preset):
    """So no file waits for another to arrive first. How long it takes is measured in bench/labeling_browser.py."""
    questions = PRESETS[preset].definition() if preset else []
    page = open_board(open_page, annotator, factories.project(tasks=1, questions=questions))
    loaded = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    named = page.evaluate(
        "[...document.querySelectorAll('script[src], link[href]')].map(each => each.src || each.href)"
    )
    assert any("/board/desk" in name for name in loaded)
    assert set(loaded) - set(named) == set()
    assert len(loaded) < 30


def test_digits_go_by_the_physical_key(open_page, annotator):
    """A French keyboard gives other characters on the unshifted digit keys; a Russian one other letters."""
    page = open_board(open_page, annotator, factories.project(tasks=1))
    typed = [("KeyC", "с"), ("Digit1", "&"), ("Digit2", "é"), ("Digit3", '"'), ("Digit2", "é")]
    for code, key in typed:
        page.evaluate(
            "([code, key]) => document.activeElement.dispatchEvent("
            "new KeyboardEvent('keydown', {code, key, bubbles: true, cancelable: true}))",
            [code, key],
        )
    shows(page, WANTED)


def test_letters_only_choose_and_signs_place(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    for key in "bcd":
        page.keyboard.press(key)
    shows(page, "")
    for key in ["c", ">", "b", ">", "d", "=", "a", ">"]:
        page.keyboard.press(key)
    shows(page, WANTED)


def test_by_dragging_with_the_mouse(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    before = present(page)
    drag(page, "B", ".gap.last")
    drag(page, "A", ".gap.last")
    drag(page, "C", ".gap[data-at='0']")
    shows(page, "C > B > A")
    drag(page, "D", ".tier[data-tier='1']")
    shows(page, WANTED)
    page.click("[data-do=submit]")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]


@pytest.mark.parametrize("width", [390, 360])
def test_by_dragging_with_a_finger_on_a_phone(open_page, annotator, width):
    phone = {**PHONE, "viewport": {"width": width, "height": 800}}
    page = open_board(open_page, annotator, factories.project(tasks=2), **phone)
    before = present(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drag_by_touch(page, "B", ".gap.last")
    drag_by_touch(page, "A", ".gap.last")
    drag_by_touch(page, "C", ".gap[data-at='0']")
    drag_by_touch(page, "D", ".tier[data-tier='1']")
    shows(page, WANTED)
    page.tap("[data-do=submit]")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]


def test_by_tapping_ranks_on_a_phone(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2), **PHONE)
    before = present(page)
    taps = [("A", 3, "A"), ("A", 3, ""), ("B", 2, "B"), ("A", 3, "B > A"), ("C", 1, "C > B > A"), ("D", 2, WANTED)]
    for letter, rank, shown in taps:
        page.locator(f".card[data-item='{'ABCD'.index(letter)}'] .ranks label").nth(rank - 1).tap()
        shows(page, shown)
        if not shown:
            expect(page.locator("#announce")).to_have_text("A not ranked")  # the same rank once more takes it away
    page.tap("[data-do=submit]")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]


def test_by_typing(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    before = present(page)
    page.click("#notation")
    page.keyboard.type("c>b=d>a")
    expect(page.locator(".card[data-item='2'] .ranks input").nth(0)).to_be_checked()
    expect(page.locator(".tier")).to_have_text(["1st\nC", "2nd\nB\nD", "3rd\nA"], use_inner_text=True)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]


def test_typing_errors_point_at_the_character_and_leave_the_order_alone(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    page.fill("#notation", "A > B")
    page.fill("#notation", "A > Q")
    expect(page.locator("#typed-error mark")).to_have_text("Q")
    says(page, "Character 5", place="#typed-error")
    expect(page.locator("#notation")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".tier")).to_have_count(2)
    page.keyboard.press("Enter")
    says(page, "mend it")
    assert stored(annotator) == []


def test_nothing_is_ranked_at_the_start_and_an_unfinished_ranking_is_not_sent(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    shows(page, "")
    expect(page.locator(".ranks input:checked")).to_have_count(0)
    page.keyboard.press("Enter")
    says(page, "Nothing is ranked yet")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    says(page, "B, C and D")
    assert stored(annotator) == []


def test_partial_rankings_the_rest_and_the_line_where_the_project_allows_them(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2, allow_partial=True, acceptability_line=True))
    before = present(page)
    for key in ["2", "1", "a", "|", "*"]:
        page.keyboard.press(key)
    shows(page, "B > A | *")
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert stored(annotator) == ["B > A | *"]


def test_the_line_can_be_dragged(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1, acceptability_line=True))
    page.fill("#notation", "A > B > C > D |")
    page.hover(".line")
    page.mouse.down()
    page.mouse.move(700, 700)
    put_down(page, ".tier[data-tier='1']")
    shows(page, "A > B | C > D")


def test_nothing_moves_when_a_drag_begins_on_a_phone(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1), viewport={"width": 390, "height": 844})
    page.fill("#notation", "A > B > C = D")
    places = """[...document.querySelectorAll(".tier, .gap, .desk")].map((each) =>
        Object.values(each.getBoundingClientRect().toJSON()).join()).join(" ")"""
    before = page.evaluate(places)
    box = page.locator(".tier .chip").nth(3).bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] - 60, box["y"] + 8, steps=3)
    expect(page.locator("#board[data-dragging] .tray")).to_be_visible()  # where letters are put back
    assert page.evaluate(places) == before
    page.mouse.up()


def test_no_reason_is_chosen_before_they_choose_one(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    before = present(page)
    page.keyboard.press("s")
    page.wait_for_selector("#skip[open]")
    page.keyboard.press("Enter")
    expect(page.locator("#skip")).to_be_visible()
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert Assignment.objects.get(pk=before).reason == "It would take too long to read"


def test_skip_asks_for_a_reason_and_brings_the_next_task(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    before = present(page)
    page.keyboard.press("s")
    page.check("#skip input[value='']")
    page.fill("#skip input[name=other]", "too much mathematics")
    page.click("#skip button.primary")
    wait_for_next(page, before)
    skipped = Assignment.objects.get(pk=before)
    assert (skipped.state, skipped.reason) == ("skipped", "too much mathematics")


def test_flag_says_what_is_wrong(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    before = present(page)
    page.keyboard.press("x")
    page.check("#flag input[value=garbled]")
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    flagged = Assignment.objects.get(pk=before)
    assert (flagged.state, flagged.reason) == ("flagged", "garbled")


def test_what_happens_is_announced(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    for key in ["b", "2", "d", "2"]:
        page.keyboard.press(key)
    expect(page.locator("#announce")).to_have_text("D second, tied with B")


def test_single_keys_can_be_switched_off(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    page.keyboard.press("?")
    page.uncheck("#single-keys")
    page.click("#help button")
    expect(page.locator(".card[data-item='0']")).to_be_focused()
    page.keyboard.press("1")
    shows(page, "")


def test_a_long_output_folds_and_submitting_it_unread_asks_once(open_page, annotator):
    from labeling.actions.tasks import NewTask, add_tasks

    project = factories.project(outputs=2)
    add_tasks(project, [NewTask("Why?", [("Because. " * 900, "a"), ("So.", "b")]), factories.task(1, 2)])
    page = open_board(open_page, annotator, project)
    before = present(page)
    long = page.locator(".card:has(.read-on:not([hidden]))")
    expect(long).to_have_count(1)
    for key in ["1", "2", "Enter"]:
        page.keyboard.press(key)
    expect(page.locator("#confirm")).to_be_visible()
    page.click("#confirm button[value=no]")
    expect(page.locator(".read-on:visible")).to_have_count(0)  # it opened what was unread
    assert stored(annotator) == []
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert len(stored(annotator)) == 1


def test_the_last_task_done_the_page_says_so(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1, outputs=2))
    for key in ["1", "1", "Enter"]:
        page.keyboard.press(key)
    page.wait_for_selector(".task-none")
    says(page, "All done here", place="#task")
    assert stored(annotator) == ["A = B"]


def test_without_script_the_typed_order_is_a_form(client, annotator):
    project = factories.project(tasks=2)
    client.force_login(annotator)
    assignment = factories.claim(annotator, project)
    answer = client.post(
        f"/rank/turn/{assignment.pk}/submit/",
        {"ranking": WANTED, "client_key": "k", "seconds": ""},
        HTTP_ACCEPT="text/html",
    )
    assert answer.status_code == 302
    assert stored(annotator) == [WANTED]
