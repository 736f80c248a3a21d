"""A person's turn at a task: claim, submit, revise, skip, flag, undo. The guarantees of collecting live here.

* A claim takes a numbered slot of its task; the database makes (task, slot) and (task, annotator, repeat) unique.
* What was submitted is never thrown away: a late submit takes a slot that is still free, else it is kept as spare.
* A submit that arrives twice (same client key) is stored once and answered alike.
* Submit and the claim of the next task are one transaction: one wait for the disk.

How a turn comes about and ends stands in turns.py, what is said of a task in saying.py. On PostgreSQL verbs lock in the order assignment, desk,
task, project; the few ways round that are left end as a deadlock which the database breaks and `one_transaction` repeats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling import queries, statements
from labeling.actions import aside, saying, turns
from labeling.actions.queue import adapt, one_transaction, settle, take_slot
from labeling.actions.saying import Said
from labeling.models import Assignment, Desk, Project, Ranking, Task
from people import sql
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

UNDO_SECONDS = 10  # what people are promised
UNDO_GRACE_SECONDS = 5  # for the way of the click to the server

State = Assignment.State


@dataclass(frozen=True)
class Outcome:
    """What became of a turn: the assignment as it now stands, its ranking if it has one, and the person's next turn.

    `next` is None when no task waits for them. `repeated`: this very submit had arrived before, nothing was stored again. `feedback`: of a
    practice task, to be read before the next one. `qualified`: with this turn the way to the real tasks was done. `final`: the person
    has heard how it went, so it cannot be called back. `counted`: it was one more of the day's rankings. `desk`: the person's, as it
    was saved, where the verb has it.
    """

    assignment: Assignment
    ranking: Ranking | None
    next: Assignment | None
    repeated: bool = False
    feedback: aside.Feedback | None = None
    qualified: bool = False
    final: bool = False
    counted: bool = False
    desk: Desk | None = None


@one_transaction
def claim_task(*, actor: User, project: Project) -> Assignment | None:
    """The task that `actor` should rank now: the one they hold already, else the next of the queue, else None."""
    check(actor, Right.RANK)
    desk = statements.desk(actor.pk, project.pk)
    if desk is None:
        if not queries.belongs(actor, project):
            return None  # no trace of who looks in
        desk = turns.desk_of(actor, project)
    if held := turns.held_by(actor, project):
        turns.extend(held)
        return held
    assignment = turns.claim_next(desk, actor, project)
    turns.save(desk)
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
    desk = turns.desk_of(actor, project)
    if not queries.may_take(actor, project, member=desk.member) or desk.paused_because:
        raise Refusal(_("You get no tasks of this project now: it is not open, or you do not take part."), status=409)
    if mine and mine.state == State.CLAIMED:
        turns.extend(mine)
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
    if slot is None and turns.expire_leases(project=project):
        slot = take_slot(task)
    if slot is None:
        raise Refusal(_("Others hold all places of this task. Try again when one of them is free."), status=409)
    if (held := turns.held_by(actor, project)) is not None:
        turns.leave(held, State.EXPIRED)
    assignment = turns.begin(actor, project, task, slot, mine)
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
    with saying.a_key_once(client_key):
        said = Said(notation, client_key, seconds, comment, answers or {})
        return _submit(actor=actor, assignment=assignment, said=said)


@one_transaction
def _submit(*, actor: User, assignment: Assignment | UUID | str, said: Said) -> Outcome:
    assignment = _own(actor, assignment)
    project = assignment.project
    order, answers = saying.read(said, assignment)
    if assignment.state in {State.SUBMITTED, State.SPARE}:
        ranking = saying.answer_again(assignment, order, answers, said)
        following = turns.next_or_held(actor, project)
        final = aside.has_heard(assignment, turns.desk_of(actor, project))
        feedback = aside.feedback_on(assignment, order)
        return Outcome(assignment, ranking, following, repeated=True, feedback=feedback, final=final)
    if assignment.state == State.FLAGGED:
        raise Refusal(_("You flagged this task. Take the flag back first, then rank it."), status=409)

    now = timezone.now()
    late = assignment.state != State.CLAIMED
    desk = turns.desk_of(actor, project)
    if late and not assignment.aside:
        assignment.slot = take_slot(assignment.task)
    ranking = saying.store(assignment, order, answers, said)
    spare = assignment.slot is None and not assignment.aside
    assignment.state = State.SPARE if spare else State.SUBMITTED
    assignment.finished_at, assignment.lease_until, assignment.reason = now, None, ""
    feedback = aside.score(assignment, order, desk, actor, now) if assignment.aside else None
    sql.update(assignment, ["state", "slot", "finished_at", "lease_until", "revisions", "reason", "gold_score"])
    if assignment.slot is not None:
        statements.count_submitted(assignment.task_id)
    if aside.counts(assignment):
        turns.count(desk, now, 1)
    on_the_way = desk.stage != Desk.Stage.WORKING
    following = (turns.held_by(actor, project) if late else None) or turns.claim_next(desk, actor, project)
    turns.save(desk)
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
    qualified = on_the_way and aside.brought_to_work(assignment, desk)
    final = aside.has_heard(assignment, desk)
    return Outcome(
        assignment,
        ranking,
        following,
        feedback=feedback,
        qualified=qualified,
        final=final,
        counted=aside.counts(assignment),
        desk=desk,
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
    with saying.a_key_once(client_key):
        said = Said(notation, client_key, seconds, comment, answers or {})
        return _revise(actor=actor, assignment=assignment, said=said)


@one_transaction
def _revise(*, actor: User, assignment: Assignment | UUID | str, said: Said) -> Outcome:
    assignment = _own(actor, assignment)
    order, answers = saying.read(said, assignment)
    if assignment.state not in {State.SUBMITTED, State.SPARE}:
        raise Refusal(_("There is no submitted ranking of this task to revise."), status=409)
    if aside.is_practice(assignment):
        raise Refusal(
            _("This task was for practice: you have heard how it went, and your answer is used for nothing else."),
            status=409,
        )
    if assignment.project.state == Project.State.ARCHIVED:
        raise Refusal(_("This project is archived; its rankings can no longer change."), status=409)
    held = turns.held_by(actor, assignment.project)
    stored = assignment.rankings.filter(client_key=said.client_key).first()
    if stored is not None:
        if not saying.says(stored, order, answers, said):
            raise saying.key_used()
        return Outcome(assignment, stored, held, repeated=True)
    current = assignment.rankings.get(current=True)
    if saying.says(current, order, answers, said):
        return Outcome(assignment, current, held, repeated=True)
    assignment.rankings.filter(current=True).update(current=False)
    ranking = saying.store(assignment, order, answers, said)
    assignment.save(update_fields=["revisions"])
    if assignment.slot is not None:
        adapt(assignment.task_id, assignment.project)
    audit(actor, "ranking.revise", assignment, ranking=ranking.pk, before=current.notation, after=ranking.notation)
    return Outcome(assignment, ranking, held)


@one_transaction
def skip_task(
    *, actor: User, assignment: Assignment | UUID | str, reason: str, seconds: float | None = None
) -> Outcome:
    """`actor` cannot judge this task: its slot is free for others, and it is not offered to them again. `seconds` of work were spent on it."""
    reason = reason.strip()
    if not reason:
        raise Refusal(_("Say why you skip this task; a word is enough."))
    return _give_up(actor, assignment, State.SKIPPED, reason, seconds, "task.skip")


@one_transaction
def flag_task(
    *, actor: User, assignment: Assignment | UUID | str, flag: str, note: str = "", seconds: float | None = None
) -> Outcome:
    """Something is wrong with the task itself. Its slot is free; the flags of two people close it for review. `seconds` as of a skip."""
    if flag not in Assignment.Flag.values:
        raise Refusal(
            _("Choose what is wrong: %(choices)s.")
            % {"choices": ", ".join(str(label) for label in Assignment.Flag.labels)}
        )
    reason = f"{flag}: {note.strip()}" if note.strip() else flag
    return _give_up(actor, assignment, State.FLAGGED, reason, seconds, "task.flag")


def _give_up(
    actor: User, assignment: Assignment | UUID | str, state: str, reason: str, seconds: float | None, verb: str
) -> Outcome:
    problems = saying.problems_of_time(seconds)
    if len(reason) > 500:
        problems.append(_("That is too long; at most 500 characters."))
    if problems:
        raise Refusal(problems)
    assignment = _own(actor, assignment)
    project = assignment.project
    if assignment.state == state:
        return Outcome(assignment, None, turns.next_or_held(actor, project), repeated=True)
    if assignment.state not in {State.CLAIMED, State.EXPIRED}:
        raise Refusal(
            _("This task is already finished (%(state)s); nothing was changed.")
            % {"state": assignment.get_state_display()},
            status=409,
        )
    desk = turns.desk_of(actor, project)
    on_the_way = desk.stage != Desk.Stage.WORKING
    if seconds is not None:
        assignment.seconds = (assignment.seconds or 0) + seconds
    held_slot = turns.end(assignment, state, reason)
    following = turns.held_by(actor, project) or turns.claim_next(desk, actor, project)
    turns.save(desk)
    turns.free(assignment, held_slot)  # which locks the project: no other task is waited for with that in hand
    audit(
        actor, verb, assignment, task=assignment.task_id, reason=reason, next=str(following.pk) if following else None
    )
    qualified = on_the_way and aside.brought_to_work(assignment, desk)
    return Outcome(assignment, None, following, qualified=qualified, final=aside.has_heard(assignment, desk))


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
    desk = turns.desk_of(actor, assignment.project)
    if aside.has_heard(assignment, desk):
        raise Refusal(_("This task cannot be called back: you have heard how it went."), status=409)
    if (held := turns.held_by(actor, assignment.project)) is not None:
        turns.leave(held, State.EXPIRED)
    if before == State.SUBMITTED:
        assignment.rankings.filter(current=True).update(current=False)
        if aside.counts(assignment):
            turns.count(desk, assignment.finished_at, -1)
        aside.take_back_score(assignment, desk)
        turns.save(desk)
    elif not assignment.aside:
        assignment.slot = take_slot(assignment.task)
        if assignment.slot is None:
            raise Refusal(_("Someone else has taken this task meanwhile; it cannot be called back."), status=409)
    task = Task.objects.select_for_update().get(pk=assignment.task_id)
    task.submitted -= before == State.SUBMITTED and assignment.slot is not None
    turns.hold(assignment, assignment.project)
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


def _own(actor: User, assignment: Assignment | UUID | str, *, lock: bool = True) -> Assignment:
    check(actor, Right.RANK)
    try:
        found = statements.own(getattr(assignment, "pk", assignment), actor.pk, lock=lock)
    except ValidationError:  # no UUID
        found = None
    if found is None:
        raise Refusal(_("This task is not yours, or it does not exist."), status=404)
    return found
