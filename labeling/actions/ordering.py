"""Active order: the tasks that a score says are worth most come first, with some at random between them; or in the order of arrival.

A queue may hold a hundred thousand tasks, and people claim and submit meanwhile: so it is read and sorted outside any transaction, and written in
short ones. Each leaves the queue whole, and no place that is given lies behind anybody's cursor.
"""

import math
import random
import secrets
from collections.abc import Mapping, Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from labeling import statements
from labeling.actions.assigning import at_most
from labeling.actions.queue import chunks, mix, one_transaction, queue_places
from labeling.models import Project, Task
from people import sql
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

A_STEP = 5000  # tasks written in one transaction


def set_scores(*, actor: User, project: Project, scores: Mapping[int, float | None], seed: int | None = None) -> int:
    """Write scores of tasks (by id; None takes one away) and put the queue in their order. Returns how many tasks were given one.

    Of the places in the queue, `random_percent` of the project are drawn at random: rankings from those say how the rest is, without the
    taste of the score (Task.chosen). `seed` makes the draw again as it was; the audit row holds the one that was used.
    """
    check(actor, Right.MANAGE_PROJECTS, place=project)
    _check_scores(project, scores)
    for step in chunks(scores, A_STEP):
        _write_scores(scores={pk: scores[pk] for pk in step})
    seed, waiting = _by_score(project, seed)
    audit(actor, "tasks.scores", project, count=len(scores), waiting=waiting, seed=seed, random=project.random_percent)
    return len(scores)


def order_by_score(*, actor: User, project: Project, seed: int | None = None) -> int:
    """Put the queue in the order of the scores that tasks have. Returns how many tasks wait in it."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    seed, waiting = _by_score(project, seed)
    audit(actor, "queue.by_score", project, waiting=waiting, seed=seed, random=project.random_percent)
    return waiting


def order_by_arrival(*, actor: User, project: Project) -> int:
    """Put the queue back in the order in which tasks were made; scores stay. Returns how many tasks wait in it."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    _set_active(project, False)
    waiting = _waiting(project)
    _place(project, [(pk, chosen if begun else "") for pk, _score, begun, chosen in waiting])
    audit(actor, "queue.by_arrival", project, waiting=len(waiting))
    return len(waiting)


def put_in_order(project: Project) -> None:
    """For verbs that bring tasks: where those belong if the queue goes by scores."""
    if Project.objects.filter(pk=project.pk, active_order=True).exists():
        _by_score(project, None)


def _by_score(project: Project, seed: int | None) -> tuple[int, int]:
    """The seed that was used, and how many tasks wait."""
    seed = secrets.randbits(32) if seed is None else seed
    _set_active(project, True)
    waiting = _waiting(project)
    # A task that somebody has ranked or holds keeps its mark: it says how they came to it.
    marks = {pk: chosen for pk, _score, begun, chosen in waiting if begun and chosen}
    order = mix([(pk, score) for pk, score, _begun, _chosen in waiting], project.random_percent, random.Random(seed))
    _place(project, [(pk, marks.get(pk, chosen)) for pk, chosen in order])
    return seed, len(waiting)


@transaction.atomic
def _set_active(project: Project, active: bool) -> None:
    stored = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    project.random_percent = stored.random_percent
    if stored.active_order != active:
        Project.objects.filter(pk=project.pk).update(active_order=active)
    project.active_order = active


def _waiting(project: Project) -> list[tuple[int, float | None, bool, str]]:
    """(task, score, has somebody got it already, how it was chosen) of all that wait, in the order in which they were made."""
    found = project.tasks.filter(position__isnull=False).order_by("pk")
    rows = found.values_list("pk", "score", "overlap", "free_slots", "chosen")
    return [(pk, score, free < overlap, chosen) for pk, score, overlap, free, chosen in rows]


def _place(project: Project, order: Sequence[tuple[int, str]]) -> None:
    """New places at the tail, in this order."""
    for start in range(0, len(order), A_STEP):
        _write_places(project=project, order=order[start : start + A_STEP])


@one_transaction
def _write_places(*, project: Project, order: Sequence[tuple[int, str]]) -> None:
    start = queue_places(project.pk, len(order))
    places = {pk: (position, chosen) for position, (pk, chosen) in enumerate(order, start)}
    for chunk in chunks(places):
        sql.execute(
            f"UPDATE {statements.TASK} SET position = v.column2, chosen = v.column3"
            f" FROM (VALUES {', '.join(['(%s, %s, %s)'] * len(chunk))}) AS v"
            # Somebody may have taken its last slot meanwhile.
            f" WHERE {statements.TASK}.id = v.column1 AND {statements.TASK}.position IS NOT NULL",
            [value for pk in chunk for value in (pk, *places[pk])],
        )


@one_transaction
def _write_scores(*, scores: Mapping[int, float | None]) -> None:
    for chunk in chunks(scores):
        sql.execute(
            # The first row tells PostgreSQL of which types the others are.
            f"UPDATE {statements.TASK} SET score = v.column2"
            f" FROM (VALUES (-1, 0.5e0){', (%s, %s)' * len(chunk)}) AS v WHERE {statements.TASK}.id = v.column1",
            [value for pk in chunk for value in (pk, None if scores[pk] is None else float(scores[pk]))],
        )


def _check_scores(project: Project, scores: Mapping[int, float | None]) -> None:
    if not scores:
        raise Refusal(_("There are no scores."))
    found = set(Task.objects.filter(project=project).values_list("pk", flat=True))
    problems = []
    for pk, score in scores.items():
        if pk not in found:
            problems.append(_("Task %(task)s does not belong to this project.") % {"task": pk})
        elif score is not None and not math.isfinite(score):
            problems.append(_("Task %(task)s: the score must be a finite number.") % {"task": pk})
    if problems:
        raise Refusal(at_most(problems))
