"""What keeps the board usable: sizes, layouts, focus, turns, dialogs."""

import pytest
from playwright.sync_api import expect

from labeling.actions.tasks import NewTask, add_tasks
from tests import factories
from tests.board.test_keeping import next_request, stop_the_clock, until
from tests.board.test_ranking import open_board, present, reload, shows, stored, wait_for_next
from tests.conftest import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "One more sentence to read. " * 200


@pytest.fixture
def annotator():
    return factories.user()


def chat_project(outputs: int = 9):
    turns = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "Yes?"}]
    turns.append({"role": "user", "content": "The question that is answered"})
    project = factories.project(outputs=outputs)
    add_tasks(project, [NewTask(turns, [(f"{n} {LONG}", "s") for n in range(outputs)])])
    return project


@pytest.mark.parametrize("size", [(360, 740), (390, 844), (1440, 900), (844, 390)])
@pytest.mark.parametrize("layout", ["rows", "equal", "columns", "focus"])
def test_prompt_and_desk_stay_in_sight_with_nine_long_outputs(open_page, annotator, size, layout):
    width, height = size
    page = open_board(open_page, annotator, chat_project(), viewport={"width": width, "height": height})
    page.evaluate("layout => document.querySelector(`button[data-layout=${layout}]`).click()", layout)
    page.keyboard.press("i")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    answered = page.get_by_text("The question that is answered")
    assert answered.evaluate("e => e.getBoundingClientRect().top") < height
    if height > 600:  # on a screen as low as a phone held sideways the page scrolls instead
        for selector in ("#notation", "[data-do=submit]", ".card[data-focused] .letter"):
            box = page.locator(selector).first.bounding_box()
            assert 0 <= box["x"] <= width - box["width"], selector
            assert 0 <= box["y"] <= height - box["height"], selector
        seen = page.evaluate("document.querySelector('.outputs').clientHeight")
        assert seen > height * 0.3


def test_turns_of_a_conversation_are_shown_as_such(open_page, annotator):
    page = open_board(open_page, annotator, chat_project(2))
    expect(page.locator(".turn .overline")).to_have_text(["Person", "Assistant", "Person"], use_inner_text=True)


def test_the_layout_is_remembered(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    page.click("#reading-menu summary")
    page.click("button[data-layout=focus]")
    reload(page)
    expect(page.locator("#board")).to_have_attribute("data-layout", "focus")
    sizes = [page.locator(".card").nth(n).bounding_box()["width"] for n in (0, 1)]
    assert sizes[0] > 2 * sizes[1]


def test_guidelines_open_and_close_by_key_and_the_board_goes_on(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1, guidelines="Be <b>fair</b>."))
    page.keyboard.press("u")
    expect(page.locator("#guidelines .prose")).to_have_text("Be <b>fair</b>.", use_inner_text=True)
    page.keyboard.press("1")  # not meant for the board now
    page.keyboard.press("Escape")
    expect(page.locator("#guidelines")).to_be_hidden()
    page.keyboard.press("2")
    shows(page, "A")
    expect(page.locator(".card[data-item='0'] .ranks input").nth(1)).to_be_checked()


def test_no_key_meant_for_a_dialog_that_is_still_loading_ranks(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    held = []
    next_request(page, "**/board/dialogs*.js", held.append)
    page.keyboard.press("s")
    page.keyboard.press("3")
    until(page, lambda: held)
    held[0].continue_()
    expect(page.locator("#skip")).to_be_visible()
    shows(page, "")


def test_texts_are_shown_as_they_are_and_never_run(open_page, annotator):
    project = factories.project(outputs=2)
    evil = "<img src=x onerror=\"document.title='broken in'\"> & <script>document.title='broken in'</script>"
    add_tasks(project, [NewTask(evil, [(evil, "a"), (f"b {evil}", "b")])])
    page = open_board(open_page, annotator, project)
    expect(page.locator(".prompt .reading")).to_contain_text(evil, use_inner_text=True)
    # Had there been such an image, it would have failed before this one.
    page.evaluate("new Promise(failed => Object.assign(new Image(), { onerror: failed, src: 'x' }))")
    assert page.title() == f"{project.name} · Peringkat"


def test_a_phone_gets_the_next_task_too_and_undo_by_touch(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2), **PHONE)
    stop_the_clock(page)
    before = present(page)
    for item in range(4):
        page.locator(f".card[data-item='{item}'] .ranks label").nth(0).tap()
    page.tap("[data-do=submit]")
    wait_for_next(page, before)
    page.tap("#toast button")
    page.wait_for_selector(f"#task[data-assignment='{before}']")
    shows(page, "A = B = C = D")


def test_the_next_task_takes_one_request_and_waits_for_nothing_else(open_page, annotator):
    """No page load, no timer, no frame: with the clock stopped it comes all the same. bench/labeling_browser.py measures how soon."""
    page = open_board(open_page, annotator, factories.project(tasks=2))
    stop_the_clock(page)
    before = present(page)
    requests = []
    page.on("request", lambda request: requests.append(f"{request.method} {request.url.split('/', 3)[3]}"))
    for key in ["1", "2", "3", "4", "Enter"]:
        page.keyboard.press(key)
    wait_for_next(page, before)
    assert requests == [f"POST rank/turn/{before}/submit/"]
    shows(page, "")
    assert stored(annotator) == ["A > B > C > D"]
