"""Questions beside the ranking: as data, and as people answer them at the board, hands on the keyboard."""

import re

import pytest
from playwright.sync_api import expect

from labeling import actions, questions
from labeling.models import Assignment, Ranking
from labeling.queries import answers_as_shown
from labeling.questions import PRESETS
from people.errors import Refusal
from tests import factories
from tests.board.test_keeping import next_request, stop_the_clock
from tests.board.test_ranking import open_board, present, says, shows, stored, wait_for_next
from tests.conftest import PHONE

QUALITY = PRESETS["quality"].definition()
FLAWS = [
    {
        "key": "flaws",
        "kind": "checks",
        "title": "Flaws",
        "options": ["made up", "rude", "too long"],
    }
]
IDEAL = PRESETS["ideal"].definition()
SURE = [
    {"key": "sure", "scope": "task", "kind": "choice", "title": "Sure?", "options": ["yes", "no"], "required": True}
]
ALL = [*QUALITY, *FLAWS, *IDEAL, *SURE]


def answers(annotator) -> dict:
    """What was stored last, by the letters that the board showed."""
    assignment = Assignment.objects.filter(annotator=annotator, finished_at__isnull=False).latest("finished_at")
    return answers_as_shown(assignment, assignment.rankings.get(current=True))


def chosen(page, key: str = "quality", **by_letter: list[str]) -> None:
    """For each output named, just these are chosen on the page."""
    for letter, values in by_letter.items():
        fields = page.locator(f"[name='answer.{letter}.{key}']:checked")
        expect(fields).to_have_count(len(values))
        for place, value in enumerate(values):
            expect(fields.nth(place)).to_have_value(value)


# As data


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_are_sound(preset):
    definition = preset.definition()
    assert questions.problems_with(definition) == []
    assert [question.as_json() for question in questions.read(definition)] == definition


def test_all_that_is_wrong_with_a_definition_is_said_at_once():
    problems = questions.problems_with(
        [
            {"key": "ok", "kind": "text", "title": "Fine"},
            {"key": "ok", "kind": "scale", "title": "Twice", "low": 3, "high": 3, "colour": "red"},
            {"key": "Not a key", "kind": "choice", "title": " ", "options": ["same", "same"], "scope": "page"},
            "no object",
        ]
    )
    said = "\n".join(problems)
    for wrong in (
        "2: another question has the key",
        "2: a scale goes up",
        "2: unknown fields: colour",
        "3: the key",
        "3: it needs a title",
    ):
        assert f"Question {wrong}" in said
    assert "3: no option may stand there twice" in said
    assert "3: scope must be one of" in said
    assert "Question 4: it must be an object" in said
    assert "Question 1" not in said


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"outputs": {"A": {"quality": 8}}}, "Overall quality (A): choose a whole number from 1 to 7."),
        ({"outputs": {"A": {"quality": True}}}, "Overall quality (A): choose a whole number"),
        ({"outputs": {"A": {"quality": 7}, "C": {"quality": 1}}}, "There is no output C"),
        ({"outputs": {"B": {"flaws": ["rude", "ugly"]}}}, "Flaws (B): choose among the options."),
        ({"task": {"ideal": "x" * 20_001}}, "write at most 20000 characters"),
        ({"task": {"quality": 3}}, "quality: the project does not ask this."),
        ({"sides": {}}, "must be an object"),
        ([], "must be an object"),
        ({"outputs": {"A": {"quality": 7}}}, "Not answered yet for B: Overall quality"),
        ({"outputs": {"A": {"quality": 7}, "B": {"quality": 1}}}, "Not answered yet: Sure?"),
    ],
)
def test_answers_that_do_not_fit_are_named(given, says):
    assert any(says in problem for problem in questions.check(questions.read(ALL), given, 2))


def test_of_a_partial_ranking_only_what_it_names_must_be_answered():
    given = {"outputs": {"B": {"quality": 2}}, "task": {"sure": "yes"}}
    assert questions.check(questions.read(ALL), given, 9, asked=[1]) == []


def test_answers_go_through_forms_and_the_database_and_come_back_the_same():
    asked = questions.read(ALL)
    given = {
        "outputs": {"B": {"quality": 7, "flaws": ["made up", "too long"]}, "A": {"quality": 1}},
        "task": {"ideal": "Better.\nMuch."},
    }
    fields: dict[str, list[str]] = {}
    for name, value in questions.to_fields(given):
        fields.setdefault(name, []).append(value)
    fields["answer.A.flaws"] = [""]
    read = questions.from_fields(asked, fields | {"ranking": ["A > B"]})
    assert read == given
    shown = [42, 17]
    assert questions.to_stored(read, shown)["outputs"] == {"17": given["outputs"]["B"], "42": {"quality": 1}}
    assert questions.to_letters(questions.to_stored(read, shown), shown) == given


def test_answers_that_say_nothing_are_not_stored():
    asked = questions.read(ALL)
    given = {
        "outputs": {"A": {"flaws": ["too long", "made up"], "quality": None}, "B": {"flaws": []}},
        "task": {"ideal": " "},
    }
    assert questions.cleaned(asked, given) == {"outputs": {"A": {"flaws": ["made up", "too long"]}}}


@pytest.mark.django_db
def test_the_same_ranking_with_other_answers_from_a_second_tab_is_refused_and_named():
    annotator, project = factories.user(), factories.project(tasks=2, outputs=2, questions=QUALITY)
    turn = factories.claim(annotator, project)

    def submit(key: str, quality: int):
        said = {"outputs": {"A": {"quality": quality}, "B": {"quality": 1}}}
        return actions.submit_ranking(
            actor=annotator, assignment=turn.pk, notation="A > B", client_key=key, answers=said
        )

    submit("one", 7)
    assert submit("one", 7).repeated
    assert submit("two", 7).repeated
    for key in ("one", "two"):
        with pytest.raises(Refusal) as refused:
            submit(key, 2)
        assert refused.value.status == 409
    assert answers(annotator)["outputs"]["A"] == {"quality": 7}


# At the board


@pytest.fixture
def annotator(db):
    return factories.user()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_digits_answer_where_q_leads_and_rank_where_escape_leads_back(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=2, questions=ALL))
    page.evaluate("document.querySelector('button[data-layout=focus]').click()")  # which hides those of the others
    before = present(page)
    for key in ["3", "2", "1", "2"]:
        page.wait_for_selector(".card[data-focused]:not([data-unread])")  # a frame has shown it
        page.keyboard.press(key)
    page.keyboard.press("a")
    for key in ["q", "6", "5", "7", "Escape"]:
        page.keyboard.press(key)
    shows(page, "C > B = D > A")  # none of these ranked
    chosen(page, A=["6"], B=["5"], C=["7"], D=[])
    expect(page.locator(".card[data-item='3']")).to_be_focused()

    page.keyboard.press("Enter")
    says(page, "Not answered yet for D: Overall quality", "Not answered yet: Sure?")
    here = page.locator(":focus")
    expect(here).to_have_attribute("name", "answer.D.quality")  # and that is where one is now
    page.keyboard.press("3")  # goes on to the next that waits: the one about the task
    expect(here).to_have_attribute("name", "answer.task.sure")
    page.keyboard.press("1")
    expect(page.locator("#problem")).to_have_text("")
    expect(page.locator("#announce")).to_have_text("All questions are answered.")

    page.keyboard.press("a")
    for key in ["q", "q", "1", "3", "q"]:  # the folded one opens when it is reached; digits tick
        page.keyboard.press(key)
    chosen(page, "flaws", A=["made up", "too long"])
    page.keyboard.press("n")
    page.keyboard.type("a 1st note")
    page.keyboard.press("Control+Enter")
    wait_for_next(page, before)
    assert stored(annotator) == ["C > B = D > A"]
    assert Ranking.objects.get().comment == "a 1st note"
    assert answers(annotator) == {
        "outputs": {
            "A": {"quality": 6, "flaws": ["made up", "too long"]},
            "B": {"quality": 5},
            "C": {"quality": 7},
            "D": {"quality": 3},
        },
        "task": {"sure": "yes"},
    }


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_answers_survive_a_lost_save_a_reload_and_undo(open_page, annotator):
    page = open_board(
        open_page, annotator, factories.project(tasks=2, outputs=2, questions=[*QUALITY, *FLAWS, *IDEAL])
    )
    stop_the_clock(page)
    before = present(page)
    for key in ["1", "2", "a", "q", "4", "5"]:
        page.keyboard.press(key)
    page.click("text=What would the ideal answer be?")
    page.fill("[name='answer.task.ideal']", "Shorter.")
    next_request(page, "**/submit/", lambda route: route.abort())
    page.click("[data-do=submit]")
    page.wait_for_selector("#problem .btn")
    page.reload()
    page.wait_for_selector("#problem p")
    chosen(page, A=["4"], B=["5"])
    expect(page.locator("[name='answer.task.ideal']")).to_have_value("Shorter.")
    expect(page.locator("[name='answer.task.ideal']")).to_be_visible()  # what says something is not folded
    page.click("[data-do=submit]")
    wait_for_next(page, before)
    said = answers(annotator)
    assert said == {"outputs": {"A": {"quality": 4}, "B": {"quality": 5}}, "task": {"ideal": "Shorter."}}
    chosen(page, A=[], B=[])  # the next task begins empty

    page.keyboard.press("z")
    page.wait_for_selector(f"#task[data-assignment='{before}']")
    chosen(page, A=["4"], B=["5"])
    expect(page.locator("[name='answer.task.ideal']")).to_have_value("Shorter.")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_questions_by_touch_at_360_pixels_and_a_rewrite_begins_with_its_output(open_page, annotator):
    better = [{"key": "better", "kind": "rewrite", "title": "Better", "required": True}]
    phone = {**PHONE, "viewport": {"width": 360, "height": 740}}
    page = open_board(
        open_page, annotator, factories.project(tasks=2, outputs=2, questions=[*QUALITY, *better]), **phone
    )
    before = present(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for place, letter in enumerate("AB"):
        page.locator(f".card[data-item='{place}'] .ranks label").nth(place).tap()
        page.locator(f"[name='answer.{letter}.quality'][value='{place + 3}']").tap()
        page.locator(f".card[data-item='{place}'] [data-begin]").tap()
        expect(page.locator(f"[name='answer.{letter}.better']")).to_have_value(re.compile("^Answer "))
    page.tap("[data-do=submit]")
    wait_for_next(page, before)
    said = answers(annotator)["outputs"]
    assert (said["A"]["quality"], said["B"]["quality"]) == (3, 4)
    assert said["A"]["better"] != said["B"]["better"]


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_board_without_questions_loads_nothing_for_them(open_page, annotator):
    page = open_board(open_page, annotator, factories.project(tasks=1))
    loaded = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert not [name for name in loaded if "questions" in name]
    page.keyboard.press("q")
    expect(page.locator(".card[data-item='0']")).to_be_focused()
