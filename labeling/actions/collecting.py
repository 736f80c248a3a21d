"""A person's turn at a task: claim, submit, revise, skip, flag, undo. The guarantees of collecting live here.

* A claim takes a numbered slot of its task; the database makes (task, slot) and (task, annotator, repeat) unique.
* What was submitted is never thrown away: a late submit takes a slot that is still free, else it is kept as spare.
* A submit that arrives twice (same client key) is stored once and answered alike.
* Submit and the claim of the next task are one transaction: one wait for the disk.

Finding the next task is one index lookup behind the person's own cursor (Desk): a task that gets a free slot again joins the
queue anew at its tail, so nothing ever waits behind a cursor. On PostgreSQL verbs lock in the order assignment, desk,
task, project; the few ways round that are left end as a deadlock which the database breaks and `one_transaction` repeats.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling import queries, questions, statements
from labeling.actions import aside
from labeling.actions.notation import parse_order, problems_of
from labeling.actions.queue import (
    adapt,
    free_number,
    give_back,
    give_up_free_slots,
    one_transaction,
    settle,
    take_slot,
)
from labeling.lanes import cursor_key, lanes_for
from labeling.models import Assignment, Desk, Project, Ranking, Task
from labeling.ranking import WeakOrder
from people import sql
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

UNDO_SECONDS = 10  # what people are promised
UNDO_GRACE_SECONDS = 5  # for the way of the click to the server
COMMENT_CHARACTERS = 5000
EXPIRE_AT_ONCE = 50  # overdue leases that one claim takes back at most

# Of a desk: what collecting changes.
DESK_FIELDS = (
    "cursors", "done", "day", "done_that_day",
    "stage", "paused_because", "paused_at", "until_gold", "until_repeat", "gold_scores",
)  # fmt: skip

State = Assignment.State


@dataclass(frozen=True)
class Outcome:
    """What became of a turn: the assignment as it now stands, its ranking if it has one, and the person's next turn.

    `next` is None when no task waits for them. `repeated`: this very submit had arrived before, nothing was stored again. `feedback`: of a
    practice task, to be read before the next one. `qualified`: with this turn the way to the real tasks was done. `final`: the person
    has heard how it went, so it cannot be called back. `counted`: it was one more of the day's rankings.
    """

    assignment: Assignment
    ranking: Ranking | None
    next: Assignment | None
    repeated: bool = False
    feedback: aside.Feedback | None = None
    qualified: bool = False
    final: bool = False
    counted: bool = False


@dataclass(frozen=True)
class Said:
    """What arrives from the board: the ranking in its letters, a key for it, seconds of work, a comment, answers to the questions."""

    notation: str
    client_key: str
    seconds: float | None
    comment: str
    answers: Mapping[str, object]


@one_transaction
def claim_task(*, actor: User, project: Project) -> Assignment | None:
    """The task that `actor` should rank now: the one they hold already, else the next of the queue, else None."""
    check(actor, Right.RANK)
    desk = statements.desk(actor.pk, project.pk)
    if desk is None:
        if not queries.belongs(actor, project):
            return None  # no trace of who looks in
        desk = _desk(actor, project)
    if held := _held(actor, project):
        _extend(held)
        return held
    assignment = _claim_next(desk, actor, project)
    _save(desk)
    if assignment is not None:
        audit(actor, "task.claim", assignment, task=assignment.task_id, slot=assignment.slot)
    return assignment


@one_transaction
def claim_this_task(*, actor: User, task: Task) -> Assignment:
    """The turn at this very task, out of turn. What `actor` holds meanwhile goes back to the queue, and later goes on as it was shown.

    For those who may see the tasks of a project: others could try task by task which ones are not given to them, and whether the one on their board
    is among those. Such are gold.
    """
    check(actor, Right.RANK)
    task = Task.objects.select_related("project", "prompt").get(pk=task.pk)
    project = task.project
    check(actor, Right.SEE_PROJECTS, place=project)
    mine = Assignment.objects.select_for_update().filter(task=task, annotator=actor, repeat=0).first()
    desk = _desk(actor, project)
    if not queries.may_take(actor, project, member=desk.member) or desk.paused_because:
        raise Refusal(_("You get no tasks of this project now: it is not open, or you do not take part."), status=409)
    if mine and mine.state == State.CLAIMED:
        _extend(mine)
        return mine
    if queries.is_on_the_way(desk, project):
        raise Refusal(_("Practice tasks and the qualification come first; go to the board."), status=409)
    if mine and mine.state != State.EXPIRED:
        raise Refusal(
            _("You have had this task already (%(state)s).") % {"state": mine.get_state_display()}, status=409
        )
    if task.kind != Task.Kind.NORMAL or not queries.may_take_from(actor, desk, project, task.lane):
        raise Refusal(_("This task is not given to you."), status=409)
    if task.state != Task.State.OPEN:
        raise Refusal(
            _("This task is not open any more: %(state)s.") % {"state": task.get_state_display()}, status=409
        )
    slot = take_slot(task)
    if slot is None and expire_leases(project=project):
        slot = take_slot(task)
    if slot is None:
        raise Refusal(_("Others hold all places of this task. Try again when one of them is free."), status=409)
    if (held := _held(actor, project)) is not None:
        _leave(held, State.EXPIRED)
    assignment = _begin(actor, project, task, slot, mine)
    audit(actor, "task.claim", assignment, task=task.pk, slot=slot, released=str(held.pk) if held else None)
    return assignment


def submit_ranking(
    *,
    actor: User,
    assignment: Assignment | UUID | str,
    notation: str,
    client_key: str,
    seconds: float | None = None,
    comment: str = "",
    answers: Mapping[str, object] | None = None,
) -> Outcome:
    """Store what `actor` says about their task, and claim the next one.

    `notation` and `answers` (labeling.questions) are in the letters of the board. `client_key` is made by the client, once for each ranking it
    wants stored. A second tab with the same ranking gets the same answer; with another one a Refusal (409) that names what is stored.
    """
    said = Said(notation, client_key, seconds, comment, answers or {})
    try:
        return _submit(actor=actor, assignment=assignment, said=said)
    except IntegrityError:
        # The key belongs to another ranking: the one index that two correct clients cannot meet in.
        if not Ranking.objects.filter(client_key=client_key).exists():
            raise
        raise _key_used() from None


@one_transaction
def _submit(*, actor: User, assignment: Assignment | UUID | str, said: Said) -> Outcome:
    assignment = _own(actor, assignment)
    project = assignment.project
    order, answers = _read(said, assignment)
    if assignment.state in {State.SUBMITTED, State.SPARE}:
        ranking = _answer_again(assignment, order, answers, said)
        following = _next_or_held(actor, project)
        final = _is_known(assignment, _desk(actor, project))
        feedback = _feedback(assignment, order)
        return Outcome(assignment, ranking, following, repeated=True, feedback=feedback, final=final)
    if assignment.state == State.FLAGGED:
        raise Refusal(_("You flagged this task. Take the flag back first, then rank it."), status=409)

    now = timezone.now()
    late = assignment.state != State.CLAIMED
    desk = _desk(actor, project)
    if late and not assignment.aside:
        assignment.slot = take_slot(assignment.task)
    ranking = _store(assignment, order, answers, said)
    spare = assignment.slot is None and not assignment.aside
    assignment.state = State.SPARE if spare else State.SUBMITTED
    assignment.finished_at, assignment.lease_until, assignment.reason = now, None, ""
    feedback = _judge(assignment, order, desk, actor, now) if assignment.aside else None
    sql.update(assignment, ["state", "slot", "finished_at", "lease_until", "revisions", "reason", "gold_score"])
    if assignment.slot is not None:
        statements.count_submitted(assignment.task_id)
    if _counts(assignment):
        _count(desk, now, 1)
    on_the_way = desk.stage != Desk.Stage.WORKING
    following = (_held(actor, project) if late else None) or _claim_next(desk, actor, project)
    _save(desk)
    added = adapt(assignment.task_id, project) if assignment.slot is not None else 0
    audit(
        actor,
        "ranking.submit",
        assignment,
        task=assignment.task_id,
        ranking=ranking.pk,
        late=late,
        spare=spare,
        next=str(following.pk) if following else None,
        **({"slots_added": added} if added else {}),
    )
    qualified = on_the_way and _has_qualified(assignment, desk)
    final = _is_known(assignment, desk)
    return Outcome(
        assignment,
        ranking,
        following,
        feedback=feedback,
        qualified=qualified,
        final=final,
        counted=_counts(assignment),
    )


def revise_ranking(
    *,
    actor: User,
    assignment: Assignment | UUID | str,
    notation: str,
    client_key: str,
    seconds: float | None = None,
    comment: str = "",
    answers: Mapping[str, object] | None = None,
) -> Outcome:
    """A changed mind: a new revision beside the old one, which stays. `next` is the turn that `actor` holds, if any."""
    said = Said(notation, client_key, seconds, comment, answers or {})
    try:
        return _revise(actor=actor, assignment=assignment, said=said)
    except IntegrityError:
        if not Ranking.objects.filter(client_key=client_key).exists():
            raise
        raise _key_used() from None


@one_transaction
def _revise(*, actor: User, assignment: Assignment | UUID | str, said: Said) -> Outcome:
    assignment = _own(actor, assignment)
    order, answers = _read(said, assignment)
    if assignment.state not in {State.SUBMITTED, State.SPARE}:
        raise Refusal(_("There is no submitted ranking of this task to revise."), status=409)
    if is_practice(assignment):
        raise Refusal(
            _("This task was for practice: you have heard how it went, and your answer is used for nothing else."),
            status=409,
        )
    if assignment.project.state == Project.State.ARCHIVED:
        raise Refusal(_("This project is archived; its rankings can no longer change."), status=409)
    held = _held(actor, assignment.project)
    stored = assignment.rankings.filter(client_key=said.client_key).first()
    if stored is not None:
        if not _says(stored, order, answers, said):
            raise _key_used()
        return Outcome(assignment, stored, held, repeated=True)
    current = assignment.rankings.get(current=True)
    if _says(current, order, answers, said):
        return Outcome(assignment, current, held, repeated=True)
    assignment.rankings.filter(current=True).update(current=False)
    ranking = _store(assignment, order, answers, said)
    assignment.save(update_fields=["revisions"])
    if assignment.slot is not None:
        adapt(assignment.task_id, assignment.project)
    audit(actor, "ranking.revise", assignment, ranking=ranking.pk, before=current.notation, after=ranking.notation)
    return Outcome(assignment, ranking, held)


@one_transaction
def skip_task(*, actor: User, assignment: Assignment | UUID | str, reason: str) -> Outcome:
    """`actor` cannot judge this task: its slot is free for others, and it is not offered to them again."""
    reason = reason.strip()
    if not reason:
        raise Refusal(_("Say why you skip this task; a word is enough."))
    return _give_up(actor, assignment, State.SKIPPED, reason, "task.skip")


@one_transaction
def flag_task(*, actor: User, assignment: Assignment | UUID | str, flag: str, note: str = "") -> Outcome:
    """Something is wrong with the task itself. Its slot is free; the flags of two people close it for review."""
    if flag not in Assignment.Flag.values:
        raise Refusal(
            _("Choose what is wrong: %(choices)s.")
            % {"choices": ", ".join(str(label) for label in Assignment.Flag.labels)}
        )
    reason = f"{flag}: {note.strip()}" if note.strip() else flag
    return _give_up(actor, assignment, State.FLAGGED, reason, "task.flag")


def _give_up(actor: User, assignment: Assignment | UUID | str, state: str, reason: str, verb: str) -> Outcome:
    if len(reason) > 500:
        raise Refusal(_("That is too long; at most 500 characters."))
    assignment = _own(actor, assignment)
    project = assignment.project
    if assignment.state == state:
        return Outcome(assignment, None, _next_or_held(actor, project), repeated=True)
    if assignment.state not in {State.CLAIMED, State.EXPIRED}:
        raise Refusal(
            _("This task is already finished (%(state)s); nothing was changed.")
            % {"state": assignment.get_state_display()},
            status=409,
        )
    desk = _desk(actor, project)
    on_the_way = desk.stage != Desk.Stage.WORKING
    held_slot = _end(assignment, state, reason)
    following = _held(actor, project) or _claim_next(desk, actor, project)
    _save(desk)
    _free(assignment, held_slot)  # which locks the project: no other task is waited for with that in hand
    audit(
        actor, verb, assignment, task=assignment.task_id, reason=reason, next=str(following.pk) if following else None
    )
    qualified = on_the_way and _has_qualified(assignment, desk)
    return Outcome(assignment, None, following, qualified=qualified, final=_is_known(assignment, desk))


@one_transaction
def undo(*, actor: User, assignment: Assignment | UUID | str) -> Assignment:
    """Call back what `actor` just submitted, skipped or flagged: they hold the task again, in its slot.

    What was submitted stays as an old revision. The task that they hold meanwhile goes back to the queue.
    """
    assignment = _own(actor, assignment)
    if assignment.state == State.CLAIMED:
        return assignment
    window = timedelta(seconds=UNDO_SECONDS + UNDO_GRACE_SECONDS)
    if assignment.state not in {State.SUBMITTED, State.SKIPPED, State.FLAGGED} or assignment.imported:
        raise Refusal(_("There is nothing to undo; you can revise your ranking instead."), status=409)
    if timezone.now() - assignment.finished_at > window:
        raise Refusal(
            _("It is too late to undo this (%(seconds)s seconds). You can revise your ranking instead.")
            % {"seconds": UNDO_SECONDS},
            status=409,
        )
    before = assignment.state
    desk = _desk(actor, assignment.project)
    if _is_known(assignment, desk):
        raise Refusal(_("This task cannot be called back: you have heard how it went."), status=409)
    if (held := _held(actor, assignment.project)) is not None:
        _leave(held, State.EXPIRED)
    if before == State.SUBMITTED:
        assignment.rankings.filter(current=True).update(current=False)
        if _counts(assignment):
            _count(desk, assignment.finished_at, -1)
        _take_back_score(assignment, desk)
        _save(desk)
    elif not assignment.aside:
        assignment.slot = take_slot(assignment.task)
        if assignment.slot is None:
            raise Refusal(_("Someone else has taken this task meanwhile; it cannot be called back."), status=409)
    task = Task.objects.select_for_update().get(pk=assignment.task_id)
    task.submitted -= before == State.SUBMITTED and assignment.slot is not None
    _hold(assignment, assignment.project)
    assignment.finished_at, assignment.reason = None, ""
    assignment.save()
    settle(task, stays=True)
    audit(actor, "task.undo", assignment, task=task.pk, was=before, released=str(held.pk) if held else None)
    return assignment


def extend_lease(*, actor: User, assignment: Assignment | UUID | str) -> bool:
    """A sign of life from the board. False: the lease had ended and the slot is gone (a submit is kept all the same).

    Happens every minute for everyone, so it writes no audit row.
    """
    check(actor, Right.RANK)
    assignment = _own(actor, assignment, lock=False)
    until = timezone.now() + timedelta(seconds=assignment.project.lease_seconds)
    return bool(Assignment.objects.filter(pk=assignment.pk, state=State.CLAIMED).update(lease_until=until))


def expire_leases(*, project: Project, limit: int = EXPIRE_AT_ONCE) -> int:
    """Take back the slots of overdue leases, oldest first; returns how many. Done when somebody would otherwise get no task."""
    with transaction.atomic():
        overdue = list(
            Assignment.objects.filter(project=project, state=State.CLAIMED, lease_until__lt=timezone.now())
            .select_for_update(skip_locked=True)
            .order_by("lease_until")[:limit]
        )
        for assignment in overdue:
            _leave(assignment, State.EXPIRED)
            audit(None, "task.expire", assignment, task=assignment.task_id, annotator=assignment.annotator_id)
    return len(overdue)


# Reading what came in


def _own(actor: User, assignment: Assignment | UUID | str, *, lock: bool = True) -> Assignment:
    check(actor, Right.RANK)
    try:
        found = statements.own(getattr(assignment, "pk", assignment), actor.pk, lock=lock)
    except ValidationError:  # no UUID
        found = None
    if found is None:
        raise Refusal(_("This task is not yours, or it does not exist."), status=404)
    return found


def _read(said: Said, assignment: Assignment) -> tuple[WeakOrder, dict]:
    """The ranking in canonical letters, the answers as they are stored; a Refusal that names all that is missing."""
    project = assignment.project
    shown = parse_order(said.notation, items=len(assignment.display))
    problems = problems_of(shown, project)
    asked = questions.read(project.questions)
    if asked or said.answers:
        problems += questions.check(asked, said.answers, shown.items, asked=shown.named)
    if not 0 < len(said.client_key) <= 64:
        problems.append(_("The client key must have 1 to 64 characters."))
    if said.seconds is not None and not 0 <= said.seconds < 1e7:
        problems.append(_("The time must be a number of seconds, 0 or more."))
    if len(said.comment) > COMMENT_CHARACTERS:
        problems.append(_("The comment is too long; at most %(n)s characters.") % {"n": COMMENT_CHARACTERS})
    if problems:
        raise Refusal(problems)
    answers = questions.cleaned(asked, said.answers)
    if answers:
        completions = statements.completions(assignment.task_id)
        answers = questions.to_stored(answers, [completions[position] for position in assignment.display])
    return shown.relabel(assignment.display), answers


def _says(ranking: Ranking, order: WeakOrder, answers: dict, said: Said) -> bool:
    return (ranking.notation, ranking.comment, ranking.answers) == (str(order), said.comment, answers)


def _answer_again(assignment: Assignment, order: WeakOrder, answers: dict, said: Said) -> Ranking:
    """The ranking that a repeated submit stored the first time; a Refusal if this one says something else."""
    stored = assignment.rankings.filter(client_key=said.client_key).first()
    if stored is not None:
        if not _says(stored, order, answers, said):
            raise _key_used()
        return stored
    current = assignment.rankings.get(current=True)
    if _says(current, order, answers, said):
        return current
    raise Refusal(
        _(
            "You have already submitted this task, in another tab perhaps: %(stored)s. "
            "That ranking is kept and this one was not stored; to change your answer, revise it."
        )
        % {"stored": queries.as_shown(assignment, current)},
        status=409,
    )


def _key_used() -> Refusal:
    return Refusal(_("This client key already belongs to another ranking; nothing was stored."), status=409)


# Turns aside


def _judge(assignment: Assignment, order: WeakOrder, desk: Desk, actor: User, now: datetime) -> aside.Feedback | None:
    """Score a turn at a task with a known answer; what it says to the person if it was for practice."""
    kind = assignment.task.kind
    if kind == Task.Kind.NORMAL or (found := aside.judge(assignment, order)) is None:
        return None
    assignment.gold_score = found.score
    if kind == Task.Kind.GOLD:
        aside.note_gold(desk, actor, assignment.project, found.score, now)
    return found if kind == Task.Kind.PRACTICE else None


def _feedback(assignment: Assignment, order: WeakOrder) -> aside.Feedback | None:
    return aside.judge(assignment, order) if is_practice(assignment) else None


def is_practice(assignment: Assignment) -> bool:
    return assignment.aside and assignment.task.kind == Task.Kind.PRACTICE


def _is_known(assignment: Assignment, desk: Desk) -> bool:
    """Has the person heard how this turn went? What they were told must not find its way into it."""
    if not assignment.aside:
        return False
    kind = assignment.task.kind
    return (
        bool(desk.paused_because)
        or (kind == Task.Kind.PRACTICE and assignment.state == State.SUBMITTED)
        or (kind == Task.Kind.QUALIFICATION and desk.stage != Desk.Stage.QUALIFICATION)
    )


def _has_qualified(assignment: Assignment, desk: Desk) -> bool:
    """Was this turn, after which the real tasks come, one of the qualification?"""
    return assignment.task.kind == Task.Kind.QUALIFICATION and desk.stage == Desk.Stage.WORKING


def _counts(assignment: Assignment) -> bool:
    """Is a ranking part of a day's work? Practice and qualification are not; a gold task is, or it would be seen."""
    return not assignment.aside or assignment.task.kind in (Task.Kind.NORMAL, Task.Kind.GOLD)


def _take_back_score(assignment: Assignment, desk: Desk) -> None:
    if assignment.gold_score is not None:
        if assignment.task.kind == Task.Kind.GOLD and assignment.gold_score in desk.gold_scores:
            newest_first = desk.gold_scores[::-1]
            newest_first.remove(assignment.gold_score)
            desk.gold_scores = newest_first[::-1]
        assignment.gold_score = None


# Slots, leases, the queue


def _desk(actor: User, project: Project) -> Desk:
    """The person's desk, locked; whether they may take tasks is on it as `member`."""
    desk = statements.desk(actor.pk, project.pk)
    if desk is None:
        Desk.objects.bulk_create([Desk(project=project, annotator=actor)], ignore_conflicts=True)
        desk = statements.desk(actor.pk, project.pk)
    return desk


def _save(desk: Desk) -> None:
    sql.update(desk, DESK_FIELDS)


def _count(desk: Desk, at: datetime, by: int) -> None:
    day = timezone.localdate(at)
    if by > 0 and desk.day != day:
        desk.day, desk.done_that_day = day, 0
    desk.done = max(desk.done + by, 0)
    if desk.day == day:
        desk.done_that_day = max(desk.done_that_day + by, 0)


def _held(actor: User, project: Project) -> Assignment | None:
    return (
        Assignment.objects.select_related("task__prompt", "project")
        .filter(project=project, annotator=actor, state=State.CLAIMED)
        .first()
    )


def _next_or_held(actor: User, project: Project) -> Assignment | None:
    desk = _desk(actor, project)
    if held := _held(actor, project):
        return held
    following = _claim_next(desk, actor, project)
    _save(desk)
    return following


def _claim_next(desk: Desk, actor: User, project: Project) -> Assignment | None:
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
    return _begin(actor, project, task, free_number(task), lapsed)


def _begin_aside(actor: User, project: Project, turn: aside.Turn | None) -> Assignment | None:
    if turn is None:
        return None
    lapsed = Assignment.objects.get(pk=turn.lapsed) if turn.lapsed is not None else None
    return _begin(actor, project, turn.task, None, lapsed, repeat=turn.repeat, aside=True)


def _begin(
    actor: User, project: Project, task: Task, slot: int | None, lapsed: Assignment | None, **fields: object
) -> Assignment:
    """A turn in a slot that was taken, or aside. One that they had before, and whose lease ended, goes on in the same order of outputs."""
    if lapsed:
        assignment = lapsed
        assignment.slot = slot
        assignment.aside = slot is None
        _hold(assignment, project)
        assignment.save()
    else:
        display = list(range(task.size))
        random.shuffle(display)
        assignment = Assignment(project=project, task=task, annotator=actor, slot=slot, display=display, **fields)
        _hold(assignment, project)
        sql.insert(assignment)
    assignment.task, assignment.project = task, project
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


def _hold(assignment: Assignment, project: Project) -> None:
    now = timezone.now()
    assignment.state = State.CLAIMED
    assignment.claimed_at = assignment.claimed_at or now
    assignment.lease_until = now + timedelta(seconds=project.lease_seconds)


def _extend(assignment: Assignment) -> None:
    assignment.lease_until = timezone.now() + timedelta(seconds=assignment.project.lease_seconds)
    assignment.save(update_fields=["lease_until"])


def _leave(assignment: Assignment, state: str, reason: str = "") -> None:
    """End a turn without a ranking: its slot, if it still holds one, is free again."""
    _free(assignment, _end(assignment, state, reason))


def _end(assignment: Assignment, state: str, reason: str) -> bool:
    """The turn itself; did it hold a slot?"""
    held_slot = assignment.slot is not None
    assignment.state, assignment.slot, assignment.reason, assignment.lease_until = state, None, reason, None
    assignment.finished_at = None if state == State.EXPIRED else timezone.now()
    assignment.save(update_fields=["state", "slot", "reason", "lease_until", "finished_at"])
    return held_slot


def _free(assignment: Assignment, held_slot: bool) -> None:
    """Its task: the slot is free again, and its flags are counted."""
    task = Task.objects.select_for_update().get(pk=assignment.task_id)
    if held_slot:
        give_back(task)
        if task.adjudications.filter(current=True, created_at__gt=assignment.claimed_at).exists():
            give_up_free_slots(task)  # decided meanwhile
    settle(task, stays=not held_slot)
    if held_slot and task.extra:
        adapt(task.pk, assignment.project)


def _store(assignment: Assignment, order: WeakOrder, answers: dict, said: Said) -> Ranking:
    """The next revision; counts it on the assignment, which the caller saves."""
    completions = statements.completions(assignment.task_id)
    assignment.revisions += 1
    return sql.insert(
        Ranking(
            assignment=assignment,
            revision=assignment.revisions,
            tiers=[[completions[item] for item in tier] for tier in order.tiers],
            line=order.line,
            rest=[completions[item] for item in order.rest],
            notation=str(order),
            client_key=said.client_key,
            seconds=said.seconds,
            comment=said.comment,
            answers=answers,
        )
    )
