"""The way to the real tasks: practice with feedback, then qualification without; nobody passes by."""

import pytest

from labeling import actions, queries
from labeling.models import Assignment, Desk, Ranking, Task
from people.errors import Refusal
from people.models import AuditEntry, Notice
from tests import factories
from tests.labeling.known import add_known, answer, desk_of, let_leases_end, work_through

State, Kind, Stage = Assignment.State, Task.Kind, Desk.Stage
pytestmark = pytest.mark.django_db


def test_from_practice_with_feedback_over_the_qualification_to_the_real_tasks():
    ana = factories.user("researcher")
    project = factories.project(tasks=4, gold_percent=0)
    add_known(project, 2, Kind.PRACTICE, "A > B, C >= D", first=100)
    add_known(project, 2, Kind.QUALIFICATION, first=200)
    assignment = factories.claim(ana, project)
    assert queries.board_state(assignment)["stage"] == "practice"
    outcome = answer(ana, assignment, "B > A > C > D")
    letter = queries.as_shown(assignment, Ranking(notation="A > B"))
    assert outcome.feedback.violated == [letter]
    assert outcome.feedback.score == 0.5
    assert outcome.feedback.explanation == "A is the only one that answers."
    real = project.tasks.filter(kind=Kind.NORMAL).first()
    assert not queries.may_rank_task(ana, real)
    with pytest.raises(Refusal, match="come first"):
        actions.claim_this_task(actor=ana, task=real)
    repeated = answer(ana, assignment, "B > A > C > D")
    assert (repeated.repeated, repeated.feedback) == (True, outcome.feedback)
    with pytest.raises(Refusal, match="heard how it went"):
        actions.undo(actor=ana, assignment=assignment)

    assert answer(ana, outcome.next).feedback.violated == []
    third = factories.claim(ana, project)
    assert queries.board_state(third)["stage"] == "qualification"
    outcome = answer(ana, third, "D > C > B > A")
    assert outcome.feedback is None
    actions.undo(actor=ana, assignment=third)  # nothing was told yet
    fourth = answer(ana, third).next
    outcome = answer(ana, fourth)
    assert desk_of(ana, project).stage == Stage.WORKING
    assert (outcome.next.task.kind, outcome.next.aside) == (Kind.NORMAL, False)
    assert queries.board_state(outcome.next)["stage"] == "working"
    with pytest.raises(Refusal, match="heard how it went"):
        actions.undo(actor=ana, assignment=fourth)
    assert len(work_through(ana, project)) == 4


def test_who_fails_the_qualification_waits_for_an_admin_who_lets_them_try_again(ana):
    admin = factories.admin()
    project = factories.project(tasks=2, gold_percent=0, qualification_minimum=0.8)
    add_known(project, 1, Kind.PRACTICE, first=100)
    add_known(project, 2, Kind.QUALIFICATION, first=200)
    done = work_through(ana, project, "D > C > B > A")
    assert [turn.task.kind for turn in done] == ["practice", "qualification", "qualification"]
    assert desk_of(ana, project).paused_because == "qualification"
    assert actions.claim_task(actor=ana, project=project) is None
    assert Notice.objects.filter(person=admin, text__contains="did not pass").exists()
    with pytest.raises(Refusal, match="let them in"):
        actions.resume_desk(actor=admin, project=project, person=ana)

    actions.let_try_again(actor=admin, project=project, person=ana)
    again = work_through(ana, project)
    assert [(turn.task.kind, turn.repeat) for turn in again] == [
        ("practice", 1), ("qualification", 1), ("qualification", 1), ("normal", 0), ("normal", 0),
    ]  # fmt: skip
    ben = factories.user()
    work_through(ben, project, "D > C > B > A")
    actions.let_in(actor=admin, project=project, person=ben)
    assert desk_of(ben, project).stage == Stage.WORKING
    verbs = set(AuditEntry.objects.filter(verb__startswith="desk.").values_list("verb", flat=True))
    assert verbs == {"desk.try_again", "desk.let_in"}


def test_to_skip_the_qualification_is_not_to_pass_it(ana):
    project = factories.project(tasks=2, gold_percent=0)
    add_known(project, 1, Kind.QUALIFICATION)
    outcome = actions.skip_task(actor=ana, assignment=factories.claim(ana, project), reason="too hard")
    assert outcome.next is None
    assert desk_of(ana, project).paused_because == "qualification"


def test_who_works_already_is_not_sent_back_to_practice(ana):
    project = factories.project(tasks=4, overlap=3, gold_percent=0)
    following = answer(ana, factories.claim(ana, project)).next
    veteran = factories.user()  # of a time when desks knew no stages
    answer(veteran, factories.claim(veteran, project))
    Desk.objects.filter(annotator=veteran).update(stage=Stage.NEW)
    let_leases_end(project)
    add_known(project, 1, Kind.PRACTICE)
    assert answer(ana, following).next.task.kind == Kind.NORMAL
    assert desk_of(veteran, project).stage == Stage.NEW
    assert factories.claim(veteran, project).task.kind == Kind.NORMAL
    assert factories.claim(factories.user(), project).task.kind == Kind.PRACTICE


def test_nobody_passes_by_practice_before_they_have_answered_the_warning(ana):
    project = factories.project(tasks=2, gold_percent=0, content_warning="Violence.")
    add_known(project, 1, Kind.PRACTICE)
    practice = project.tasks.get(kind="practice")
    actions.set_sensitive(actor=factories.admin(), project=project, tasks=[practice.pk], sensitive=True)
    assert actions.claim_task(actor=ana, project=project) is None
    assert queries.standing(ana.pk, project)["warning"] == "Violence."
    actions.accept_warning(actor=ana, project=project, takes_sensitive=True)
    assert factories.claim(ana, project).task_id == practice.pk
    assert queries.standing(ana.pk, project)["warning"] == ""


def test_out_of_turn_nobody_finds_out_which_tasks_are_gold(ana):
    project = factories.project(tasks=1)
    add_known(project, 1)
    for task in project.tasks.all():
        with pytest.raises(Refusal, match="does not allow you to see projects"):
            actions.claim_this_task(actor=ana, task=task)


def test_out_of_turn_nobody_passes_by_practice_either():
    ana = factories.user("researcher")
    project = factories.project(tasks=1, gold_percent=0)
    add_known(project, 1, Kind.PRACTICE)
    with pytest.raises(Refusal, match="come first"):
        actions.claim_this_task(actor=ana, task=project.tasks.get(kind="normal"))
