"""Review: what a reviewer decides stands beside the rankings; the talk about a task tells annotators nothing they may not know."""

import json
import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from labeling import actions, review_queries
from labeling.datasets import snapshot
from labeling.datasets.consensus import consensus_rows
from labeling.datasets.store import rows_of
from labeling.models import Assignment, Comment, Project, Ranking, Task
from labeling.project_queries import lacks
from labeling.quality import Quality
from labeling.review_queries import Wanted
from people.errors import Refusal
from people.models import AuditEntry, Notice, Role
from tests import factories
from tests.labeling_pages.conftest import signed_in
from tests.labeling_pages.judging import as_shown, say
from training.engine import data

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return factories.user(first_name="Ayu"), factories.user(first_name="Budi")


@pytest.fixture
def project(admin, people):
    """Four tasks of three outputs, two rankings each: the same, a tie apart, turned round, the same."""
    made = factories.project(actor=admin, tasks=4, outputs=3, overlap=2)
    say(people[0], made, "A > B > C", "A > B > C", "A > B > C", "A > B > C")
    say(people[1], made, "A > B > C", "A = B > C", "C > B > A", "A > B > C")
    return made


@pytest.fixture
def worst(project) -> Task:
    return project.tasks.order_by("pk")[2]


def address(task, verb=""):
    if verb:
        return reverse("project-review-act", args=[task.project.slug, task.pk, verb])
    return reverse("project-review-task", args=[task.project.slug, task.pk])


def frozen(actor, project: Project, **options) -> list[dict]:
    dataset, _new = actions.freeze_snapshot(actor=actor, project=project, options=snapshot.Options(**options))
    return list(rows_of(dataset.folder))


# The list


def test_what_people_disagree_about_most_comes_first(page, project, worst, said):
    assert review_queries.in_order(project, Wanted()) == [worst.pk]
    shared = review_queries.in_order(project, Wanted("shared"))
    assert shared[:2] == [worst.pk, project.tasks.order_by("pk")[1].pk]
    assert len(shared) == 4
    text = said(page.get(reverse("project-review", args=[project.slug])))
    assert "1 contested" in text
    assert "Prompt 2 −1.00 2" in text
    project.contested_below = 0.99
    project.save()
    assert len(review_queries.in_order(project, Wanted())) == 2


@pytest.mark.slow
def test_the_list_follows_its_filters_and_the_task_keeps_to_the_list(page, project, worst, said):
    first = project.tasks.order_by("pk")[0]
    text = said(page.get(reverse("project-review", args=[project.slug]), {"show": "shared", "q": "Prompt 0"}))
    assert "Prompt 0" in text
    assert "Prompt 2" not in text
    assert "No task fits" in said(page.get(reverse("project-review", args=[project.slug]), {"q": "nowhere"}))
    body = page.get(address(worst) + "?show=shared").content.decode()
    second = review_queries.in_order(project, Wanted("shared"))[1]
    assert f'rel="next" href="{reverse("project-review-task", args=[project.slug, second])}?show=shared"' in body
    assert 'rel="prev"' not in body
    assert 'rel="next"' not in page.get(address(first) + "?q=Prompt+0&show=shared").content.decode()


def test_flagged_and_asked_tasks_are_listed(project, people, worst):
    turn = worst.assignments.get(annotator=people[0])
    actions.ask(actor=people[0], assignment=turn, text="Is B complete?")
    assert review_queries.in_order(project, Wanted("asked")) == [worst.pk]
    third = factories.user()
    Project.objects.filter(pk=project.pk).update(overlap=3)
    actions.ask_for_one_more(actor=factories.admin(), task=worst)
    claimed = factories.claim(third, project)
    actions.flag_task(actor=third, assignment=claimed, flag=Assignment.Flag.GARBLED)
    assert review_queries.in_order(project, Wanted("flagged")) == [worst.pk]
    assert review_queries.counts(project) == {"contested": 1, "flagged": 1, "asked": 1, "decided": 0}


# One task


def test_a_task_is_shown_side_by_side(page, worst, said):
    text = said(page.get(address(worst)))
    assert "Ayu 1 2 3 A > B > C" in text
    assert "Budi 3 2 1 C > B > A" in text
    assert "Consensus" in text
    assert "They agree by −1.00" in text
    assert "Contested pairs: A, B; A, C; B, C" in text
    votes = review_queries.review_of(worst).votes
    assert (votes[0][1][1].better, votes[0][1][1].tied, votes[0][1][1].worse) == (1, 0, 1)
    assert "system A" not in text  # who wrote what is a page further


def test_a_decision_stands_beside_the_rankings_and_a_new_one_beside_the_old(admin, worst):
    before = list(Ranking.objects.filter(assignment__task=worst).values_list("notation", "current"))
    first = actions.adjudicate(actor=admin, task=worst, notation="a>b=c", reason="B and C say the same.")
    assert first.notation == "A > B = C"
    assert actions.adjudicate(actor=admin, task=worst, notation="A > B = C", reason="B and C say the same.") == first
    second = actions.adjudicate(actor=admin, task=worst, notation="B > A > C")
    assert [(each.revision, each.current) for each in worst.adjudications.order_by("revision")] == [
        (1, False),
        (2, True),
    ]
    ids = {item.position: item.completion_id for item in worst.items.all()}
    assert second.tiers == [[ids[1]], [ids[0]], [ids[2]]]
    assert list(Ranking.objects.filter(assignment__task=worst).values_list("notation", "current")) == before
    assert AuditEntry.objects.filter(verb="task.adjudicate").count() == 2
    assert review_queries.in_order(worst.project, Wanted()) == []
    assert review_queries.in_order(worst.project, Wanted("decided")) == [worst.pk]


@pytest.mark.parametrize(
    ("notation", "problem"),
    [
        ("A > D", "no output D"),
        ("A > B", "still missing: C"),
        ("A > B | C", "no acceptability line"),
        ("", "nothing is ranked yet"),
    ],
)
def test_a_decision_that_cannot_be_read_is_refused_and_kept_in_the_field(page, worst, said, notation, problem):
    response = page.post(address(worst, "adjudicate"), {"notation": notation, "reason": "Because."})
    assert response.status_code == 400
    assert problem in said(response)
    assert "Because." in said(response)
    assert not worst.adjudications.exists()


def test_decide_and_go_on_leads_to_the_next_task(page, project, worst):
    following = review_queries.in_order(project, Wanted("shared"))[1]
    response = page.post(address(worst, "adjudicate") + "?show=shared", {"notation": "A > B > C", "then": following})
    assert response["Location"] == reverse("project-review-task", args=[project.slug, following]) + "?show=shared"
    assert worst.adjudications.get().notation == "A > B > C"


def test_a_closed_task_goes_to_nobody_and_comes_back_when_it_is_reopened(page, project, worst):
    page.post(address(worst, "one-more"))
    page.post(address(worst, "close"))
    worst.refresh_from_db()
    assert (worst.state, worst.position) == (Task.State.REVIEW, None)
    assert actions.claim_task(actor=factories.user(), project=project) is None
    page.post(address(worst, "reopen"))
    assert factories.claim(factories.user(), project).task == worst


def test_flags_that_a_reviewer_has_judged_close_a_task_no_more_but_two_new_ones_do(admin):
    project = factories.project(actor=admin, tasks=1, outputs=3, overlap=3)
    task = project.tasks.get()

    def flag():
        person = factories.user()
        actions.flag_task(actor=person, assignment=factories.claim(person, project), flag="unsafe")
        task.refresh_from_db()

    flag()
    flag()
    assert task.state == Task.State.REVIEW
    actions.reopen_task(actor=admin, task=task)
    flag()
    assert task.state == Task.State.OPEN
    flag()
    assert task.state == Task.State.REVIEW


def test_one_more_ranking_is_one_more_place(admin, project, worst):
    person = factories.user()
    assert actions.claim_task(actor=person, project=project) is None
    actions.ask_for_one_more(actor=admin, task=worst)
    assert [task.pk for task in say(person, project, "A > B > C")] == [worst.pk]
    worst.refresh_from_db()
    assert (worst.overlap, worst.submitted, worst.state) == (3, 3, Task.State.COMPLETE)
    actions.close_task(actor=admin, task=worst)
    with pytest.raises(Refusal, match="Reopen it first"):
        actions.ask_for_one_more(actor=admin, task=worst)


def test_a_decided_task_goes_to_nobody_unless_one_more_is_asked(admin, people):
    project, (one, other) = factories.project(actor=admin, tasks=1, outputs=3, overlap=3, overlap_max=5), people
    (task,) = say(one, project, "A > B > C")
    held = factories.claim(other, project)
    actions.adjudicate(actor=admin, task=task, notation="C > B > A")
    task.refresh_from_db()
    assert (task.overlap, task.free_slots, task.state) == (2, 0, Task.State.OPEN)  # who holds it goes on
    assert actions.claim_task(actor=factories.user(), project=project) is None
    actions.skip_task(actor=other, assignment=held, reason="Too hard.")
    task.refresh_from_db()
    assert (task.overlap, task.free_slots, task.state) == (1, 0, Task.State.COMPLETE)
    third = factories.user()
    assert actions.claim_task(actor=third, project=project) is None
    actions.ask_for_one_more(actor=admin, task=task)
    assert say(third, project, "B > C > A") == [task]
    task.refresh_from_db()
    assert (task.overlap, task.state) == (2, Task.State.COMPLETE)  # they disagree, but that was decided


def test_who_only_ranks_reviews_nothing(people, worst):
    client = signed_in(people[0])
    assert client.get(address(worst)).status_code == 403
    for verb in ("adjudicate", "close", "reopen", "one-more", "comment"):
        assert client.post(address(worst, verb), {"notation": "A > B > C", "text": "x"}).status_code == 403
    for act in (actions.close_task, actions.reopen_task, actions.ask_for_one_more):
        with pytest.raises(Refusal):
            act(actor=people[0], task=worst)
    assert not worst.adjudications.exists()


def test_rest_does_what_the_page_does(page, worst):
    def url(*parts):
        return f"/api/v1/projects/{worst.project.slug}/review/" + "".join(f"{part}/" for part in parts)

    listed = page.get(url()).json()
    assert [(row["task"], row["agreement"], row["decided"]) for row in listed["results"]] == [(worst.pk, -1.0, False)]
    assert page.get(url(), {"size": "many"}).status_code == 400
    shown = page.get(url(worst.pk)).json()
    assert [each["ranking"] for each in shown["said"]] == ["A > B > C", "C > B > A"]
    assert shown["consensus"]["contested"] == [[0, 1], [0, 2], [1, 2]]
    assert page.post(url(worst.pk, "adjudicate"), {"notation": "A > Z"}).status_code == 400
    assert page.post(url(worst.pk, "adjudicate"), {"notation": "a > b > c"}).json()["notation"] == "A > B > C"
    assert page.post(url(worst.pk, "close")).json()["state"] == "review"
    assert page.post(url(worst.pk, "one-more")).status_code == 409
    assert page.post(url(worst.pk, "reopen")).json()["state"] == "complete"
    assert page.post(url(worst.pk, "one-more")).json()["overlap"] == 3
    assert page.post(url(worst.pk, "comments"), {"text": "Look again."}).status_code == 201


# The talk


def test_a_question_reaches_those_who_run_the_project_and_its_answer_who_asked(page, admin, people, worst, said):
    asker, other = people
    turn = worst.assignments.get(annotator=asker)
    stranger = factories.admin()
    local = factories.user()
    worst.project.memberships.create(user=local, role=Role.ADMIN)
    question = actions.ask(actor=asker, assignment=turn, text="  May two be tied?  ")
    assert question.text == "May two be tied?"
    assert {notice.person for notice in Notice.objects.all()} == {admin, local}
    assert "May two be tied?" in str(Notice.objects.get(person=admin))
    assert stranger not in {notice.person for notice in Notice.objects.all()}
    letters = ", ".join(f"{'ABC'[i]} → {'ABC'[place]}" for i, place in enumerate(turn.display) if i != place)
    shown = said(page.get(Notice.objects.get(person=admin).address.partition("#")[0]))
    assert "May two be tied?" in shown
    assert letters in shown
    assert ("theirs →" in shown) == bool(letters)
    page.post(reverse("project-question", args=[worst.project.slug, question.pk, "answer"]), {"text": "They may."})
    question.refresh_from_db()
    assert question.resolved_by == admin
    notice = Notice.objects.get(person=asker)
    assert "They may." in str(notice)
    assert "They may." in said(signed_in(asker).get(notice.address))
    assert signed_in(other).get(notice.address).status_code == 404
    assert signed_in(asker).get(address(worst)).status_code == 403


def test_annotators_read_nothing_of_what_others_said(admin, people, worst, said):
    asker, other = people
    mine = worst.assignments.get(annotator=asker)
    actions.ask(actor=asker, assignment=mine, text="Mine")
    foreign = actions.ask(actor=other, assignment=worst.assignments.get(annotator=other), text="I said C is best")
    actions.answer(actor=admin, question=foreign, text="For other eyes")
    actions.comment(actor=admin, task=worst, text="Ayu has it right: system A")
    text = said(signed_in(asker).get(reverse("turn-talk", args=[mine.pk])))
    assert "Mine" in text
    for secret in ("I said C is best", "For other eyes", "Ayu has it right", "system A", "C > B > A"):
        assert secret not in text
    over_rest = signed_in(asker).get(reverse("api-ask", args=[mine.pk])).json()
    assert [comment["text"] for comment in over_rest] == ["Mine"]


def test_the_page_of_questions_shows_outputs_as_the_board_did(people, worst, said):
    mine = worst.assignments.get(annotator=people[0])
    mine.display = [2, 0, 1]
    mine.save()
    text = said(signed_in(people[0]).get(reverse("turn-talk", args=[mine.pk])))
    assert "A Answer C to 2 B Answer A to 2 C Answer B to 2" in text


def test_what_is_asked_must_be_said_and_is_about_an_own_task(people, worst):
    theirs = worst.assignments.get(annotator=people[1])
    with pytest.raises(Refusal, match="not yours"):
        actions.ask(actor=people[0], assignment=theirs, text="Hm?")
    mine = worst.assignments.get(annotator=people[0])
    for text in ("   ", "x" * 4001):
        with pytest.raises(Refusal):
            actions.ask(actor=people[0], assignment=mine, text=text)
    assert signed_in(people[0]).get(reverse("turn-talk", args=[theirs.pk])).status_code == 404
    assert not Comment.objects.exists()


def test_a_question_is_closed_without_an_answer_by_a_reviewer_or_by_who_asked(page, people, worst):
    mine = worst.assignments.get(annotator=people[0])
    first, second = (actions.ask(actor=people[0], assignment=mine, text=text) for text in ("One?", "Two?"))
    page.post(reverse("project-question", args=[worst.project.slug, first.pk, "resolve"]))
    actions.resolve(actor=people[0], question=second)
    assert not review_queries.open_questions().exists()
    third = actions.ask(actor=people[0], assignment=mine, text="Three?")
    with pytest.raises(Refusal):
        actions.resolve(actor=people[1], question=third)


# What leaves the house


def test_a_snapshot_holds_decisions_instead_of_rankings_beside_them_or_not_at_all(admin, project, worst):
    decided = actions.adjudicate(actor=admin, task=worst, notation="B > A > C", reason="A is cut off.")
    assert len(frozen(admin, project)) == 8
    assert not any(row.get("adjudicated") for row in frozen(admin, project))
    instead = frozen(admin, project, adjudicated="instead")
    assert len(instead) == 7
    (row,) = [row for row in instead if row["task"] == worst.pk]
    assert (row["ranking"], row["annotator"], row["adjudicated"]) == ("B > A > C", admin.pk, True)
    assert row["comment"] == "A is cut off."
    beside = frozen(admin, project, adjudicated="beside")
    assert [row["ranking"] for row in beside if row["task"] == worst.pk] == ["A > B > C", "C > B > A", "B > A > C"]
    dataset = project.snapshots.first()
    assert list(dataset.adjudications.all()) == [decided]
    assert dataset.manifest["rankings"]["adjudicated"] == 1
    left_out = [each.manifest["left_out"].get("adjudicated", 0) for each in project.snapshots.order_by("pk")]
    assert left_out == [0, 2, 0]
    with pytest.raises(ValueError):
        snapshot.Options(adjudicated="perhaps")


@pytest.mark.parametrize("adjudicated", ["instead", "beside"])
def test_a_snapshot_whose_decisions_were_not_written_to_the_end_becomes_whole(admin, project, adjudicated):
    for task in project.tasks.all():
        actions.adjudicate(actor=admin, task=task, notation="B > A > C")
    options = snapshot.Options(adjudicated=adjudicated)
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project, options=options)
    assert not lacks(dataset, project)
    dataset.adjudications.clear()  # as if the server had died behind the rankings
    assert lacks(dataset, project)
    assert actions.freeze_snapshot(actor=admin, project=project, options=options) == (dataset, False)
    assert not lacks(dataset, project)
    assert dataset.adjudications.count() == project.tasks.count()


def test_decisions_are_promised_and_frozen_by_the_page(page, project, worst, admin, said):
    actions.adjudicate(actor=admin, task=worst, notation="B > A > C")
    freeze = reverse("project-freeze", args=[project.slug])
    assert "7 rankings" in said(page.get(freeze, {"adjudicated": "instead"}))
    assert "9 rankings" in said(page.get(freeze, {"adjudicated": "beside"}))
    dataset = page.post(freeze, {"adjudicated": "instead"}, follow=True)
    assert "2 rankings that a reviewer's decision replaces" in said(dataset)
    assert "decided in review" in said(dataset)


def test_rows_say_where_they_come_from_and_the_engine_reads_them(admin):
    asked = [{"key": "quality", "scope": "output", "kind": "scale", "title": "Quality", "low": 1, "high": 7}]
    project = factories.project(actor=admin, tasks=1, outputs=3, questions=asked)
    person = factories.user()
    task = project.tasks.get()
    task.batch, task.chosen = project.batches.create(name="Round 1"), Task.Chosen.RANDOM
    task.save()
    turn = factories.claim(person, project)
    actions.submit_ranking(
        actor=person,
        assignment=turn,
        notation=as_shown(turn, "B > A = C"),
        client_key="asked",
        comment="Easy.",
        answers={"outputs": {"ABC"[turn.display.index(1)]: {"quality": 7}}},
    )
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    (row,) = rows_of(dataset.folder)
    assert (row["batch"], row["chosen"], row["comment"]) == ("Round 1", "random", "Easy.")
    assert row["answers"] == {"outputs": {"B": {"quality": 7}}}
    assert (dataset.manifest["batches"], dataset.manifest["chosen"]) == ({"Round 1": 1}, {"random": 1})
    (read,) = data.rows(dataset.folder, ("rankings",))
    assert (read.ranking, read.weight) == ("B > A = C", 1.0)


def test_what_somebody_said_beside_their_ranking_stands_beside_it_in_the_letters_of_the_page(page, admin, said):
    asked = [
        {"key": "quality", "scope": "output", "kind": "scale", "title": "Overall quality"},
        {"key": "ideal", "scope": "task", "kind": "text", "title": "The ideal answer"},
    ]
    project = factories.project(actor=admin, tasks=1, outputs=3, questions=asked)
    turn = factories.claim(factories.user(), project)
    actions.submit_ranking(
        actor=turn.annotator,
        assignment=turn,
        notation=as_shown(turn, "B > A = C"),
        client_key="beside",
        comment="Easy.",
        answers={"outputs": {"ABC"[turn.display.index(1)]: {"quality": 6}}, "task": {"ideal": "A short one"}},
    )
    shown = page.get(address(turn.task))
    assert "B · Overall quality 6" in said(shown)
    assert "The ideal answer A short one" in said(shown)
    assert "Note Easy." in said(shown)
    rest = page.get(f"/api/v1/projects/{project.slug}/review/{turn.task_id}/").json()
    assert rest["said"][0]["answers"] == {"outputs": {"B": {"quality": 6}}, "task": {"ideal": "A short one"}}


def test_repeats_and_gold_are_left_out_counted_and_marked_when_asked_for(admin, project, people):
    first = project.assignments.filter(annotator=people[0]).order_by("finished_at").first()
    aside = {"project": project, "annotator": people[0], "aside": True, "display": [0, 1, 2]}
    again = Assignment.objects.create(task=first.task, repeat=1, claimed_at=first.claimed_at, **aside)
    actions.submit_ranking(actor=people[0], assignment=again, notation="A > B > C", client_key="again")
    known = project.tasks.order_by("pk").last()
    Assignment.objects.filter(task=known).update(aside=True, slot=None)
    Task.objects.filter(pk=known.pk).update(kind=Task.Kind.GOLD, submitted=0)
    assert len(frozen(admin, project)) == 6
    assert project.snapshots.first().manifest["left_out"] == {
        "spare": 0,
        "of_closed_tasks": 0,
        "repeats": 1,
        "gold": 2,
    }
    assert [row["repeat"] for row in frozen(admin, project, repeats=True) if "repeat" in row] == [1]
    assert [row["task"] for row in frozen(admin, project, gold=True) if row.get("gold")] == [known.pk] * 2


def test_weights_by_reliability_are_asked_for_and_stand_in_the_manifest(admin, project, people):
    assert {row["weight"] for row in frozen(admin, project)} == {1.0}
    rows = frozen(admin, project, weights=True)
    manifest = project.snapshots.first().manifest
    told = {int(pk): about["weight"] for pk, about in manifest["annotators"].items()}
    assert manifest["options"]["weights"] is True
    assert len(set(told.values())) > 1
    assert all(row["weight"] == told[row["annotator"]] for row in rows)
    assert sum(row["weight"] for row in rows) / len(rows) == pytest.approx(1, abs=1e-4)


def test_the_consensus_of_a_data_set_is_a_row_a_task(page, admin, project, worst, said):
    actions.adjudicate(actor=admin, task=worst, notation="B > A > C")
    dataset, _new = actions.freeze_snapshot(
        actor=admin, project=project, options=snapshot.Options(adjudicated="beside")
    )
    body = b"".join(page.get(reverse("api-dataset-consensus", args=[dataset.pk])).streaming_content)
    rows = {row["task"]: row for row in map(json.loads, body.splitlines())}
    first, tied, contested, _last = project.tasks.order_by("pk")
    assert (rows[first.pk]["ranking"], rows[first.pk]["n"], "contested" in rows[first.pk]) == ("A > B > C", 2, False)
    assert rows[tied.pk]["contested"] == [["A", "B"]]
    assert rows[contested.pk]["ranking"] == "B > A > C"
    assert rows[contested.pk]["consensus"] == "A = B = C"
    assert (rows[contested.pk]["adjudicated"], rows[contested.pk]["annotator"]) == (True, admin.pk)
    text = said(page.get(reverse("dataset-export", args=[dataset.pk]), {"what": "consensus"}))
    assert "Download 4 rows" in text


def test_repeated_judgements_have_no_vote_and_weights_count():
    row = {"task": 1, "prompt": "p", "completions": ["a", "b"], "annotator": 1, "split": "train"}
    rows = [
        row | {"ranking": "A > B"},
        row | {"ranking": "B > A", "annotator": 2, "weight": 3.0},
        row | {"ranking": "A > B", "repeat": 1},
    ]
    (found,) = consensus_rows(rows)
    assert (found["ranking"], found["n"]) == ("B > A", 2)


# In a browser


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_reviewer_goes_through_the_list_by_keys_and_is_told_of_typing_errors(open_page, admin, people):
    project = factories.project(actor=admin, tasks=3, outputs=3, overlap=2)
    say(people[0], project, "A > B > C", "A > B > C", "A > B > C")
    say(people[1], project, "C > B > A", "C > B > A", "C > B > A")
    first, second, _third = review_queries.in_order(project, Wanted())
    Quality(project).report()
    page = open_page(reverse("project-quality", args=[project.slug]), admin)
    page.get_by_role("link", name="Review them").click()
    page.get_by_role("link", name="Prompt 0").click()
    page.wait_for_url(f"**/review/{first}/**")  # loaded: the keys are heard
    page.locator("h1").click()
    page.keyboard.press("j")
    page.wait_for_url(f"**/review/{second}/**")
    page.keyboard.press("k")
    page.wait_for_url(f"**/review/{first}/**")
    field = page.get_by_label("The order as text")
    field.fill("A > D")
    page.get_by_text("there is no output D").wait_for()
    expect(field).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="C > B > A").click()
    expect(field).to_have_value("C > B > A")
    expect(field).not_to_have_attribute("aria-invalid", re.compile(""))
    page.get_by_role("button", name="Decide and go on").click()
    page.wait_for_url(f"**/review/{second}/**")
    assert Task.objects.get(pk=first).adjudications.get().notation == "C > B > A"
