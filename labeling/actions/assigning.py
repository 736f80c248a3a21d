"""Who gets tasks, how many people, and how soon: lanes, overlap, priorities. Many tasks at a time; they join the queue anew."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from labeling import queries
from labeling.actions.queue import chunks, in_queue_order, one_transaction, rejoin
from labeling.lanes import SENSITIVE, lane_of, owner_of
from labeling.models import GREATEST_PRIORITY, LEAST_PRIORITY, MOST_PEOPLE, Assignment, Project, Task
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

NAMED_AT_MOST = 20  # problems, and tasks in an audit row


@one_transaction
def set_priority(*, actor: User, project: Project, tasks: Iterable[int], priority: int) -> int:
    """Tasks of a higher priority come before all of a lower one. `tasks`: their ids. Returns how many there are."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if not LEAST_PRIORITY <= priority <= GREATEST_PRIORITY:
        raise Refusal(
            _("The priority must be a whole number from %(least)s to %(most)s.")
            % {"least": LEAST_PRIORITY, "most": GREATEST_PRIORITY}
        )
    chosen = chosen_tasks(project, tasks)
    rejoin(project, chosen, priority=priority)
    audit(actor, "tasks.priority", project, priority=priority, **named(chosen))
    return len(chosen)


@one_transaction
def set_overlap(*, actor: User, project: Project, tasks: Iterable[int], overlap: int) -> int:
    """How many people rank each of these tasks. What is held or ranked already is never taken away. Returns how many tasks there are."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if not 1 <= overlap <= MOST_PEOPLE:
        raise Refusal(_("The overlap must be a whole number from 1 to %(most)s.") % {"most": MOST_PEOPLE})
    chosen = chosen_tasks(project, tasks)
    _only_normal(project, chosen)
    held = F("overlap") - F("free_slots")
    wanted = Greatest(Value(overlap), held)
    rejoin(project, chosen, overlap=wanted, free_slots=wanted - held, extra=0)
    audit(actor, "tasks.overlap", project, overlap=overlap, **named(chosen))
    return len(chosen)


@one_transaction
def assign_tasks(*, actor: User, project: Project, tasks: Iterable[int], to: User | Group | None) -> int:
    """Give tasks to one person or one group, before all others of their priority; or, with None, back to everybody. Returns how many.

    Who holds one of them already goes on with it. Nobody gets a task a second time: those that the person has ranked, skipped or flagged stay where
    they are (`had_by` says which), and if that is all of them it is a Refusal.
    """
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if isinstance(to, User) and not queries.belongs(to, project):
        raise Refusal(_("%(name)s does not take part in this project; add them first.") % {"name": to})
    chosen, left_out = chosen_tasks(project, tasks), []
    if isinstance(to, User) and (left_out := had_by(to, chosen)):
        chosen = [pk for pk in chosen if pk not in set(left_out)]
        if not chosen:
            raise Refusal(
                at_most(
                    _("%(name)s has had task %(task)s already and does not get it again.") % {"name": to, "task": pk}
                    for pk in left_out
                )
            )
    marked = project.tasks.filter(sensitive=True)
    sensitive = {pk for chunk in chunks(chosen) for pk in marked.filter(pk__in=chunk).values_list("pk", flat=True)}
    for is_sensitive in (False, True):
        part = [pk for pk in chosen if (pk in sensitive) == is_sensitive]
        if part:
            rejoin(project, part, lane=lane_of(to, sensitive=is_sensitive))
    kind = "person" if isinstance(to, User) else "group"
    audit(
        actor,
        "tasks.assign",
        project,
        to={kind: to.pk, "name": str(to)} if to else None,
        **named(chosen),
        **({"had_already": len(left_out)} if left_out else {}),
    )
    return len(chosen)


def had_by(person: User, tasks: Iterable[int]) -> list[int]:
    """Which of the tasks the person has had, and so gets no more, in the order given."""
    tasks = list(tasks)
    turns = Assignment.objects.filter(annotator=person, repeat=0).exclude(
        state__in=[Assignment.State.CLAIMED, Assignment.State.EXPIRED]
    )
    had = {pk for chunk in chunks(tasks) for pk in turns.filter(task__in=chunk).values_list("task", flat=True)}
    return [pk for pk in tasks if pk in had]


def take_back(project: Project, people: Iterable[User]) -> int:
    """For verbs after which somebody takes part no more: what was assigned to them alone goes back to everybody. Returns how many tasks."""
    gone = [person for person in people if not queries.belongs(person, project)]
    count = 0
    for is_sensitive in (False, True):
        lanes = [lane_of(person, sensitive=is_sensitive) for person in gone]
        tasks = in_queue_order(project, project.tasks.filter(lane__in=lanes).values_list("pk", flat=True))
        if tasks:
            rejoin(project, tasks, lane=lane_of(None, sensitive=is_sensitive))
            count += len(tasks)
    return count


@one_transaction
def set_sensitive(*, actor: User, project: Project, tasks: Iterable[int], sensitive: bool) -> int:
    """Tasks that only those get who take sensitive ones; or not any more. Returns how many there are."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    chosen = chosen_tasks(project, tasks)
    other = project.tasks.filter(sensitive=not sensitive)
    lane_of_task = {
        pk: lane for chunk in chunks(chosen) for pk, lane in other.filter(pk__in=chunk).values_list("pk", "lane")
    }
    changed = [pk for pk in chosen if pk in lane_of_task]
    by_owner: dict[str, list[int]] = {}
    for pk in changed:
        by_owner.setdefault(owner_of(lane_of_task[pk]), []).append(pk)
    for owner, part in by_owner.items():
        rejoin(project, part, lane=owner + SENSITIVE if sensitive else owner, sensitive=sensitive)
    audit(actor, "tasks.sensitive", project, sensitive=sensitive, **named(changed))
    return len(chosen)


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


def named(tasks: list[int]) -> dict[str, object]:
    """For an audit row: how many tasks, and which if they are few."""
    return {"count": len(tasks)} | ({"tasks": tasks} if len(tasks) <= NAMED_AT_MOST else {})


def _only_normal(project: Project, tasks: list[int]) -> None:
    known = [
        pk
        for chunk in chunks(tasks)
        for pk in project.tasks.filter(pk__in=chunk).exclude(kind=Task.Kind.NORMAL).values_list("pk", flat=True)
    ]
    if known:
        raise Refusal(
            at_most(
                _("The answer to task %(task)s is known; everybody may get it, so it has no overlap.") % {"task": pk}
                for pk in known
            )
        )
