"""Nothing that an annotator did gets lost: drafts, failed saves, two tabs, undo."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from labeling.models import Ranking
from tests import factories
from tests.board.test_ranking import WANTED, open_board, present, reload, says, shows, stored, wait_for_next
from tests.conftest import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def annotator():
    return factories.user()


@pytest.fixture
def page(open_page, annotator):
    return open_board(open_page, annotator, factories.project(tasks=3))


def rank(page) -> None:
    for key in ["3", "2", "1", "2"]:
        page.keyboard.press(key)


def until(page, holds: Callable[[], object]) -> None:
    """Wait for what the browser reports to this side; reports come in while the page is asked something."""
    last = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < last
        page.evaluate("new Promise(requestAnimationFrame)")


def next_request(page, address: str, answer) -> None:
    """`answer` takes the next request to such an address; those after it go to the server.

    Chromium begins to intercept a moment after it has said so, and a request in that moment would go through: probes wait for it.
    """
    waiting, seen = [answer], []

    def take(route) -> None:
        if "/probe/" in route.request.url:
            seen.append(route)
            route.fulfill(status=204)
        elif waiting:
            waiting.pop()(route)
        else:
            route.continue_()

    def begun() -> list:
        page.evaluate("probe => fetch(probe).catch(() => null)", address.replace("**", "/probe").replace("*", ""))
        return seen

    page.route(address, take)
    until(page, begun)


def go_offline(page) -> None:
    page.context.set_offline(True)
    page.wait_for_function("() => fetch('/probe/').then(() => false, () => true)")


def stop_the_clock(page) -> None:
    """Load the page anew; its time passes only by `page.clock` from here on, so do its timers and frames."""
    page.clock.install()
    page.clock.pause_at(datetime.now() + timedelta(minutes=1))
    reload(page)


def test_a_reload_keeps_the_draft_and_forgets_it_after_the_submit(page, annotator):
    rank(page)
    reload(page)
    shows(page, WANTED)
    before = present(page)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]
    assert page.evaluate("Object.keys(localStorage).filter(k => k.includes('draft'))") == []


def test_with_the_connection_lost_the_ranking_stays_and_is_saved_once_when_it_is_back(page, annotator):
    before = present(page)
    rank(page)
    go_offline(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem .btn")
    says(page, "Not saved")
    shows(page, WANTED)
    assert present(page) == before
    page.context.set_offline(False)
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]
    assert Ranking.objects.count() == 1


def test_a_ranking_changed_since_its_save_failed_is_not_sent_by_itself(page, annotator):
    before = present(page)
    rank(page)
    go_offline(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem .btn")
    page.keyboard.press("a")
    page.keyboard.press("2")
    says(page, "Not saved")  # still so
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.evaluate("addEventListener('online', () => fetch('/probe/after/'))")  # after what the board does then
    page.context.set_offline(False)
    until(page, lambda: any("/probe/after/" in url for url in sent))
    assert not [url for url in sent if "/submit/" in url]
    page.click("#problem .btn")
    wait_for_next(page, before)
    assert stored(annotator) == ["C > A = B = D"]


def test_a_reload_after_a_failed_save_says_that_it_is_not_stored(page, annotator):
    before = present(page)
    rank(page)
    next_request(page, "**/submit/", lambda route: route.abort())
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem .btn")
    page.reload()
    page.wait_for_selector("#problem p")
    expect(page.locator("#problem")).to_have_text("This ranking was not stored yet; submit it again.")
    shows(page, WANTED)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]
    expect(page.locator("#problem")).to_have_text("")


def test_what_was_wrong_with_the_order_is_gone_once_it_is_mended(page):
    for key in ["3", "2", "1"]:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_have_text("Not ranked yet: D.")
    page.keyboard.press("2")
    expect(page.locator("#problem")).to_have_text("")

    page.fill("#notation", "A > > B")
    page.press("#notation", "Enter")
    says(page, "cannot be read yet")
    page.fill("#notation", WANTED)  # the order that the board has already
    expect(page.locator("#problem")).to_have_text("")


def test_an_answer_that_was_lost_on_the_way_back_is_not_stored_twice(page, annotator):
    """The server stored the ranking, but the browser never heard: the retry carries the same key."""
    before = present(page)
    rank(page)

    def lose(route):
        route.fetch()
        route.abort()

    next_request(page, "**/submit/", lose)
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem .btn")
    assert stored(annotator) == [WANTED]
    page.click("#problem .btn")
    wait_for_next(page, before)
    assert Ranking.objects.count() == 1


def test_a_server_error_moves_nothing_on(page, annotator):
    before = present(page)
    rank(page)
    next_request(page, "**/submit/", lambda route: route.fulfill(status=500, body="<h1>oh</h1>"))
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem .btn")
    says(page, "the server met an error")
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]


def test_a_session_that_expired_keeps_the_ranking_until_one_has_signed_in_again(page, annotator, open_page):
    before = present(page)
    rank(page)
    Session.objects.all().delete()
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem a")
    says(page, "signed out")
    with page.context.expect_page() as opened:
        page.click("#problem a")
    other = opened.value
    other.fill("#id_username", annotator.username)
    other.fill("#id_password", "correct horse")
    other.click("form.form button")
    other.wait_for_selector(".card")
    page.click("#problem .btn.primary")
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]


def test_nothing_can_be_written_that_the_answer_on_its_way_would_sweep_away(page, annotator):
    before = present(page)
    rank(page)
    page.keyboard.press("n")
    page.keyboard.type("heard")
    held = []
    next_request(page, "**/submit/", held.append)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#board[aria-busy]")
    page.keyboard.type(" and lost")
    page.locator(".ranks label").first.click()
    expect(page.locator("[name=comment]")).to_have_value("heard")
    shows(page, WANTED)
    until(page, lambda: held)
    held[0].continue_()
    wait_for_next(page, before)
    assert stored(annotator) == [WANTED]
    assert Ranking.objects.get().comment == "heard"
    expect(page.locator("[name=comment]")).to_have_value("")


def test_two_tabs_with_the_same_task_store_one_ranking_and_lose_none(page, annotator):
    second = page.context.new_page()
    second.goto(page.url)
    second.wait_for_selector(".card[data-focused]")
    before = present(page)
    assert present(second) == before
    rank(page)
    for key in ["a", "1", "b", "2", "c", "3", "d", "4"]:
        second.keyboard.press(key)
    page.keyboard.press("Enter")
    wait_for_next(page, before)

    second.keyboard.press("Enter")
    second.wait_for_selector("#problem .btn")
    says(second, WANTED)  # says what is stored …
    shows(second, "A > B > C > D")  # … and keeps what is not
    assert stored(annotator) == [WANTED]
    second.click("#problem .btn >> nth=0")
    wait_for_next(second, before)
    assert stored(annotator) == ["A > B > C > D"]
    assert Ranking.objects.count() == 2  # the first one stays as an old revision
    assert present(second) == present(page)


def test_the_last_submit_can_be_called_back_with_its_ranking(page, annotator):
    stop_the_clock(page)
    before = present(page)
    rank(page)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    page.keyboard.press("z")
    page.wait_for_selector(f"#task[data-assignment='{before}']")
    shows(page, WANTED)
    assert stored(annotator) == []
    page.keyboard.press("a")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert stored(annotator) == ["C > A = B = D"]


def test_calling_back_a_submit_takes_the_waiting_figure_back_too(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=4, overlap=2))
    stop_the_clock(page)
    before = present(page)
    says(page, "3 waiting", place="#progress")
    rank(page)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    says(page, "2 waiting", place="#progress")
    page.keyboard.press("z")
    page.wait_for_selector(f"#task[data-assignment='{before}']")
    says(page, "3 waiting", place="#progress")


def test_undo_first_takes_back_the_steps_of_the_present_task(page, annotator):
    rank(page)
    page.keyboard.press("z")
    shows(page, "C > B > A")
    page.click("[data-do=undo]")
    shows(page, "B > A")


def test_ten_seconds_later_the_submit_stands(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    stop_the_clock(page)
    before = present(page)
    rank(page)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    expect(page.locator("#toast button")).to_be_visible()
    page.clock.fast_forward(9_500)
    expect(page.locator("#toast button")).to_be_visible()
    page.clock.fast_forward(1_000)
    expect(page.locator("#toast")).to_be_hidden()
    page.keyboard.press("z")
    expect(page.locator("#announce")).to_have_text("There is nothing to undo")
    assert stored(annotator) == [WANTED]


def test_active_time_is_measured_without_the_time_away(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    stop_the_clock(page)
    before = present(page)
    page.clock.run_for(20_000)
    page.keyboard.press("3")
    page.clock.run_for(3_600_000)  # an hour at lunch counts as the minute until one is idle
    for key in ["2", "1", "2"]:
        page.keyboard.press(key)
    page.clock.run_for(5_000)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert Ranking.objects.get().seconds == 20 + 60 + 5


def test_the_task_that_goes_back_to_the_queue_keeps_its_draft(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2))
    stop_the_clock(page)
    first = present(page)
    rank(page)
    page.keyboard.press("Enter")
    wait_for_next(page, first)
    second = present(page)
    for key in ["1", "1"]:
        page.keyboard.press(key)
    page.click("#toast button")
    wait_for_next(page, second)
    assert present(page) == first
    page.keyboard.press("Enter")
    wait_for_next(page, first)
    shows(page, "A = B")
    assert present(page) == second
