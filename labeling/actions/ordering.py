"""Active order: the tasks that a score says are worth most come first, with some at random between them; or in the order of arrival.

A queue may hold a hundred thousand tasks, and people claim and submit meanwhile: so it is read and sorted outside any transaction, and written in
short ones. Each leaves the queue whole, and no place that is given lies behind anybody's cursor.
"""

import math
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from jobs.actions import enqueue
from jobs.models import Job
from labeling import statements
from labeling.actions.assigning import at_most
from labeling.actions.many import Changed
from labeling.actions.queue import chunks, few, mix, one_transaction, queue_places, steps
from labeling.identity import in_random_share
from labeling.models import Project, Task
from labeling.queries import subject_of
from people import sql
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

NO_SCORES: Mapping[int, float | None] = MappingProxyType({})


def set_scores(
    *, actor: User, project: Project, scores: Mapping[int, float | None], seed: int | None = None
) -> Changed:
    """Write scores of tasks (by id; None takes one away) and put the queue in their order. Says how many tasks were given one.

    `random_percent` of the tasks come whatever their scores (Task.chosen): rankings from those say how the rest is, without the taste of the score.
    `seed` makes their order again as it was; the audit row holds the one that was used.
    """
    check(actor, Right.MANAGE_PROJECTS, place=project)
    _check_scores(project, scores)
    begun = _order(
        actor=actor, project=project, verb="tasks.scores", seed=_seed(seed), scores=scores, count=len(scores)
    )
    return Changed(len(scores), begun.jobs)


def order_by_score(*, actor: User, project: Project, seed: int | None = None) -> Changed:
    """Put the queue in the order of the scores that tasks have. Says how many tasks wait in it."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    return _order(actor=actor, project=project, verb="queue.by_score", seed=_seed(seed))


def order_by_arrival(*, actor: User, project: Project) -> Changed:
    """Put the queue back in the order in which tasks were made; scores stay. Says how many tasks wait in it."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    return _order(actor=actor, project=project, verb="queue.by_arrival", seed=None)


@one_transaction
def _order(
    *,
    actor: User,
    project: Project,
    verb: str,
    seed: int | None,
    scores: Mapping[int, float | None] = NO_SCORES,
    **said: object,
) -> Changed:
    """Now, or by a job. `seed` None: by arrival."""
    waiting = _waiting(project).count()
    if seed is not None:
        said |= {"seed": seed, "random": project.random_percent}
    job = _begin(actor, project, seed, waiting, scores)
    if job:
        said["job"] = str(job.pk)
    audit(actor, verb, project, waiting=waiting, **said)
    return Changed(waiting, (job,) if job else ())


def _begin(
    actor: User, project: Project, seed: int | None, waiting: int, scores: Mapping[int, float | None] = NO_SCORES
) -> Job | None:
    if few(range(waiting)) and few(scores):
        put_in_steps(project, seed, scores)
        return None
    arguments = {"project": project.pk, "seed": seed, "scores": list(scores.items())}
    return enqueue(actor=actor, what="order-queue", arguments=arguments, subject=subject_of(project))


def put_in_steps(
    project: Project,
    seed: int | None,
    scores: Mapping[int, float | None] = NO_SCORES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write scores, then the places. Begun anew it comes to the same, so nothing has to be remembered in between.

    Whoever wants the other order while places are written has the last word: what is left of this one is not.
    """
    done, total = 0, len(scores) + _waiting(project).count()
    for some in steps(scores):
        progress(done, total)
        _write_scores(scores={pk: scores[pk] for pk in some})
        done += len(some)
    _set_active(project, seed is not None)
    found = _waiting(project).order_by("pk").values_list("pk", "score", "key", "chosen", "overlap", "free_slots")
    waiting = list(found)
    order = [(pk, "") for pk, *_rest in waiting]
    if seed is not None:
        share = project.random_percent
        order = mix(
            [
                (pk, score, chosen == Task.Chosen.RANDOM if free < overlap else in_random_share(key, share))
                for pk, score, key, chosen, overlap, free in waiting
            ],
            random.Random(seed),
        )
    for part in steps(order):
        progress(done, total)
        if not _write_places(project=project, order=part, by_score=seed is not None):
            break
        done += len(part)


def _seed(given: int | None) -> int:
    return secrets.randbits(32) if given is None else given


def put_in_order(project: Project) -> None:
    """For jobs that bring tasks, behind their last transaction: where those belong if the queue goes by scores."""
    if Project.objects.filter(pk=project.pk, active_order=True).exists():
        put_in_steps(project, _seed(None))


def have_put_in_order(project: Project, actor: User) -> None:
    """The same for verbs: now, or by a job."""
    if Project.objects.filter(pk=project.pk, active_order=True).exists():
        _begin(actor, project, _seed(None), _waiting(project).count())


@transaction.atomic
def _set_active(project: Project, active: bool) -> None:
    stored = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    project.random_percent = stored.random_percent
    if stored.active_order != active:
        Project.objects.filter(pk=project.pk).update(active_order=active)
    project.active_order = active


def _waiting(project: Project) -> QuerySet[Task]:
    return project.tasks.filter(position__isnull=False)


@one_transaction
def _write_places(*, project: Project, order: Sequence[tuple[int, str]], by_score: bool) -> bool:
    """False, and nothing is written, where the queue is to go in the other order by now."""
    start = queue_places(project.pk, len(order))  # from here on nobody else changes the project
    if not Project.objects.filter(pk=project.pk, active_order=by_score).exists():
        return False
    places = {pk: (position, chosen) for position, (pk, chosen) in enumerate(order, start)}
    for chunk in chunks(places):
        sql.execute(
            # A task that somebody has ranked or holds keeps its mark, or goes without one: it says how they came to it.
            f"UPDATE {statements.TASK} SET position = v.column2,"
            " chosen = CASE WHEN free_slots < overlap THEN chosen ELSE v.column3 END"
            f" FROM (VALUES {', '.join(['(%s, %s, %s)'] * len(chunk))}) AS v"
            # Somebody may have taken its last slot meanwhile.
            f" WHERE {statements.TASK}.id = v.column1 AND {statements.TASK}.position IS NOT NULL",
            [value for pk in chunk for value in (pk, *places[pk])],
        )
    return True


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
