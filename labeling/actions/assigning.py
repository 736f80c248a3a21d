"""Who gets tasks, how many people, and how soon: lanes, overlap, priorities, batches. Many tasks at a time; they join the queue anew.

A verb says at once what is wrong; more than `queue.FEW` tasks are then changed by a job.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from labeling.actions.many import NAMED_AT_MOST, Changed, Plan, carry_out, had_by, taker, tidy
from labeling.actions.queue import AT_ONCE, in_queue_order
from labeling.lanes import lane_of
from labeling.models import GREATEST_PRIORITY, LEAST_PRIORITY, MOST_PEOPLE, Batch, Project, Task
from people.errors import Refusal
from people.models import User
from people.permissions import Right, check


def change_tasks(*, actor: User, project: Project, tasks: Iterable[int], **changes: Any) -> Changed:
    """Several changes of the same tasks (by their ids): all of them, or none. `changes` are arguments of the verbs below."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    # Read before the transaction begins, in which nobody else can write.
    chosen = chosen_tasks(project, tasks)
    plans = [_PLANS[name](project, chosen, value) for name, value in changes.items()]
    jobs = carry_out(actor=actor, project=project, plans=plans)
    return Changed(min(len(plan.tasks) if plan.count is None else plan.count for plan in plans), jobs)


def set_priority(*, actor: User, project: Project, tasks: Iterable[int], priority: int) -> Changed:
    """Tasks of a higher priority come before all of a lower one."""
    return change_tasks(actor=actor, project=project, tasks=tasks, priority=priority)


def set_overlap(*, actor: User, project: Project, tasks: Iterable[int], overlap: int) -> Changed:
    """How many people rank each of these tasks. What is held or ranked already is never taken away."""
    return change_tasks(actor=actor, project=project, tasks=tasks, overlap=overlap)


def assign_tasks(*, actor: User, project: Project, tasks: Iterable[int], to: User | Group | None) -> Changed:
    """Give tasks to one person or one group, before all others of their priority; or, with None, back to everybody.

    Who holds one of them already goes on with it. Nobody gets a task a second time: those that the person has ranked, skipped or flagged stay where
    they are (`had_by` says which), and if that is all of them it is a Refusal.
    """
    return change_tasks(actor=actor, project=project, tasks=tasks, to=to)


def set_sensitive(*, actor: User, project: Project, tasks: Iterable[int], sensitive: bool) -> Changed:
    """Tasks that only those get who take sensitive ones; or not any more. Those that are so already stay where they are."""
    return change_tasks(actor=actor, project=project, tasks=tasks, sensitive=sensitive)


def put_in_batch(*, actor: User, project: Project, tasks: Iterable[int], batch: Batch | None) -> Changed:
    """Tasks belong to this batch now, or with None to none; each belongs to one."""
    return change_tasks(actor=actor, project=project, tasks=tasks, batch=batch)


def _priority(_project: Project, tasks: list[int], priority: int) -> Plan:
    if not LEAST_PRIORITY <= priority <= GREATEST_PRIORITY:
        raise Refusal(
            _("The priority must be a whole number from %(least)s to %(most)s.")
            % {"least": LEAST_PRIORITY, "most": GREATEST_PRIORITY}
        )
    return Plan("priority", {"priority": priority}, tasks, {"priority": priority})


def _overlap(project: Project, tasks: list[int], overlap: int) -> Plan:
    if not 1 <= overlap <= MOST_PEOPLE:
        raise Refusal(_("The overlap must be a whole number from 1 to %(most)s.") % {"most": MOST_PEOPLE})
    _only_normal(project, tasks)
    return Plan("overlap", {"overlap": overlap}, tasks, {"overlap": overlap})


def _to(project: Project, tasks: list[int], to: User | Group | None) -> Plan:
    owner, left_out = lane_of(to), []
    taker(project, owner)
    if isinstance(to, User) and (left_out := had_by(to, tasks)):
        tasks = [pk for pk in tasks if pk not in set(left_out)]
        if not tasks:
            raise Refusal(
                at_most(
                    _("%(name)s has had task %(task)s already and does not get it again.") % {"name": to, "task": pk}
                    for pk in left_out
                )
            )
    kind = "person" if isinstance(to, User) else "group"
    said: dict[str, Any] = {"to": {kind: to.pk, "name": str(to)} if to else None}
    return Plan("assign", {"owner": owner}, tasks, said | ({"had_already": len(left_out)} if left_out else {}))


def _sensitive(project: Project, tasks: list[int], sensitive: bool) -> Plan:
    changed = _among(project.tasks.filter(sensitive=not sensitive), tasks)
    return Plan("sensitive", {"sensitive": sensitive}, changed, {"sensitive": sensitive}, count=len(tasks))


def _batch(project: Project, tasks: list[int], batch: Batch | None) -> Plan:
    if batch is not None and batch.project_id != project.pk:
        raise Refusal(_("This batch belongs to another project."))
    said = {"batch": batch.name if batch else None}
    return Plan("batch", {"batch": batch.pk if batch else None}, tasks, said)


_PLANS: dict[str, Callable[[Project, list[int], Any], Plan]] = {
    "priority": _priority,
    "overlap": _overlap,
    "to": _to,
    "sensitive": _sensitive,
    "batch": _batch,
}


def take_back(project: Project, people: Iterable[User]) -> int:
    """For verbs after which somebody takes part no more: what was assigned to them alone goes back to everybody. Returns how many tasks."""
    count, _job = tidy(project, "people", people=[person.pk for person in people])
    return count


def chosen_tasks(project: Project, tasks: Iterable[int]) -> list[int]:
    """The tasks that are meant, as they stand in the queue; a Refusal names those that are not there."""
    asked = list(dict.fromkeys(tasks))
    if not asked:
        raise Refusal(_("Choose at least one task."))
    found = in_queue_order(project, asked)
    if len(found) < len(asked):
        missing = sorted(set(asked) - set(found))
        raise Refusal(at_most(_("Task %(task)s does not belong to this project.") % {"task": pk} for pk in missing))
    return found


def at_most(problems: Iterable[str]) -> list[str]:
    """The first problems, and how many more there are."""
    problems = list(problems)
    more = len(problems) - NAMED_AT_MOST
    return problems[:NAMED_AT_MOST] + ([_("… and %(n)s more.") % {"n": more}] if more > 0 else [])


def _only_normal(project: Project, tasks: list[int]) -> None:
    if known := _among(project.tasks.exclude(kind=Task.Kind.NORMAL), tasks):
        raise Refusal(
            at_most(
                _("The answer to task %(task)s is known; everybody may get it, so it has no overlap.") % {"task": pk}
                for pk in known
            )
        )


def _among(found: QuerySet[Task], tasks: list[int]) -> list[int]:
    """Those of the tasks that are found, in their order. Of many, it is quicker to read all that are found."""
    if len(tasks) <= AT_ONCE:
        found = found.filter(pk__in=tasks)
    those = set(found.values_list("pk", flat=True))
    return [pk for pk in tasks if pk in those]
