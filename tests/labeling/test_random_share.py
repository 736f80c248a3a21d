"""The random share of an active order: a fair sample of the tasks at any time, marked before anybody gets one, whatever is scored and ordered again."""

import random
from math import sqrt

import pytest

from labeling import actions
from labeling.actions.ordering import put_in_steps
from labeling.actions.queue import mix
from labeling.actions.tasks import Place, add_tasks
from labeling.datasets import snapshot
from labeling.datasets.store import rows_of
from labeling.identity import in_random_share, split_of
from labeling.models import Project
from tests import factories
from tests.labeling.test_who_ranks_what import ids, rank_all

pytestmark = pytest.mark.django_db
TASKS, SHARE = 6000, 25


def too_far(sample: list[int], among: int) -> float:
    """How many standard errors the mean of a sample of 0 … among-1 lies from that of a fair one."""
    mean, error = (among - 1) / 2, among / sqrt(12 * len(sample)) * sqrt(1 - len(sample) / among)
    return abs(sum(sample) / len(sample) - mean) / error


def test_it_is_drawn_by_the_task_alone_and_a_smaller_share_is_part_of_a_greater_one():
    keys = [f"task {n}" for n in range(TASKS)]
    smaller, greater = ([n for n, key in enumerate(keys) if in_random_share(key, share)] for share in (10, SHARE))
    assert set(smaller) < set(greater)
    assert abs(len(greater) / TASKS - 0.25) < 0.02
    assert too_far(greater, TASKS) < 3
    held_out = sum(split_of(keys[n], 20) == "heldout" for n in greater) / len(greater)
    assert abs(held_out - 0.2) < 0.03  # what is held out is no more and no less in it
    assert not any(in_random_share(key, 0) for key in keys)
    assert all(in_random_share(key, 100) for key in keys)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_it_has_given_out_is_a_fair_sample_at_any_time_though_scores_change_on_the_way(seed):
    """True worth is 0 … n-1; a scorer that learns guesses it better from round to round, and each round a sixth of the tasks is given out."""
    draw = random.Random(seed)
    left = dict.fromkeys(range(TASKS))
    sample: list[int] = []
    by_score: list[int] = []
    for round_ in range(6):
        noise = TASKS / (round_ + 1)
        scored = [(n, n + draw.gauss(0, noise), in_random_share(f"task {n}", SHARE)) for n in left]
        for n, how in mix(scored, draw)[: TASKS // 6]:
            (sample if how == "random" else by_score).append(n)
            del left[n]
        assert too_far(sample, TASKS) < 3.5
        assert abs(len(sample) / (len(sample) + len(by_score)) - 0.25) < 0.04
        if round_ in (1, 2, 3):
            assert too_far(by_score, TASKS) > 5  # which those by score are not
    assert not left


def marks(project: Project) -> dict[int, str]:
    return dict(project.tasks.values_list("pk", "chosen"))


def given_out(project: Project) -> set[int]:
    return set(project.assignments.values_list("task", flat=True))


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, tasks=40, overlap=2, random_percent=50)


def test_a_mark_is_there_before_the_first_turn_and_never_changes(admin, ana, ben, project):
    tasks = ids(project)
    rank_all(ana, project, most=5)
    by_arrival = given_out(project)
    actions.set_scores(actor=admin, project=project, scores={pk: float(pk) for pk in tasks}, seed=1)
    first = marks(project)
    assert {pk for pk, mark in first.items() if not mark} == by_arrival  # nobody came to these by a score
    rank_all(ana, project, most=10)
    actions.set_scores(actor=admin, project=project, scores={pk: -float(pk) for pk in tasks}, seed=2)
    assert marks(project) == first
    rank_all(ben, project, most=10)
    actions.change_project(actor=admin, project=project, random_percent=100)
    actions.order_by_score(actor=admin, project=project)
    begun, now = given_out(project), marks(project)
    assert {pk: now[pk] for pk in begun} == {pk: first[pk] for pk in begun}
    assert {mark for pk, mark in now.items() if pk not in begun} == {"random"}


def test_who_takes_a_task_while_the_queue_is_put_in_order_came_to_it_as_it_stood(ana, project):
    taken = []

    def meanwhile(done: int, total: int) -> None:
        """Behind the look at the queue, before its places are written."""
        if not taken:
            taken.append(factories.claim(ana, project).task_id)

    put_in_steps(project, seed=1, progress=meanwhile)
    found = marks(project)
    assert found[taken[0]] == ""
    assert found[ids(project)[1]] in ("", "random")
    put_in_steps(project, seed=2)
    assert marks(project) == found


@pytest.mark.slow
def test_new_tasks_of_an_active_order_are_marked_as_they_come_and_exports_say_how_people_came_to_each(
    admin, ana, project
):
    rank_all(ana, project, most=3)
    by_arrival = given_out(project)
    actions.order_by_score(actor=admin, project=project)
    add_tasks(project, [factories.task(100 + n, place=Place(score=float(n))) for n in range(20)])
    new = project.tasks.order_by("pk")[40:]
    assert {task.chosen for task in new} == {"random", "score"}
    assert all((task.chosen == "random") == in_random_share(task.key, 50) for task in new)
    project.refresh_from_db()
    rank_all(ana, project)
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project, options=snapshot.Options())
    said = {row["task"]: row.get("chosen", "") for row in rows_of(dataset.folder)}
    assert said == marks(project)
    assert {task for task, mark in said.items() if not mark} >= by_arrival
