"""Changes of many tasks: a few at once, more of them in steps, as a job, so that nobody who submits meanwhile waits for long.

A step is one transaction, which leaves the queue whole: half-way, some tasks are as they were and the others as they will be. How far a job has
come is written with each step, so whoever takes it up after a dead worker goes on behind the last one, and a worker that only seemed dead writes no more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Concat, Greatest, Length, Substr
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from labeling import lanes, queries
from labeling.actions.queue import chunks, few, one_transaction, rejoin, step_of
from labeling.models import Assignment, Project, Task
from people.errors import Refusal
from people.models import User, audit

if TYPE_CHECKING:
    from jobs.tasks import Progress

NAMED_AT_MOST = 20  # problems, and tasks in an audit row


@dataclass(frozen=True)
class Plan:
    """A change that makes sense: `tasks` stand as in the queue, `values` (JSON) are what CHANGES[change] takes, `said` is for the audit row."""

    change: str
    values: dict[str, Any]
    tasks: list[int]
    said: dict[str, Any]
    count: int | None = None  # of those that are then as wanted, if some are already


@dataclass(frozen=True)
class Changed:
    """So many tasks are changed, or will be, by `jobs`."""

    tasks: int
    jobs: Sequence[Job] = ()


# What becomes of some tasks, inside a transaction


def _priority(project: Project, tasks: list[int], priority: int) -> None:
    rejoin(project, tasks, priority=priority)


def _overlap(project: Project, tasks: list[int], overlap: int) -> None:
    known = set(project.tasks.filter(pk__in=tasks).exclude(kind=Task.Kind.NORMAL).values_list("pk", flat=True))
    held = F("overlap") - F("free_slots")
    wanted = Greatest(Value(overlap), held)
    rejoin(project, [pk for pk in tasks if pk not in known], overlap=wanted, free_slots=wanted - held, extra=0)


def _assign(project: Project, tasks: list[int], owner: str) -> None:
    to = taker(project, owner)
    if isinstance(to, User):
        had = set(had_by(to, tasks))
        tasks = [pk for pk in tasks if pk not in had]
    _move(project, tasks, to)


def _sensitive(project: Project, tasks: list[int], sensitive: bool) -> None:
    ends = Q(lane__endswith=lanes.SENSITIVE)
    owner = Case(When(ends, then=Substr("lane", 1, Length("lane") - len(lanes.SENSITIVE))), default=F("lane"))
    lane = Concat(owner, Value(lanes.SENSITIVE)) if sensitive else owner
    rejoin(project, tasks, lane=lane, sensitive=sensitive)


def _batch(project: Project, tasks: list[int], batch: int | None) -> None:
    rejoin(project, tasks, batch=batch)


def _move(project: Project, tasks: list[int], to: User | Group | None) -> None:
    # Not looked up before: somebody may be marking the very tasks.
    marked, plain = (Value(lanes.lane_of(to, sensitive=sensitive)) for sensitive in (True, False))
    rejoin(project, tasks, lane=Case(When(sensitive=True, then=marked), default=plain))


CHANGES: dict[str, Callable[..., None]] = {
    "priority": _priority,
    "overlap": _overlap,
    "assign": _assign,
    "sensitive": _sensitive,
    "batch": _batch,
}


def taker(project: Project, owner: str) -> User | Group | None:
    """To whom tasks of a lane are given; a Refusal if they cannot take any."""
    to = lanes.whose(owner)
    if owner and to is None:
        raise Refusal(_("The person or group is gone to whom the tasks were to be given."), status=409)
    if isinstance(to, User) and not queries.belongs(to, project):
        raise Refusal(_("%(name)s does not take part in this project; add them first.") % {"name": to})
    return to


def had_by(person: User, tasks: Iterable[int]) -> list[int]:
    """Which of the tasks the person has had, and so gets no more, in the order given."""
    tasks = list(tasks)
    turns = Assignment.objects.filter(annotator=person, repeat=0).exclude(
        state__in=[Assignment.State.CLAIMED, Assignment.State.EXPIRED]
    )
    had = {pk for chunk in chunks(tasks) for pk in turns.filter(task__in=chunk).values_list("task", flat=True)}
    return [pk for pk in tasks if pk in had]


# Changes that somebody asks for


@one_transaction
def carry_out(*, actor: User, project: Project, plans: Sequence[Plan]) -> list[Job]:
    """All of it, or nothing; the jobs are those that still have to do it. For verbs, which have checked the actor's rights."""
    subject, jobs = queries.subject_of(project), []
    under_way = Job.objects.filter(
        what="change-tasks", subject=subject, state__in=[Job.State.WAITING, Job.State.RUNNING]
    )
    if {job.arguments["change"] for job in under_way} & {plan.change for plan in plans}:
        raise Refusal(
            _("Just this is being changed for many tasks of the project. Wait until that is done, or cancel it."),
            status=409,
        )
    for plan in plans:
        about = {}
        if few(plan.tasks):
            CHANGES[plan.change](project, plan.tasks, **plan.values)
        else:
            arguments = {"project": project.pk, "change": plan.change, "values": plan.values, "tasks": plan.tasks}
            job = enqueue(actor=actor, what="change-tasks", arguments=arguments, subject=subject)
            jobs.append(job)
            about["job"] = str(job.pk)
        audit(actor, f"tasks.{plan.change}", project, **plan.said, **named(plan.tasks), **about)
    return jobs


def named(tasks: list[int]) -> dict[str, object]:
    """For an audit row: how many tasks, and which if they are few."""
    return {"count": len(tasks)} | ({"tasks": tasks} if len(tasks) <= NAMED_AT_MOST else {})


def change_in_steps(
    progress: "Progress", project: Project, change: str, values: dict[str, Any], tasks: list[int], note: str
) -> None:
    """The job's work. `job.done` says how many of the tasks are changed already."""
    while (done := progress.job.done) < len(tasks):
        progress.set(done, len(tasks), note)
        progress.job.done = _step(
            progress=progress, project=project, change=change, values=values, part=step_of(tasks[done:]), done=done
        )


@one_transaction
def _step(
    *, progress: "Progress", project: Project, change: str, values: dict[str, Any], part: list[int], done: int
) -> int:
    progress.write(done + len(part))
    CHANGES[change](project, part, **values)
    return done + len(part)


# Tasks that are not, or no more, as their batch or the people in the project want it: found by that, until there are none


def _out_of_batch(project: Project, batch: int) -> QuerySet[Task]:
    """Those that still wait though their batch is paused, or are still held though it goes on."""
    found = project.batches.get(pk=batch)
    return found.tasks.filter(state=Task.State.OPEN if found.paused else Task.State.HELD)


def _left_behind(project: Project, people: list[int]) -> QuerySet[Task]:
    """Those of people who take part no more."""
    gone = [person for person in User.objects.filter(pk__in=people) if not queries.belongs(person, project)]
    return project.tasks.filter(
        lane__in=[lanes.lane_of(person, sensitive=sensitive) for person in gone for sensitive in (False, True)]
    )


def _to_everybody(project: Project, tasks: list[int]) -> None:
    _move(project, tasks, None)


TIDYING: dict[str, tuple[Callable[..., QuerySet[Task]], Callable[[Project, list[int]], None]]] = {
    "batch": (_out_of_batch, rejoin),
    "people": (_left_behind, _to_everybody),
}


def tidy(project: Project, what: str, *, actor: User | None = None, **values: Any) -> tuple[int, Job | None]:
    """How many tasks are brought in line, inside the caller's transaction, or soon, by the job."""
    find, settle = TIDYING[what]
    found = find(project, **values)
    count = found.count()
    if count and few(range(count)):
        settle(project, list(_in_order(found)))
    elif count:
        arguments = {"project": project.pk, "change": what, "values": values}
        return count, enqueue(actor=actor, what="tidy-tasks", arguments=arguments, subject=queries.subject_of(project))
    return count, None


def tidy_in_steps(progress: "Progress", project: Project, what: str, values: dict[str, Any]) -> None:
    """The job's work, which needs no memory: what is done is found no more."""
    find, _settle = TIDYING[what]
    done, left = 0, find(project, **values).count()
    while part := step_of(_in_order(find(project, **values))):
        progress.set(done, max(left, done + len(part)))
        _tidy_step(project=project, what=what, values=values, part=part)
        done += len(part)


@one_transaction
def _tidy_step(*, project: Project, what: str, values: dict[str, Any], part: list[int]) -> None:
    find, settle = TIDYING[what]
    settle(project, list(_in_order(find(project, **values).filter(pk__in=part))))


def _in_order(found: QuerySet[Task]) -> "QuerySet[Task, int]":
    return found.order_by(F("position").asc(nulls_last=True), "pk").values_list("pk", flat=True)
