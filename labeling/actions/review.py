"""Review of contested and flagged tasks: what a reviewer decides stands beside the rankings, which stay as they are."""

from django.db import transaction
from django.utils.translation import gettext as _

from labeling import statements
from labeling.actions.notation import read_order
from labeling.actions.queue import give_up_free_slots, locked, settle
from labeling.models import MOST_PEOPLE, Adjudication, Assignment, Task
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check


@transaction.atomic
def adjudicate(*, actor: User, task: Task, notation: str, reason: str = "") -> Adjudication:
    """The order that holds for a contested task, in canonical letters: a new revision, the last one stays. Said again it is the same one.

    Nobody gets a decided task any more, unless one more person is asked (`ask_for_one_more`); what was ranked stays, and who holds it goes on.
    """
    task = locked(task)
    check(actor, Right.REVIEW, place=task.project)
    order = read_order(notation, items=task.size, project=task.project)
    reason = reason.strip()
    current = task.adjudications.filter(current=True).first()
    if (
        not task.free_slots
        and current
        and (current.notation, current.reason, current.by_id) == (str(order), reason, actor.pk)
    ):
        return current
    task.adjudications.filter(current=True).update(current=False)
    completions = statements.completions(task.pk)
    made = Adjudication.objects.create(
        task=task,
        revision=task.adjudications.count() + 1,
        tiers=[[completions[item] for item in tier] for tier in order.tiers],
        line=order.line,
        rest=[completions[item] for item in order.rest],
        notation=str(order),
        reason=reason,
        by=actor,
    )
    if task.kind == Task.Kind.NORMAL:
        give_up_free_slots(task)
        settle(task, stays=True)
    before = current.notation if current else None
    audit(actor, "task.adjudicate", task, adjudication=made.pk, before=before, after=made.notation)
    return made


@transaction.atomic
def close_task(*, actor: User, task: Task) -> Task:
    """Take a task out: nobody gets it any more, and snapshots leave it out unless asked. What was ranked stays."""
    task = locked(task)
    check(actor, Right.REVIEW, place=task.project)
    _is_ranked_by_many(task)
    if task.state != Task.State.REVIEW:
        task.closed_in_review = True
        task.save(update_fields=["closed_in_review"])
        settle(task, stays=True)
        audit(actor, "task.close", task)
    return task


@transaction.atomic
def reopen_task(*, actor: User, task: Task) -> Task:
    """Put a closed task back: the flags it has are judged and close it no more; two new ones would."""
    task = locked(task)
    check(actor, Right.REVIEW, place=task.project)
    if task.state == Task.State.REVIEW:
        task.closed_in_review = False
        flagged = task.assignments.filter(state=Assignment.State.FLAGGED)
        task.flags_dismissed = flagged.values("annotator").distinct().count()
        task.save(update_fields=["closed_in_review", "flags_dismissed"])
        settle(task, stays=True)
        audit(actor, "task.reopen", task, flags=task.flags_dismissed)
    return task


@transaction.atomic
def ask_for_one_more(*, actor: User, task: Task) -> Task:
    """One more person is to rank this task."""
    task = locked(task)
    check(actor, Right.REVIEW, place=task.project)
    _is_ranked_by_many(task)
    if task.state == Task.State.REVIEW:
        raise Refusal(_("This task is closed for review. Reopen it first."), status=409)
    if task.overlap >= MOST_PEOPLE:
        raise Refusal(_("A task gets at most %(most)d rankings.") % {"most": MOST_PEOPLE}, status=409)
    task.overlap += 1
    task.save(update_fields=["overlap"])
    task.free_slots += 1
    settle(task, stays=True)  # saves the slots together with the place in the queue
    audit(actor, "task.one_more", task, overlap=task.overlap)
    return task


def _is_ranked_by_many(task: Task) -> None:
    if task.kind != Task.Kind.NORMAL:
        raise Refusal(_("The answer to this task is known; it stands in no queue."), status=409)
