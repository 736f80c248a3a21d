"""Who gets tasks of a project at all, and a task taken out of turn."""

import pytest

from labeling import actions, queries
from labeling.models import Assignment, Project
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories

from .turns import check_slots, let_lease_end

State = Assignment.State
pytestmark = pytest.mark.django_db


def test_who_does_not_belong_to_a_project_gets_no_task(ana):
    project = factories.project(tasks=1, open_to_all=False)
    assert actions.claim_task(actor=ana, project=project) is None
    assert project not in queries.projects_to_rank(ana)
    actions.add_members(actor=factories.admin(), project=project, users=[ana])
    assert project in queries.projects_to_rank(ana)
    assert queries.may_rank(ana, project)
    assert actions.claim_task(actor=ana, project=project)


def test_who_left_a_project_may_finish_the_task_they_hold_and_gets_no_other(ana):
    project = factories.project(tasks=2, open_to_all=False)
    actions.add_members(actor=factories.admin(), project=project, users=[ana])
    assignment = factories.claim(ana, project)
    actions.remove_members(actor=factories.admin(), project=project, users=[ana])
    outcome = factories.submit(ana, assignment)
    assert outcome.assignment.state == State.SUBMITTED
    assert outcome.next is None


def test_a_paused_project_keeps_what_comes_in_and_hands_nothing_out(ana):
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    actions.change_project(actor=factories.admin(), project=project, state=Project.State.PAUSED)
    assert factories.submit(ana, assignment).next is None
    assert project not in queries.projects_to_rank(ana)


# This very task


def test_a_task_can_be_taken_out_of_turn_and_what_was_held_comes_later_as_it_was():
    ana = factories.user("researcher")
    project = factories.project(tasks=3)
    held = factories.claim(ana, project)
    last = project.tasks.order_by("pk").last()
    turn = actions.claim_this_task(actor=ana, task=last)
    assert (turn.task_id, turn.state) == (last.pk, State.CLAIMED)
    assert factories.claim(ana, project) == turn == actions.claim_this_task(actor=ana, task=last)
    assert AuditEntry.objects.filter(verb="task.claim", object_id=str(turn.pk)).count() == 1
    check_slots(project)
    seen = {}
    while turn:
        seen[turn.task_id] = turn
        turn = factories.submit(ana, turn, "A > B > C > D").next
    assert len(seen) == 3
    assert (seen[held.task_id].pk, seen[held.task_id].display) == (held.pk, held.display)


def test_only_a_free_slot_is_taken_out_of_turn():
    ana, ben = factories.user("researcher"), factories.user("researcher")
    project = factories.project(tasks=1)
    task = project.tasks.get()
    his = actions.claim_this_task(actor=ben, task=task)
    assert queries.may_rank_task(ben, task)
    task.refresh_from_db()
    assert not queries.may_rank_task(ana, task)
    with pytest.raises(Refusal, match="Others hold all places"):
        actions.claim_this_task(actor=ana, task=task)
    let_lease_end(his)
    assert actions.claim_this_task(actor=ana, task=task).task == task
    check_slots(project)


def test_what_one_has_had_or_may_not_have_is_not_taken_out_of_turn():
    ana, ben = factories.user("researcher"), factories.user("researcher")
    project = factories.project(tasks=2, overlap=2)
    task = project.tasks.order_by("pk").last()
    actions.skip_task(actor=ana, assignment=actions.claim_this_task(actor=ana, task=task), reason="no idea")
    assert not queries.may_rank_task(ana, task)
    with pytest.raises(Refusal, match="You have had this task already"):
        actions.claim_this_task(actor=ana, task=task)
    closed = factories.project(tasks=1, open_to_all=False)
    with pytest.raises(Refusal, match="do not take part"):
        actions.claim_this_task(actor=ben, task=closed.tasks.get())
    check_slots(project)
    check_slots(closed)
