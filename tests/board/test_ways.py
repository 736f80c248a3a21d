"""What the board says beside the tasks: practice with feedback, qualification, warnings, pauses, goals, questions to those who run the project."""

import re

import pytest
from playwright.sync_api import expect

from labeling.actions import accept_warning
from labeling.actions.tasks import Known, Place, add_tasks
from labeling.constraints import Constraints
from labeling.models import Comment, Desk
from tests import factories
from tests.board.test_keeping import next_request, stop_the_clock
from tests.board.test_ranking import open_board, present, reload, says, shows, stored, wait_for_next

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def annotator():
    return factories.user()


def known(number: int, kind: str, answer: str, explanation: str = ""):
    made = Known(kind, Constraints.parse(answer, items=4), explanation)
    return factories.task(number, place=Place(known=made))


def letter_of(page, answer: str) -> str:
    """The letter under which the board shows "Answer X to …"."""
    texts = page.locator(".card .reading").all_inner_texts()
    return "ABCD"[next(place for place, text in enumerate(texts) if f"Answer {answer} " in text)]


def rank_first(page, letter: str) -> None:
    others = [each for each in "ABCD" if each != letter]
    page.fill("#notation", f"{letter} > {' = '.join(others)}")
    page.press("#notation", "Enter")


def test_practice_says_what_it_is_and_how_it_went_before_the_next_task(open_page, annotator):
    project = factories.project(tasks=2)
    add_tasks(
        project,
        [
            known(90, "practice", "A > B, A > C", "A *answers*."),
            known(91, "practice", "D >= A"),
            known(92, "qualification", "B > A"),
        ],
    )
    page = open_board(open_page, annotator, project)
    says(page, "Practice 1 of 2", place=".stage")
    first, wrong, right = present(page), letter_of(page, "B"), letter_of(page, "A")
    rank_first(page, wrong)
    page.wait_for_selector("#feedback[open]")
    says(page, "Not quite as expected", f"{right} > {wrong}", place="#feedback")
    shown = page.locator("#feedback .feedback-output").all_inner_texts()  # the task that was practised, the best first
    assert shown[0].split()[0] == wrong
    assert "Answer B " in shown[0]
    assert all("to 90" in text for text in shown)
    box = page.locator("#feedback").bounding_box()
    assert (box["width"], box["height"]) == (
        page.viewport_size["width"],
        page.viewport_size["height"],
    )  # covers the next one
    assert page.inner_html("#feedback em") == "answers"
    page.keyboard.press("1")  # not meant for the next task, which lies below already
    assert present(page) != first
    page.keyboard.press("Enter")
    page.wait_for_selector("#feedback", state="detached")
    shows(page, "")
    expect(page.locator(".card[data-item='0']")).to_be_focused()
    expect(page.locator("#toast button")).to_have_count(0)  # what one has heard about is not called back

    says(page, "Practice 2 of 2", place=".stage")
    second = present(page)
    rank_first(page, letter_of(page, "D"))
    page.wait_for_selector("#feedback[open] >> text=As expected")
    page.keyboard.press("Enter")
    page.wait_for_selector("#feedback", state="detached")
    assert present(page) != second
    says(page, "Qualification 1 of 1", place=".stage")
    third = present(page)
    rank_first(page, letter_of(page, "B"))
    wait_for_next(page, third)
    expect(page.locator("#feedback, .stage")).to_have_count(0)  # a real one
    says(page, "passed the qualification", place="#toast")
    expect(page.locator("#toast button")).to_have_count(0)
    expect(page.locator("#progress")).to_have_text(re.compile("^0 ranked today"))
    expect(page.locator("#progress")).not_to_contain_text("2 waiting")


def test_a_pause_is_told_kindly_and_loses_nothing(open_page, annotator):
    project = factories.project(tasks=3)
    page = open_board(open_page, annotator, project)
    Desk.objects.filter(annotator=annotator).update(paused_because="gold")
    rank_first(page, "C")  # the task in hand may be finished
    page.wait_for_selector(".task-none")
    says(page, "Time for a pause", "All that you ranked is stored", project.created_by.username, place="#task")
    assert stored(annotator) == ["C > A = B = D"]


def test_a_content_warning_comes_first_and_the_choice_can_be_changed(open_page, annotator):
    project = factories.project(content_warning="Some texts are **cruel**.")
    add_tasks(project, [factories.task(1), factories.task(2, place=Place(lane="!", sensitive=True))])
    page = open_page(f"/rank/{project.slug}/", annotator)
    expect(page.locator(".prose strong")).to_have_text("cruel")
    assert annotator.assignments.count() == 0  # nothing is taken before
    page.click("text=Leave sensitive ones out")
    page.wait_for_selector(".card[data-focused]")
    rank_first(page, "A")
    page.wait_for_selector(".task-none")
    assert Desk.objects.get(annotator=annotator).takes_sensitive is False

    accept_warning(actor=annotator, project=project, takes_sensitive=True)
    reload(page)
    page.keyboard.press("?")
    page.click("#help >> text=Content warning")
    says(page, "At present you take sensitive tasks", place="main")


def test_goal_pace_and_round_stand_in_the_head(open_page, annotator):
    project = factories.project(tasks=5, daily_goal=40)
    page = open_board(open_page, annotator, project)
    expect(page.locator(".figures")).to_have_text("0 of 40 today · 4 waiting", use_inner_text=True)
    for _ in range(3):
        before = present(page)
        rank_first(page, "A")
        wait_for_next(page, before)
    expect(page.locator(".figures")).to_have_text(
        re.compile(r"^3 of 40 today · 1 waiting · .* an hour$"), use_inner_text=True
    )


def test_a_question_goes_to_those_who_run_the_project_and_the_ranking_stays(open_page, annotator):
    project = factories.project(tasks=1)
    page = open_board(open_page, annotator, project)
    stop_the_clock(page)  # what passes by itself stays
    page.keyboard.press("2")
    page.keyboard.press("k")
    page.fill("#ask-text", "May a joke win?")
    next_request(page, "**/ask/", lambda route: route.abort())
    page.click("#ask .primary")
    page.wait_for_selector("#problem .btn")
    says(page, "Not sent")
    page.click("#problem .btn")
    expect(page.locator("#ask-text")).to_have_value("May a joke win?")  # kept
    page.click("#ask .primary")
    page.wait_for_selector("#toast >> text=on its way")
    assert Comment.objects.get().text == "May a joke win?"
    assert Comment.objects.get().is_question
    shows(page, "A")
    assert project.created_by.notices.count() == 1
