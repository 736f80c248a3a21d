"""How somebody comes to a turn, holds it, and leaves it without a ranking: desks, the walk down the queue, slots and leases.

Finding the next task is one index lookup behind the person's own cursor (Desk): a task that gets a free slot again joins the
queue anew at its tail, so nothing ever waits behind a cursor.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from labeling import queries, statements
from labeling.actions import aside
from labeling.actions.queue import adapt, free_number, give_back, give_up_free_slots, settle
from labeling.lanes import cursor_key, lanes_for
from labeling.models import Assignment, Desk, Project, Task
from people import sql
from people.models import User, audit

EXPIRE_AT_ONCE = 50  # overdue leases that one claim takes back at most

# Of a desk: what collecting changes.
DESK_FIELDS = (
    "cursors", "done", "day", "done_that_day",
    "stage", "paused_because", "paused_at", "until_gold", "until_repeat", "gold_scores",
)  # fmt: skip

State = Assignment.State


# Desks


def desk_of(actor: User, project: Project) -> Desk:
    """The person's desk, locked; whether they may take tasks is on it as `member`."""
    desk = statements.desk(actor.pk, project.pk)
    if desk is None:
        Desk.objects.bulk_create([Desk(project=project, annotator=actor)], ignore_conflicts=True)
        desk = statements.desk(actor.pk, project.pk)
    return desk


def save(desk: Desk) -> None:
    sql.update(desk, DESK_FIELDS)


def count(desk: Desk, at: datetime, by: int) -> None:
    day = timezone.localdate(at)
    if by > 0 and desk.day != day:
        desk.day, desk.done_that_day = day, 0
    desk.done = max(desk.done + by, 0)
    if desk.day == day:
        desk.done_that_day = max(desk.done_that_day + by, 0)


# The next turn


def held_by(actor: User, project: Project) -> Assignment | None:
    return (
        Assignment.objects.select_related("task__prompt", "project")
        .filter(project=project, annotator=actor, state=State.CLAIMED)
        .first()
    )


def next_or_held(actor: User, project: Project) -> Assignment | None:
    desk = desk_of(actor, project)
    if held := held_by(actor, project):
        return held
    following = claim_next(desk, actor, project)
    save(desk)
    return following


def claim_next(desk: Desk, actor: User, project: Project) -> Assignment | None:
    """The next turn, begun: on the way to the real tasks, aside between them, or a slot of the next one. The caller saves the desk."""
    if desk.paused_because or not queries.may_take(actor, project, member=desk.member):
        return None
    if desk.stage != Desk.Stage.WORKING:
        turn = aside.stage_turn(desk, actor, project, timezone.now())
        if turn or desk.stage != Desk.Stage.WORKING:
            return _begin_aside(actor, project, turn)
    if turn := aside.turn_between(desk, actor, project, lambda: _a_task_waits(desk, actor, project)):
        return _begin_aside(actor, project, turn)
    task = _next_task(desk, actor, project)
    if task is None and expire_leases(project=project):
        project.refresh_from_db(fields=["next_position"])
        task = _next_task(desk, actor, project)
    if task is None:
        return None
    aside.count_down(desk)
    lapsed = Assignment.objects.get(pk=task.lapsed) if task.lapsed is not None else None
    return begin(actor, project, task, free_number(task), lapsed)


def _begin_aside(actor: User, project: Project, turn: aside.Turn | None) -> Assignment | None:
    if turn is None:
        return None
    lapsed = Assignment.objects.get(pk=turn.lapsed) if turn.lapsed is not None else None
    return begin(actor, project, turn.task, None, lapsed, repeat=turn.repeat, aside=True)


def begin(
    actor: User, project: Project, task: Task, slot: int | None, lapsed: Assignment | None, **fields: object
) -> Assignment:
    """A turn in a slot that was taken, or aside. One that they had before, and whose lease ended, goes on in the same order of outputs."""
    if lapsed:
        assignment = lapsed
        assignment.slot = slot
        assignment.aside = slot is None
        assignment.task, assignment.project = task, project
        hold(assignment, project)
        assignment.save()
    else:
        display = list(range(task.size))
        random.shuffle(display)
        assignment = Assignment(project=project, task=task, annotator=actor, slot=slot, display=display, **fields)
        hold(assignment, project)
        sql.insert(assignment)
    return assignment


def _next_task(desk: Desk, actor: User, project: Project) -> Task | None:
    """Walk down the queue from the desk's cursors to the first task for `actor`, and take one of its free slots."""
    lanes = lanes_for(actor.pk, desk, project)
    for priority in project.priorities:
        for together in lanes:
            while task := _first(desk, actor, project, together, priority):
                desk.cursors[cursor_key(task.lane, priority)] = task.position
                # Another person may have taken the last slot between the two statements (PostgreSQL): then walk on.
                if statements.take(task.pk, position=task.position):
                    task.free_slots -= 1
                    return task
    return None


def _a_task_waits(desk: Desk, actor: User, project: Project) -> bool:
    lanes = lanes_for(actor.pk, desk, project)
    return any(
        _first(desk, actor, project, together, priority) for priority in project.priorities for together in lanes
    )


def _first(desk: Desk, actor: User, project: Project, lanes: Sequence[str], priority: int) -> Task | None:
    """The first task for `actor` in lanes that stand together. Moves the cursors to just before what they find."""
    found = []
    for lane in lanes:
        key = cursor_key(lane, priority)
        behind = desk.cursors.get(key, 0)
        if task := statements.next_task(project.pk, actor.pk, lane, priority, behind):
            found.append(task)
            desk.cursors[key] = task.position - 1
        else:
            # `project` was read before the queue was: all that had joined by then lies behind.
            desk.cursors[key] = max(behind, project.next_position - 1)
    return min(found, key=lambda task: task.position, default=None)


# Holding and leaving


def hold(assignment: Assignment, project: Project) -> None:
    now = timezone.now()
    assignment.state = State.CLAIMED
    assignment.claimed_at = assignment.claimed_at or now
    assignment.lease_until = now + timedelta(seconds=project.lease_seconds)


def extend(assignment: Assignment) -> None:
    assignment.lease_until = timezone.now() + timedelta(seconds=assignment.project.lease_seconds)
    assignment.save(update_fields=["lease_until"])


def leave(assignment: Assignment, state: str, reason: str = "") -> None:
    """End a turn without a ranking: its slot, if it still holds one, is free again."""
    free(assignment, end(assignment, state, reason))


def end(assignment: Assignment, state: str, reason: str) -> bool:
    """The turn itself; did it hold a slot?"""
    held_slot = assignment.slot is not None
    assignment.state, assignment.slot, assignment.reason, assignment.lease_until = state, None, reason, None
    assignment.finished_at = None if state == State.EXPIRED else timezone.now()
    assignment.save(update_fields=["state", "slot", "reason", "lease_until", "finished_at", "seconds"])
    return held_slot


def free(assignment: Assignment, held_slot: bool) -> None:
    """Its task: the slot is free again, and its flags are counted."""
    task = Task.objects.select_for_update().get(pk=assignment.task_id)
    if held_slot:
        give_back(task)
        if task.adjudications.filter(current=True, created_at__gt=assignment.claimed_at).exists():
            give_up_free_slots(task)  # decided meanwhile
    settle(task, stays=not held_slot)
    if held_slot and task.extra:
        adapt(task.pk, assignment.project)


def expire_leases(*, project: Project, limit: int = EXPIRE_AT_ONCE) -> int:
    """Take back the slots of overdue leases, oldest first; returns how many. Done when somebody would otherwise get no task."""
    with transaction.atomic():
        overdue = list(
            Assignment.objects.filter(project=project, state=State.CLAIMED, lease_until__lt=timezone.now())
            .select_for_update(skip_locked=True)
            .order_by("lease_until")[:limit]
        )
        for assignment in overdue:
            leave(assignment, State.EXPIRED)
            audit(None, "task.expire", assignment, task=assignment.task_id, annotator=assignment.annotator_id)
    return len(overdue)
