"""A whole ranking by screen reader: what has which role and name, what is said aloud, and where the focus is after every step. Keyboard only."""

import pytest
from playwright.sync_api import expect

from labeling.models import Assignment
from tests import factories
from tests.board.test_ranking import open_board, present, says, stored, wait_for_next

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

A_TASK = """
- main:
  - region "Prompt":
    - heading "Prompt" [level=2]
    - text: /Prompt \\d+/
  - region "Outputs":
    - heading "Outputs" [level=2]
    - group "Output A":
      - text: /Output A Answer \\w to \\d+/
      - group "Rank of A":
        - text: Rank of A
        - radio "1"
        - text: "1"
        - radio "2"
        - text: "2"
    - group "Output B":
      - text: /Output B Answer \\w to \\d+/
      - group "Rank of B":
        - text: Rank of B
        - radio "1"
        - text: "1"
        - radio "2"
        - text: "2"
    - group: Note on this task N
  - region "Your ranking":
    - alert
    - text: The order as text
    - textbox "The order as text"
    - button "Copy"
    - button "Undo Z"
    - button "Skip S"
    - button "Flag X"
    - button /Submit/
"""


@pytest.fixture
def annotator():
    return factories.user()


@pytest.fixture
def at(open_page, annotator):
    """The board with three tasks of two outputs, and the tree that a screen reader is given of it."""
    page = open_board(open_page, annotator, factories.project(tasks=3, outputs=2, guidelines="Be fair."))
    session = page.context.new_cdp_session(page)

    def focused() -> tuple[str, str]:
        """Role and name of what has the focus."""
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        has = [
            (node["role"]["value"], node["name"]["value"])
            for node in nodes
            if any(each["name"] == "focused" and each["value"]["value"] for each in node.get("properties", []))
        ]
        return has[-1]  # the page itself comes first

    return page, focused


def aloud(page, text: str) -> None:
    says(page, text, place="#announce")


def rests_on(page, name: str) -> None:
    """The focus comes to the group of an output."""
    expect(page.get_by_role("group", name=name, exact=True)).to_be_focused()


def test_what_is_on_the_board_and_what_is_said_from_the_first_output_to_the_next_task(at, annotator):
    page, focused = at
    expect(page.get_by_role("main")).to_match_aria_snapshot(A_TASK)
    rests_on(page, "Output A")
    assert focused() == ("group", "Output A")

    page.keyboard.press("1")
    aloud(page, "A first")
    rests_on(page, "Output B")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Not ranked yet: B.")
    rests_on(page, "Output B")  # which is the one that lacks
    page.keyboard.press("1")
    aloud(page, "B first, tied with A")
    expect(page.get_by_role("alert")).to_be_empty()
    page.keyboard.press("2")
    aloud(page, "B second")
    expect(page.get_by_role("group", name="Rank of B").get_by_role("radio", name="2")).to_be_checked()

    before = present(page)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    aloud(page, "Next task. 1 ranked today")
    expect(page.get_by_role("status").filter(has_text="Stored: A > B")).to_be_visible()
    rests_on(page, "Output A")
    assert focused() == ("group", "Output A")
    assert stored(annotator) == ["A > B"]
    expect(page.get_by_role("main")).to_match_aria_snapshot(A_TASK)

    page.keyboard.press("z")
    aloud(page, "Next task. 0 ranked today")
    expect(page.get_by_role("status").filter(has_text="Your last task is back.")).to_be_visible()
    rests_on(page, "Output A")


@pytest.mark.parametrize(
    ("key", "dialog"),
    [
        ("s", "Why do you skip this task?"),
        ("x", "What is wrong with this task?"),
        ("k", "Ask those who run this project"),
        ("u", "Guidelines"),
        ("?", "How to rank"),
    ],
)
def test_a_dialog_says_what_it_is_takes_the_focus_and_gives_it_back(at, key, dialog):
    page, focused = at
    page.keyboard.press("ArrowDown")
    rests_on(page, "Output B")
    page.keyboard.press(key)
    box = page.get_by_role("dialog", name=dialog, exact=True)
    expect(box).to_be_visible()
    expect(box.locator(":focus")).to_have_count(1)
    role, name = focused()
    assert role in {"radio", "textbox", "button"}
    assert name
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    rests_on(page, "Output B")


def test_skips_are_heard_to_the_last_task_and_the_end_has_the_focus(at, annotator):
    page, _focused = at
    for waiting in (1, 0, None):
        before = present(page)
        page.keyboard.press("s")
        expect(page.get_by_role("dialog", name="Why do you skip this task?")).to_be_visible()
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text="Skipped")).to_be_visible()
        if waiting is not None:
            wait_for_next(page, before)
            aloud(page, f"Next task. 0 ranked today · {waiting} waiting")
            rests_on(page, "Output A")
    aloud(page, "All done.")
    expect(page.get_by_role("heading", name="All done here")).to_be_visible()
    assert "All done here" in page.evaluate("document.activeElement.innerText")
    skipped = Assignment.objects.filter(annotator=annotator, state=Assignment.State.SKIPPED)
    assert skipped.count() == 3
    assert all(turn.seconds is not None for turn in skipped)
