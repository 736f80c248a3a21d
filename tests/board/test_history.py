"""One's own rankings: listed, searched, read again and revised; the old version stays."""

import re

import pytest
from playwright.sync_api import expect

from labeling import actions
from labeling.actions.tasks import Known, NewTask, Place, add_tasks
from labeling.constraints import Constraints
from labeling.models import Ranking
from labeling.questions import PRESETS
from people.errors import Refusal
from tests import factories
from tests.board.test_ranking import shows
from tests.pages import without_tokens

pytestmark = pytest.mark.django_db

QUALITY = PRESETS["quality"].definition()


@pytest.fixture
def annotator():
    return factories.user()


@pytest.fixture
def project():
    made = factories.project(outputs=2)
    prompts = [
        "Where is the library?",
        "Di mana perpustakaan? Où est-elle, à côté?",
        [{"role": "user", "content": "Turn"}],
    ]
    add_tasks(made, [NewTask(prompt, [("left", "a"), ("right", "b")]) for prompt in prompts])
    made.refresh_from_db()
    return made


def page_of(client, annotator, path: str) -> str:
    client.force_login(annotator)
    answer = client.get(path)
    assert answer.status_code == 200
    return without_tokens(answer.content.decode())


def test_it_lists_what_one_said_newest_first_in_the_letters_of_the_board(client, annotator, project):
    first = factories.claim(annotator, project)
    second = factories.submit(annotator, first, "B > A").next
    third = actions.skip_task(actor=annotator, assignment=second, reason="not my field").next
    factories.submit(annotator, third, "A = B")
    page = page_of(client, annotator, f"/rank/{project.slug}/history/")
    assert re.findall(r'class="mono nowrap">([^<]+)<', page) == ["A = B", "B &gt; A"]
    assert page.index("A = B") < page.index("not my field") < page.index("B &gt; A")

    theirs = factories.user()
    assert "not ranked anything here yet" in page_of(client, theirs, f"/rank/{project.slug}/history/")
    client.force_login(theirs)
    for tail in ("", "revise/"):
        assert client.get(f"/rank/{project.slug}/history/{first.pk}/{tail}").status_code == 404


def test_a_flag_is_told_in_words(client, annotator, project):
    turn = factories.claim(annotator, project)
    actions.flag_task(actor=annotator, assignment=turn, flag="not_comparable", note="two languages")
    for path in ("", f"{turn.pk}/"):
        assert "not comparable: two languages" in page_of(client, annotator, f"/rank/{project.slug}/history/{path}")


def test_what_was_called_back_and_submitted_again_is_told_once(client, annotator, project):
    first = factories.claim(annotator, project)
    factories.submit(annotator, first, "B > A")
    actions.undo(actor=annotator, assignment=first)
    factories.submit(annotator, first, "B > A")
    actions.revise_ranking(actor=annotator, assignment=first, notation="A = B", client_key="again")
    listed = page_of(client, annotator, f"/rank/{project.slug}/history/")
    assert "2 versions" in listed
    told = page_of(client, annotator, f"/rank/{project.slug}/history/{first.pk}/")
    assert re.findall(r'<h2 class="mono">([^<]+)<', told) == ["A = B", "B &gt; A"]
    assert told.count("called back, then submitted again") == 1


def test_questions_and_their_answers_stand_beside_the_task(client, annotator, project):
    first = factories.claim(annotator, project)
    factories.submit(annotator, first, "B > A")
    address = f"/rank/{project.slug}/history/{first.pk}/"
    assert "Ask about this task" in page_of(client, annotator, address)
    asked = actions.ask(actor=annotator, assignment=first, text="May a joke win?")
    assert "waits for an answer" in page_of(client, annotator, address)
    actions.comment(actor=factories.admin(), task=first.task, text="a remark among reviewers")
    actions.answer(actor=factories.admin(), question=asked, text="If it is a good one.")
    told = page_of(client, annotator, address)
    assert "May a joke win?" in told
    assert "If it is a good one." in told
    assert "a remark among reviewers" not in told


def test_of_practice_it_tells_what_was_known_and_offers_no_revision_and_of_gold_nothing(client, annotator):
    project = factories.project(tasks=2, outputs=2)
    kinds = [("practice", 90), ("gold", 91)]
    add_tasks(
        project,
        [
            factories.task(
                number, outputs=2, place=Place(known=Known(kind, Constraints.parse("A > B", 2), "Because."))
            )
            for kind, number in kinds
        ],
    )
    practice = factories.claim(annotator, project)
    wrong = "B > A" if practice.display == [0, 1] else "A > B"
    ordinary = factories.submit(annotator, practice, wrong).next
    factories.submit(annotator, ordinary, wrong)
    annotator.assignments.filter(state="claimed").delete()
    gold = annotator.assignments.create(
        project=project,
        task=project.tasks.get(kind="gold"),
        display=[0, 1],
        aside=True,
        claimed_at=practice.claimed_at,
    )
    factories.submit(annotator, gold, "B > A")
    page = f"/rank/{project.slug}/history/"
    assert page_of(client, annotator, page).count(">practice<") == 1
    told = page_of(client, annotator, f"{page}{practice.pk}/")
    assert "Practice: not quite as expected" in told
    assert "Because." in told
    assert "revise/" not in told
    assert client.get(f"{page}{practice.pk}/revise/").status_code == 404
    with pytest.raises(Refusal, match="for practice"):
        actions.revise_ranking(actor=annotator, assignment=practice, notation="A = B", client_key="other")
    for turn in (ordinary, gold):
        told = page_of(client, annotator, f"{page}{turn.pk}/")
        assert "revise/" in told
        assert "ractice" not in told
        assert "Because." not in told


def test_programs_read_the_same_and_strangers_learn_nothing(client, annotator, project):
    first = factories.claim(annotator, project)
    factories.submit(annotator, first, "B > A")
    actions.revise_ranking(actor=annotator, assignment=first, notation="A = B", client_key="again")
    client.force_login(annotator)
    (listed,) = client.get(f"/api/v1/projects/{project.slug}/history/?q=").json()["results"]
    assert (listed["assignment"], listed["ranking"], listed["revisions"]) == (str(first.pk), "A = B", 2)
    told = client.get(f"/api/v1/projects/{project.slug}/history/{first.pk}/").json()
    assert [version["notation"] for version in told["versions"]] == ["A = B", "B > A"]

    actions.change_project(actor=factories.admin(), project=project, open_to_all=False, state="paused")
    client.force_login(factories.user())
    for path in ("history/", "warning/", ""):
        assert client.get(f"/rank/{project.slug}/{path}").status_code == 404
    for path in ("", f"{first.pk}/"):
        assert client.get(f"/api/v1/projects/{project.slug}/history/{path}").status_code == 404


def test_it_is_searched_in_any_script_and_filtered(client, annotator, project):
    assignment = factories.claim(annotator, project)
    while assignment:
        assignment = factories.submit(annotator, assignment, "A > B").next
    found = page_of(client, annotator, f"/rank/{project.slug}/history/?q=côté")
    assert "Di mana perpustakaan" in found
    assert "Where is the library" not in found
    assert "No task fits" in page_of(client, annotator, f"/rank/{project.slug}/history/?state=skipped")


def test_a_gold_task_looks_like_any_other_and_no_page_tells_who_wrote_what(client, annotator, project):
    first = factories.claim(annotator, project)
    factories.submit(annotator, first, "B > A")
    project.tasks.filter(pk=first.task_id).update(kind="gold", state="complete", position=None, free_slots=0)
    for tail in ("", f"{first.pk}/", f"{first.pk}/revise/"):
        page = page_of(client, annotator, f"/rank/{project.slug}/history/{tail}")
        assert "gold" not in page.lower().replace("marigold", "")
        for source in ('"a"', "source", "version_id"):
            assert source not in page


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_revision_starts_from_what_was_said_and_keeps_it(open_page, annotator):
    project = factories.project(tasks=2, questions=QUALITY)
    first = factories.claim(annotator, project)
    actions.submit_ranking(
        actor=annotator,
        assignment=first,
        notation="A > B = C > D",
        client_key="k",
        comment="first thought",
        answers={"outputs": {letter: {"quality": number} for number, letter in enumerate("ABCD", start=1)}},
    )
    page = open_page(f"/rank/{project.slug}/history/", annotator)
    page.click("tbody a")
    page.click("text=Revise")
    page.wait_for_selector(".card[data-focused]")
    shows(page, "A > B = C > D")
    expect(page.locator("[name=comment]")).to_have_value("first thought")
    expect(page.locator("[data-do=skip], [data-do=flag]")).to_have_count(0)
    page.keyboard.press("d")
    page.keyboard.press("1")
    page.keyboard.press("d")
    for key in ["q", "7", "Enter"]:
        page.keyboard.press(key)
    page.wait_for_selector("text=Stored: A = D > B = C")
    panels = page.locator("article:has(h2)")
    expect(panels.locator("h2")).to_have_text(["A = D > B = C", "A > B = C > D"])
    expect(panels.nth(0)).to_contain_text("D · Overall quality\n7", use_inner_text=True)
    expect(panels.nth(1)).to_contain_text("D · Overall quality\n4", use_inner_text=True)
    expect(panels.nth(1)).to_contain_text("replaced")
    rankings = Ranking.objects.filter(assignment=first).order_by("revision")
    assert [(ranking.revision, ranking.current, ranking.comment) for ranking in rankings] == [
        (1, False, "first thought"),
        (2, True, "first thought"),
    ]
    assert annotator.assignments.get(state="claimed").pk != first.pk  # what one holds meanwhile stays
