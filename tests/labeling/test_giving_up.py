"""A turn given up or called back: skips, flags, undo, and revisions of what was said."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling import actions, history, queries
from labeling.models import Assignment, Ranking, Task
from people.errors import Refusal
from tests import factories

from .turns import check_slots, let_lease_end

State = Assignment.State
pytestmark = pytest.mark.django_db


# Skips and flags


def test_a_skipped_task_is_free_for_others_but_not_offered_again(ana, ben):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    outcome = actions.skip_task(actor=ana, assignment=assignment, reason="I do not know this field")
    assert outcome.next is None
    assert outcome.assignment.reason == "I do not know this field"
    assert factories.claim(ben, project).task_id == assignment.task_id
    check_slots(project)


def test_a_skip_needs_a_reason(ana):
    project = factories.project(tasks=1)
    with pytest.raises(Refusal):
        actions.skip_task(actor=ana, assignment=factories.claim(ana, project), reason="  ")


def test_a_ranking_sent_after_a_skip_in_another_tab_is_kept(ana):
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    held = actions.skip_task(actor=ana, assignment=assignment, reason="cannot judge").next
    outcome = factories.submit(ana, assignment)
    assert outcome.assignment.state == State.SUBMITTED
    assert outcome.next == held
    check_slots(project)


def test_one_flag_frees_the_slot_and_two_close_the_task(ana, ben):
    project = factories.project(tasks=1)
    first = factories.claim(ana, project)
    outcome = actions.flag_task(actor=ana, assignment=first, flag="garbled", note="cut off")
    assert (outcome.assignment.state, outcome.assignment.reason) == (State.FLAGGED, "garbled: cut off")
    actions.flag_task(actor=ben, assignment=factories.claim(ben, project), flag="unsafe")
    task = project.tasks.get()
    assert (task.state, task.position) == (Task.State.REVIEW, None)
    assert actions.claim_task(actor=factories.user(), project=project) is None
    check_slots(project)


def test_a_flag_taken_back_opens_the_task_again(ana, ben):
    project = factories.project(tasks=1)
    actions.flag_task(actor=ana, assignment=factories.claim(ana, project), flag="garbled")
    mistaken = factories.claim(ben, project)
    actions.flag_task(actor=ben, assignment=mistaken, flag="unsafe")
    actions.undo(actor=ben, assignment=mistaken)
    assert factories.submit(ben, mistaken).assignment.state == State.SUBMITTED
    assert project.tasks.get().state == Task.State.COMPLETE
    check_slots(project)


def test_an_unknown_flag_is_refused(ana):
    project = factories.project(tasks=1)
    with pytest.raises(Refusal):
        actions.flag_task(actor=ana, assignment=factories.claim(ana, project), flag="ugly")


def test_a_finished_task_can_be_neither_skipped_nor_flagged(ana):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    factories.submit(ana, assignment)
    for verb in (
        lambda: actions.skip_task(actor=ana, assignment=assignment, reason="late"),
        lambda: actions.flag_task(actor=ana, assignment=assignment, flag="unsafe"),
    ):
        with pytest.raises(Refusal) as caught:
            verb()
        assert caught.value.status == 409
    assert Ranking.objects.filter(current=True).count() == 1


# Undo and revise


def test_the_last_submit_can_be_called_back(ana):
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    following = factories.submit(ana, assignment, "A > B > C > D").next
    back = actions.undo(actor=ana, assignment=assignment)
    assert back == assignment
    assert factories.claim(ana, project) == assignment
    assert queries.board_state(back)["ranking"] == "A > B > C > D"
    assert queries.progress(ana.pk, project)["done"] == 0
    following.refresh_from_db()
    assert following.state == State.EXPIRED
    outcome = factories.submit(ana, assignment, "D > C > B > A")
    assert outcome.ranking.revision == 2
    assert outcome.next == following
    assert list(assignment.rankings.order_by("revision").values_list("current", flat=True)) == [False, True]
    check_slots(project)


def test_a_retry_of_a_submit_that_was_called_back_stores_nothing_new(ana):
    """The first answer was lost on the way; the person pressed undo in another tab before the browser tried again."""
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    factories.submit(ana, assignment, "A > B > C > D", key="k")
    actions.undo(actor=ana, assignment=assignment)
    with pytest.raises(Refusal) as caught:
        factories.submit(ana, assignment, "A > B > C > D", key="k")
    assert caught.value.status == 409
    assert Ranking.objects.count() == 1


def test_after_ten_seconds_there_is_only_a_revision(ana):
    project = factories.project(tasks=2)
    assignment = factories.claim(ana, project)
    factories.submit(ana, assignment, "A > B > C > D")
    Assignment.objects.filter(pk=assignment.pk).update(finished_at=timezone.now() - timedelta(seconds=16))
    with pytest.raises(Refusal, match="too late"):
        actions.undo(actor=ana, assignment=assignment)
    outcome = actions.revise_ranking(actor=ana, assignment=assignment, notation="D > A = B > C", client_key="new")
    assert outcome.ranking.revision == 2
    assert queries.as_shown(assignment, assignment.rankings.get(current=True)) == "D > A = B > C"
    assert assignment.rankings.count() == 2
    check_slots(project)


def test_a_revision_that_arrives_twice_or_changes_nothing_is_stored_once(ana):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    factories.submit(ana, assignment, "A > B > C > D")
    for key in ("r1", "r1", "r2"):
        actions.revise_ranking(actor=ana, assignment=assignment, notation="D > A > B > C", client_key=key)
    assert assignment.rankings.count() == 2


def test_ones_own_history_holds_what_one_finished_newest_first(ana, ben):
    project = factories.project(tasks=4)
    first = factories.claim(ana, project)
    second = factories.submit(ana, first).next
    third = actions.skip_task(actor=ana, assignment=second, reason="cannot judge").next
    let_lease_end(third)
    actions.expire_leases(project=project)
    factories.submit(ben, factories.claim(ben, project))
    factories.claim(ana, project)
    assert [turn.pk for turn in history.turns(ana, project)] == [second.pk, first.pk]


def test_undo_of_a_skip_fails_if_another_has_the_task_now(ana, ben):
    project = factories.project(tasks=1)
    assignment = factories.claim(ana, project)
    actions.skip_task(actor=ana, assignment=assignment, reason="slip of the key")
    factories.claim(ben, project)
    with pytest.raises(Refusal, match="Someone else"):
        actions.undo(actor=ana, assignment=assignment)
    check_slots(project)


def test_who_gives_a_task_up_locks_the_project_last(ana):
    """Else two who skip wait for each other on PostgreSQL: one has the project and wants a task, the other that task and wants the project."""
    project = factories.project(tasks=2)
    held = factories.claim(ana, project)
    with CaptureQueriesContext(connection) as captured:
        actions.skip_task(actor=ana, assignment=held, reason="no idea")
    statements = [query["sql"] for query in captured]
    taken = next(n for n, sql in enumerate(statements) if "free_slots = free_slots - 1" in sql)
    locked = next(n for n, sql in enumerate(statements) if sql.startswith('UPDATE "labeling_project"'))
    assert taken < locked
