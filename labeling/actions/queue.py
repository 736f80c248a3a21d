"""A task's slots and its place in the project's queue. Off the hot path, `settle` works out both anew; `rejoin` does for many tasks at once."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from functools import wraps
from itertools import count, islice
from typing import TypeVar

from django.db import OperationalError, connection, transaction
from django.db.models import Case, F, QuerySet, Value, When

from labeling import statements
from labeling.lanes import EVERYBODY
from labeling.models import Assignment, Batch, Project, Ranking, Task
from labeling.ranking import WeakOrder
from labeling.statistics import contested
from people import sql

FLAGS_THAT_CLOSE = 2
ATTEMPTS = 6  # at what a deadlock gave up
AT_ONCE = 1000  # rows a statement: far below what a database takes as parameters
# While a transaction writes, nobody else can submit (SQLite). So many tasks are changed at once; more of them in steps, each of them short.
FEW = 5000
A_STEP = 2000

T = TypeVar("T")
NORMAL = Task.Kind.NORMAL
State = Task.State


def one_transaction(verb: Callable) -> Callable:
    """Run the verb in a transaction; if PostgreSQL broke a deadlock by giving it up, run it again."""

    @wraps(verb)
    def run(**arguments: object) -> object:
        attempts = 1 if connection.in_atomic_block else ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                with transaction.atomic():
                    return verb(**arguments)
            except OperationalError as error:
                deadlock = getattr(error.__cause__, "sqlstate", None) in {"40P01", "40001"}
                if not deadlock or attempt == attempts:
                    raise
            time.sleep(random.uniform(0, 0.05 * attempt))  # else the same two meet again
        raise AssertionError("unreachable")

    return run


# One task


def locked(task: Task) -> Task:
    """For verbs: the task as it is now, which nobody else changes until the transaction ends."""
    return Task.objects.select_for_update(of=("self",)).select_related("project").get(pk=task.pk)


def free_number(task: Task) -> int:
    """The lowest slot number that nobody holds; call it behind `statements.take`, which locked the task."""
    if task.overlap == 1:
        return 1
    held = statements.held_slots(task.pk)
    return next(number for number in range(1, task.overlap + 1) if number not in held)


def take_slot(task: Task) -> int | None:
    """A slot for someone who comes late, whatever has become of the task; None if all are held."""
    if not statements.take(task.pk):
        return None
    task.overlap = Task.objects.values_list("overlap", flat=True).get(pk=task.pk)
    return free_number(task)


def give_back(task: Task) -> None:
    """The slot of a turn that ended without a ranking is free again, or gone if the task stands in no queue any more. The caller settles."""
    if task.kind == NORMAL:
        task.free_slots += 1
    else:
        task.overlap -= 1


def settle(task: Task, *, stays: bool = False) -> None:
    """Bring a locked task's state and its place in the queue in line with its slots, flags and batch. Off the hot path.

    A task that waits joins the queue anew at its tail, or, if it `stays` (no slot was given back), keeps the place it has.
    """
    flags = task.assignments.filter(state=Assignment.State.FLAGGED).values("annotator").distinct().count()
    if task.closed_in_review or flags - task.flags_dismissed >= FLAGS_THAT_CLOSE:
        task.state = State.REVIEW
    elif task.kind == NORMAL and task.submitted >= task.overlap:
        task.state = State.COMPLETE
    elif task.batch_id and Batch.objects.get(pk=task.batch_id).paused:
        task.state = State.HELD
    else:
        task.state = State.OPEN
    waits = task.state == State.OPEN and task.free_slots > 0
    if not waits:
        task.position = None
    elif not stays or task.position is None:
        task.position = queue_places(task.project_id, 1)
    task.save(update_fields=["state", "overlap", "extra", "submitted", "free_slots", "position"])


def give_up_free_slots(task: Task) -> None:
    """Of a locked task: what is free in it is wanted no more. The caller settles it."""
    task.overlap -= task.free_slots
    task.free_slots = task.extra = 0


def adapt(task_id: int, project: Project) -> int:
    """Adaptive overlap: a task goes on, one slot at a time, while all its wanted rankings are in and disagree; returns the slots added.

    Slots that were added and are free again are taken away (a negative number) when the rankings agree after all.
    """
    if not project.overlap_max:
        return 0
    task = Task.objects.select_for_update().get(pk=task_id)
    all_in = task.submitted >= task.overlap and task.overlap < project.overlap_max
    too_many = min(task.extra, task.free_slots)
    if (
        task.kind != NORMAL
        or task.state == State.REVIEW
        or task.submitted < max(2, task.overlap - task.extra)
        or not (all_in or too_many)
    ):
        return 0
    agreed = agrees(task, project)
    if agreed == all_in or (all_in and task.adjudications.filter(current=True).exists()):
        return 0  # what a reviewer has decided goes on to nobody
    added = 1 if all_in else -too_many
    task.overlap += added
    task.extra += added
    task.free_slots += added
    settle(task, stays=not all_in)
    return added


def agrees(task: Task, project: Project) -> bool:
    """Do the rankings that count agree as far as the project wants it? Where no two speak of the same outputs, nobody knows: no."""
    said = Ranking.objects.filter(
        assignment__task=task, assignment__slot__isnull=False, assignment__repeat=0, current=True
    ).values_list("notation", flat=True)
    agreement = contested.agreement_of([WeakOrder.parse(notation, items=task.size) for notation in said])
    return agreement is not None and agreement >= project.contested_below


# Places


def queue_places(project_id: int, count: int) -> int:
    """The first of `count` new places at the tail of a project's queue. Call it inside a transaction, and end that soon."""
    Project.objects.filter(pk=project_id).update(next_position=F("next_position") + count)
    return Project.objects.values_list("next_position", flat=True).get(pk=project_id) - count


def in_queue_order(project: Project, tasks: Iterable[int] | None = None) -> list[int]:
    """The ids of tasks of the project (all, or those named that are there) as they stand in the queue, then those that stand in none."""
    found = project.tasks.order_by(F("position").asc(nulls_last=True), "pk").values_list("pk", flat=True)
    if tasks is None:
        return list(found)
    wanted = set(tasks)
    if len(wanted) <= AT_ONCE:
        return list(found.filter(pk__in=wanted))
    return [pk for pk in found if pk in wanted]


def rejoin(project: Project, tasks: Sequence[int], **values: object) -> None:
    """Change `values` of many tasks and let those that can be taken join the queue anew, in the order given.

    A task that leaves one lane or priority for another gets a new place, else it might lie behind somebody's cursor there. Between the two
    statements a task counts as held, which no check of the database minds.
    """
    places = count(queue_places(project.pk, len(tasks)))
    held = Case(When(state=State.REVIEW, then=Value(State.REVIEW)), default=Value(State.HELD))
    for chunk in chunks(tasks):
        project.tasks.filter(pk__in=chunk).update(state=held, position=None, **values)
        sql.execute(
            f"UPDATE {statements.TASK} SET state = a.state,"
            " position = CASE WHEN a.state = 'open' AND a.free_slots > 0 THEN a.place END"
            " FROM (SELECT b.id, b.free_slots, v.column2 AS place, CASE WHEN b.state = 'review' THEN 'review'"
            " WHEN b.kind = 'normal' AND b.submitted >= b.overlap THEN 'complete'"
            f" WHEN EXISTS(SELECT 1 FROM {statements.BATCH} c WHERE c.id = b.batch_id AND c.paused) THEN 'held'"
            f" ELSE 'open' END AS state FROM {statements.TASK} b"
            f" JOIN (VALUES {', '.join(['(%s, %s)'] * len(chunk))}) AS v ON v.column1 = b.id) AS a"
            f" WHERE {statements.TASK}.id = a.id",
            [value for pk in chunk for value in (pk, next(places))],
        )
    know_again(project)


def mix(tasks: Sequence[tuple[T, float | None, bool]], draw: random.Random) -> list[tuple[T, str]]:
    """Active order: each (task, its score or None, is it of the random share) with how it came to its place (Task.chosen).

    Those of the share come in an order that is drawn, evenly among the others; which they are must not hang on any score (identity.in_random_share).
    So at any time those of them that have had their turn are a fair sample. Were they drawn from what the best scores leave over, high scores would
    hardly be among them. The others come by score, those without one behind, as they stood.
    """
    drawn = [(task, Task.Chosen.RANDOM.value) for task, _score, at_random in tasks if at_random]
    draw.shuffle(drawn)
    others = [(task, score) for task, score, at_random in tasks if not at_random]
    others.sort(key=lambda each: (each[1] is None, -(each[1] or 0.0)))
    by_score = [(task, "" if score is None else Task.Chosen.SCORE.value) for task, score in others]
    is_drawn = [True] * len(drawn) + [False] * len(by_score)
    draw.shuffle(is_drawn)
    in_turn, in_order = iter(drawn), iter(by_score)
    return [next(in_turn if each else in_order) for each in is_drawn]


def know_more(project: Project, tasks: Iterable[Task]) -> None:
    """The queue is walked by priorities and lanes, so the project lists those in use: what new tasks bring is added."""
    tasks = list(tasks)
    walked = [task for task in tasks if task.kind == NORMAL]
    _know(
        Project.objects.select_for_update(no_key=True).get(pk=project.pk),
        project,
        {task.priority for task in walked},
        {task.lane for task in walked},
        {task.kind for task in tasks if task.kind != NORMAL},
        keep=True,
    )


def know_again(project: Project) -> None:
    """List the priorities, lanes and kinds in use anew, and forget those that are not."""
    stored = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    used = set(project.tasks.order_by().values_list("kind", "lane", "priority").distinct())
    walked = {(lane, priority) for kind, lane, priority in used if kind == NORMAL}
    _know(
        stored,
        project,
        {priority for _lane, priority in walked},
        {lane for lane, _priority in walked},
        {kind for kind, _lane, _priority in used if kind != NORMAL},
        keep=False,
    )


def _know(
    stored: Project, project: Project, priorities: set[int], lanes: set[str], kinds: set[str], *, keep: bool
) -> None:
    if keep:
        priorities |= set(stored.priorities)
        lanes |= set(stored.lanes)
        kinds |= set(stored.known_kinds)
    project.priorities = sorted(priorities or {0}, reverse=True)
    project.lanes = sorted(lanes | {EVERYBODY})
    project.known_kinds = sorted(kinds)
    changed = [
        name for name in ("priorities", "lanes", "known_kinds") if getattr(project, name) != getattr(stored, name)
    ]
    if changed:
        project.save(update_fields=changed)


def few(tasks: Sized) -> bool:
    """So few that one transaction changes them all."""
    return len(tasks) <= FEW


def step_of(tasks: Sequence[T] | QuerySet[Task]) -> list[T]:
    """The first of them."""
    return list(tasks[:A_STEP])


def steps(tasks: Iterable[T]) -> Iterator[list[T]]:
    return chunks(tasks, A_STEP)


def chunks(ids: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    remaining = iter(ids)
    while chunk := list(islice(remaining, size)):
        yield chunk
