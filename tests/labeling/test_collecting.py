"""Collecting rankings: claims, submits, late and repeated ones, and what they cost. Skips and undo: test_giving_up; who gets tasks: test_taking_part."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling import actions, queries
from labeling.actions.tasks import Place
from labeling.models import Assignment, Desk, Ranking, Task
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories

from .turns import check_slots, let_lease_end

State = Assignment.State
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


def test_submitting_stores_the_ranking_and_hands_out_the_next_task(ana):
    project = factories.project(tasks=2)
    first = factories.claim(ana, project)
    outcome = factories.submit(ana, first, "C > B = D > A")
    assert outcome.assignment.state == State.SUBMITTED
    assert outcome.next.task_id != first.task_id
    assert outcome.next.state == State.CLAIMED
    first.task.refresh_from_db()
    assert first.task.state == Task.State.COMPLETE
    assert factories.submit(ana, outcome.next, "A > B > C > D").next is None


def test_a_stored_ranking_names_completions_in_the_order_shown(ana):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    shown = queries.board_state(assignment)["outputs"]
    ranking = factories.submit(ana, assignment, "C > B = D > A").ranking
    text = dict(assignment.task.items.values_list("completion_id", "completion__text"))
    by_letter = {output["letter"]: output["text"] for output in shown}
    assert [{text[pk] for pk in tier} for tier in ranking.tiers] == [
        {by_letter["C"]},
        {by_letter["B"], by_letter["D"]},
        {by_letter["A"]},
    ]
    assert queries.as_shown(assignment, ranking) == "C > B = D > A"


def test_outputs_are_shown_in_a_random_order_that_is_recorded(ana):
    project = factories.project(tasks=30)
    orders = set()
    assignment = factories.claim(ana, project)
    while assignment:
        assert sorted(assignment.display) == [0, 1, 2, 3]
        orders.add(tuple(assignment.display))
        assignment = factories.submit(ana, assignment).next
    assert len(orders) > 5


def test_the_board_knows_letters_and_texts_and_nothing_that_names_a_model(ana):
    project = factories.project(tasks=1)
    state = queries.board_state(factories.claim(ana, project))
    assert set(state) == {
        "assignment", "project", "prompt", "outputs", "progress", "options", "ranking", "comment", "answers", "lease_until",
        "questions", "round", "sensitive", "stage", "paused", "goal", "agreement", "warning", "takes_sensitive",
    }  # fmt: skip
    assert [set(output) for output in state["outputs"]] == [{"letter", "text"}] * 4
    assert [output["letter"] for output in state["outputs"]] == list("ABCD")
    assert "system" not in str(state)


@pytest.mark.slow
def test_two_tabs_show_the_same_task(ana):
    project = factories.project(tasks=5)
    assert factories.claim(ana, project) == factories.claim(ana, project)
    assert project.assignments.count() == 1


def test_no_task_goes_to_more_people_than_its_overlap(ana, ben):
    project = factories.project(tasks=1, overlap=2)
    factories.claim(ana, project)
    factories.submit(ben, factories.claim(ben, project))
    assert actions.claim_task(actor=factories.user(), project=project) is None
    assert sorted(project.assignments.values_list("slot", flat=True)) == [1, 2]
    check_slots(project)


def test_nobody_gets_the_same_task_twice(ana):
    project = factories.project(tasks=3, overlap=3)
    seen = []
    assignment = factories.claim(ana, project)
    while assignment:
        seen.append(assignment.task_id)
        assignment = factories.submit(ana, assignment).next
    assert sorted(seen) == sorted(project.tasks.values_list("pk", flat=True))


def test_tasks_of_higher_priority_come_first(ana):
    project = factories.project(tasks=2)
    urgent = factories.task(99, place=Place(priority=5))
    factories.add_tasks(project, [urgent])
    project.refresh_from_db()
    assert project.priorities == [5, 0]
    first = factories.claim(ana, project)
    assert first.task.prompt.content == "Prompt 99"
    assert factories.submit(ana, first).next.task.prompt.content == "Prompt 0"


# Submitting again


def test_a_submit_that_arrives_twice_is_stored_once_and_answered_alike(ana):
    project = factories.project(tasks=3)
    assignment = factories.claim(ana, project)
    first = factories.submit(ana, assignment, "A > B > C > D", key="k")
    again = factories.submit(ana, assignment, "a>b>c>d", key="k")
    assert again.repeated
    assert (again.ranking, again.next) == (first.ranking, first.next)
    assert Ranking.objects.count() == 1
    check_slots(project)


def test_a_key_that_returns_with_another_ranking_is_refused(ana):
    project = factories.project(tasks=3)
    assignment = factories.claim(ana, project)
    following = factories.submit(ana, assignment, "A > B > C > D", key="k").next
    for other in (assignment, following):
        with pytest.raises(Refusal) as caught:
            factories.submit(ana, other, "D > C > B > A", key="k")
        assert caught.value.status == 409
    assert Ranking.objects.count() == 1
    following.refresh_from_db()
    assert following.state == State.CLAIMED


def test_a_second_tab_with_another_answer_is_told_what_is_stored(ana):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    factories.submit(ana, assignment, "B > A > C = D")
    with pytest.raises(Refusal) as caught:
        factories.submit(ana, assignment, "D > C > B > A")
    assert caught.value.status == 409
    assert "B > A > C = D" in caught.value.problems[0]
    assert factories.submit(ana, assignment, "B > A > D = C").repeated  # the same answer is no conflict
    assert Ranking.objects.count() == 1


@pytest.mark.parametrize(
    ("notation", "said"),
    [
        ("A > B > C", "still missing: D"),
        ("A > > B", "Character 5"),
        ("A > B > C > E", "no output E"),
        ("A > *", "still missing: B, C, D"),
        ("A > B | C > D", "no acceptability line"),
        ("", "nothing is ranked"),
    ],
)
def test_a_malformed_ranking_is_refused_and_changes_nothing(ana, notation, said):
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    with pytest.raises(Refusal) as caught:
        factories.submit(ana, assignment, notation)
    assert said in caught.value.problems[0]
    assignment.refresh_from_db()
    assert assignment.state == State.CLAIMED
    assert Ranking.objects.count() == 0


def test_all_that_is_wrong_is_said_at_once(ana):
    project = factories.project(tasks=1)
    with pytest.raises(Refusal) as caught:
        factories.submit(ana, factories.claim(ana, project), "A | B")
    assert len(caught.value.problems) == 2


def test_a_project_may_allow_partial_rankings_and_a_line(ana):
    project = factories.project(tasks=2, allow_partial=True, acceptability_line=True)
    assignment = factories.claim(ana, project)
    outcome = factories.submit(ana, assignment, "C | B > *")
    assert outcome.ranking.line == 1
    assert len(outcome.ranking.rest) == 2
    with pytest.raises(Refusal, match="says nothing yet"):
        factories.submit(ana, outcome.next, "C")


def test_who_looks_into_a_project_of_others_leaves_no_trace(ben):
    project = factories.project(tasks=1, open_to_all=False)
    assert actions.claim_task(actor=ben, project=project) is None
    assert not project.desks.exists()


def test_another_persons_task_cannot_be_submitted(ana, ben):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    for stranger in (ben, factories.admin()):
        with pytest.raises(Refusal) as caught:
            factories.submit(stranger, assignment)
        assert caught.value.status == 404
    with pytest.raises(Refusal):
        factories.submit(ana, "no uuid")


# Leases


def test_when_a_lease_ends_the_task_goes_to_the_next_person(ana, ben):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    assert actions.claim_task(actor=ben, project=project) is None
    let_lease_end(assignment)
    assert factories.claim(ben, project).task_id == assignment.task_id
    assignment.refresh_from_db()
    assert (assignment.state, assignment.slot) == (State.EXPIRED, None)
    check_slots(project)


def test_use_keeps_a_lease_alive(ana, ben):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    let_lease_end(assignment)
    assert actions.extend_lease(actor=ana, assignment=assignment)
    assert actions.claim_task(actor=ben, project=project) is None
    let_lease_end(assignment)
    factories.claim(ben, project)
    assert not actions.extend_lease(actor=ana, assignment=assignment)


def test_a_late_submit_takes_its_slot_if_that_is_free(ana):
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    let_lease_end(assignment)
    actions.expire_leases(project=project)
    outcome = factories.submit(ana, assignment)
    assert (outcome.assignment.state, outcome.assignment.slot) == (State.SUBMITTED, 1)
    assert outcome.next.task_id != assignment.task_id
    check_slots(project)


def test_a_late_submit_is_kept_as_spare_if_the_slot_went_to_another(ana, ben):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    let_lease_end(assignment)
    factories.submit(ben, factories.claim(ben, project))
    outcome = factories.submit(ana, assignment)
    assert (outcome.assignment.state, outcome.assignment.slot) == (State.SPARE, None)
    assert Ranking.objects.count() == 2
    check_slots(project)


def test_an_overdue_task_that_nobody_took_is_still_held(ana):
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    let_lease_end(assignment)
    assert factories.claim(ana, project) == assignment
    assert factories.submit(ana, assignment).assignment.state == State.SUBMITTED


@pytest.mark.parametrize("overlap", [1, 2])
def test_a_task_whose_lease_ended_comes_back_to_the_same_person_as_the_same_turn(ana, overlap):
    project = factories.project(tasks=2, overlap=overlap)
    lapsed = factories.claim(ana, project)
    let_lease_end(lapsed)
    actions.expire_leases(project=project)
    other = factories.claim(ana, project)
    assert other.task_id != lapsed.task_id
    back = factories.submit(ana, other).next
    assert (back, back.display) == (lapsed, lapsed.display)
    check_slots(project)


# Costs


def test_every_change_of_state_leaves_one_audit_row(ana):
    project = factories.project(tasks=5)
    before = AuditEntry.objects.count()
    assignment = factories.claim(ana, project)
    second = factories.submit(ana, assignment).next
    third = actions.skip_task(actor=ana, assignment=second, reason="cannot judge").next
    actions.flag_task(actor=ana, assignment=third, flag="unsafe")
    actions.undo(actor=ana, assignment=third)
    verbs = AuditEntry.objects.order_by("pk").values_list("verb", flat=True)[before:]
    assert list(verbs) == ["task.claim", "ranking.submit", "task.skip", "task.flag", "task.undo"]


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [20, 300])
def test_submit_and_next_cost_a_dozen_statements_whatever_the_size(ana, tasks):
    project = factories.project(tasks=tasks, overlap=2)
    assignment = factories.claim(ana, project)
    for _ in range(10):
        assignment = factories.submit(ana, assignment).next
    with CaptureQueriesContext(connection) as captured:
        following = factories.submit(ana, assignment).next
    statements = [q["sql"] for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) <= 12, "\n".join(statements)
    assert following is not None


def test_counts_of_a_day_start_anew(ana):
    project = factories.project(tasks=5)
    assignment = factories.submit(ana, factories.claim(ana, project)).next
    assert queries.progress(ana.pk, project) == {"today": 1, "done": 1, "available": 3, "rounded": False}
    Desk.objects.update(day=timezone.localdate() - timedelta(days=1))
    assert queries.progress(ana.pk, project)["today"] == 0
    factories.submit(ana, assignment)
    assert queries.progress(ana.pk, project) == {"today": 1, "done": 2, "available": 2, "rounded": False}


def test_a_projects_figures(ana, ben):
    project = factories.project(tasks=3, overlap=2)
    second = factories.submit(ana, factories.claim(ana, project)).next
    actions.skip_task(actor=ana, assignment=second, reason="cannot judge")
    factories.submit(ben, factories.claim(ben, project))
    assert queries.project_counts(project) == {
        "prompts": 3, "tasks": 3, "complete": 1, "review": 0, "held": 0, "offered": 3, "wanted": 6, "rankings": 2,
        "claimed": 2, "spare": 0, "skipped": 1, "flagged": 0, "annotators": 2,
    }  # fmt: skip
