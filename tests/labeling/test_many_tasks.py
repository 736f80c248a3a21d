"""Changes of many tasks go in steps, as a job: whole after each step, taken up where a dead worker left them, refused before anything changes."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from jobs.actions import reap, request_cancel
from jobs.models import Job
from jobs.tasks import Lost, Progress
from jobs.worker import run_all_waiting
from labeling import actions, uploads
from labeling.actions import many, queue
from labeling.actions.ordering import put_in_steps
from labeling.importing.load import import_prompts
from labeling.models import Project, Task
from labeling.project_queries import lacks
from labeling.scores import tasks_to_score
from labeling.task_queries import with_outputs
from people.actions import deactivate
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories
from tests.labeling.conftest import client_of

from .test_who_ranks_what import ids, rank_all
from .turns import check_slots

pytestmark = pytest.mark.django_db
A_STEP, TASKS = 4, 10


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(queue, "FEW", A_STEP)
    monkeypatch.setattr(queue, "A_STEP", A_STEP)


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, tasks=TASKS, overlap=2)


def begun_by_a_worker_that_died(job: Job) -> Progress:
    """A minute ago; what it would go on with if it lived."""
    then = timezone.now() - timedelta(seconds=60)
    DBTaskResult.objects.filter(pk=job.task_id).update(status=TaskResultStatus.RUNNING, started_at=then)
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING, heartbeat_at=then, attempts=1)
    return Progress(Job.objects.get(pk=job.pk))


def dies_after_one_step(job: Job) -> Progress:
    worker, given = begun_by_a_worker_that_died(job), job.arguments
    worker.job.done = many._step(
        progress=worker, project=Project.objects.get(pk=given["project"]), change=given["change"], values=given["values"],
        part=given["tasks"][:A_STEP], done=0,
    )  # fmt: skip
    return worker


def written(verb: str) -> list[dict]:
    return list(AuditEntry.objects.filter(verb=verb).values_list("data", flat=True))


def test_a_few_tasks_are_changed_at_once_and_many_by_a_job(project, admin):
    few = actions.set_priority(actor=admin, project=project, tasks=ids(project)[:A_STEP], priority=3)
    assert (few.tasks, list(few.jobs), project.tasks.filter(priority=3).count()) == (A_STEP, [], A_STEP)
    changed = actions.set_priority(actor=admin, project=project, tasks=ids(project), priority=5)
    [job] = changed.jobs
    assert (changed.tasks, project.tasks.filter(priority=5).count()) == (TASKS, 0)
    assert written("tasks.priority")[-1] == {
        "priority": 5,
        "count": TASKS,
        "tasks": job.arguments["tasks"],
        "job": str(job.pk),
    }
    run_all_waiting()
    job.refresh_from_db()
    assert (job.state, job.done) == (Job.State.DONE, TASKS)
    assert project.tasks.filter(priority=5).count() == TASKS
    assert len(written("tasks.priority")) == 2
    check_slots(project)
    assert project.priorities == [5]
    # They stand as they stood when it was asked for.
    assert rank_all(factories.user(), project) == job.arguments["tasks"]


@pytest.mark.parametrize(
    ("change", "value"),
    [("priority", 7), ("overlap", 4), ("sensitive", True), ("batch", "Later"), ("to", "Linguists")],
)
def test_after_a_worker_died_another_goes_on_behind_its_last_step(project, admin, ana, ben, change, value):
    if change == "batch":
        value = actions.create_batch(actor=admin, project=project, name=value)
    if change == "to":
        value = Group.objects.create(name=value)
        ben.groups.add(value)
    mine = factories.claim(ana, project)
    [job] = actions.change_tasks(actor=admin, project=project, tasks=ids(project), **{change: value}).jobs
    sleeper = dies_after_one_step(job)
    check_slots(project)  # half-way
    places = dict(project.tasks.values_list("pk", "position"))
    factories.submit(ana, mine)  # who works goes on
    check_slots(project)
    assert reap(dead_after=30) == 1
    with pytest.raises(Lost):  # the first worker only slept
        many.change_in_steps(sleeper, project, change, job.arguments["values"], job.arguments["tasks"], "")
    run_all_waiting()
    job.refresh_from_db()
    assert (job.state, job.attempts, job.done) == (Job.State.DONE, 2, TASKS)
    check_slots(project)
    lane = f"g{value.pk}" if change == "to" else "!" if change == "sensitive" else ""
    wanted = {"to": {"lane": lane}, "sensitive": {"sensitive": True, "lane": lane}}.get(change, {change: value})
    assert project.tasks.filter(**wanted).count() == TASKS
    now = dict(project.tasks.values_list("pk", "position"))
    first = job.arguments["tasks"][:A_STEP]
    assert [now[pk] for pk in first] == [places[pk] for pk in first]  # once is enough
    assert len(written(f"tasks.{'assign' if change == 'to' else change}")) == 1
    seen = rank_all(ben, project)
    assert set(seen) == set(ids(project))


def test_what_makes_no_sense_is_refused_before_anything_is_begun(project, admin, ana):
    for changes in ({"priority": 5000}, {"overlap": 0}, {"priority": 1, "overlap": 0}):
        with pytest.raises(Refusal):
            actions.change_tasks(actor=admin, project=project, tasks=ids(project), **changes)
    with pytest.raises(Refusal, match="does not belong"):
        actions.change_tasks(actor=admin, project=project, tasks=[*ids(project), 10**9], priority=1)
    with pytest.raises(Refusal) as caught:
        actions.change_tasks(actor=ana, project=project, tasks=ids(project), priority=1)
    assert caught.value.status == 403
    assert not Job.objects.exists()
    assert not AuditEntry.objects.filter(verb__startswith="tasks.").exists()


def test_the_same_cannot_be_changed_twice_at_once_but_something_else_can(project, admin):
    [job] = actions.set_priority(actor=admin, project=project, tasks=ids(project), priority=5).jobs
    with pytest.raises(Refusal, match="Just this is being changed") as caught:
        actions.set_priority(actor=admin, project=project, tasks=ids(project)[:1], priority=9)
    assert caught.value.status == 409
    assert actions.set_overlap(actor=admin, project=project, tasks=ids(project)[:1], overlap=3).tasks == 1
    request_cancel(actor=admin, job=job)
    assert actions.set_priority(actor=admin, project=project, tasks=ids(project)[:1], priority=9).tasks == 1
    check_slots(project)


def test_tasks_that_became_something_else_meanwhile_are_left_as_they_are(project, admin, ana):
    """Between the request and the step: a gold task has no overlap, and who has had a task does not get it again."""
    [job, given] = actions.change_tasks(actor=admin, project=project, tasks=ids(project), overlap=3, to=ana).jobs
    had = factories.claim(ana, project)
    factories.submit(ana, had)
    gold = ids(project)[-1]
    actions.set_gold(actor=admin, task=Task.objects.get(pk=gold), kind="gold", constraints="A > B")
    run_all_waiting()
    check_slots(project)
    assert Task.objects.get(pk=gold).free_slots == 0
    assert Task.objects.get(pk=had.task_id).lane == ""
    assert project.tasks.filter(overlap=3).count() == TASKS - 1
    assert {Job.objects.get(pk=one.pk).state for one in (job, given)} == {Job.State.DONE}


def test_whoever_leaves_while_they_are_given_tasks_gets_no_more_of_them(project, admin, ana):
    [job] = actions.assign_tasks(actor=admin, project=project, tasks=ids(project), to=ana).jobs
    dies_after_one_step(job)
    deactivate(actor=admin, person=ana)
    assert reap(dead_after=30) == 1
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "does not take part" in job.error
    assert set(project.tasks.values_list("lane", flat=True)) == {""}
    check_slots(project)


def test_a_long_batch_leaves_the_queue_in_steps_and_the_last_word_holds(project, admin, ana):
    batch = actions.create_batch(actor=admin, project=project, name="Round 1")
    actions.put_in_batch(actor=admin, project=project, tasks=ids(project), batch=batch)
    run_all_waiting()
    mine = factories.claim(ana, project)
    [job] = actions.pause_batch(actor=admin, batch=batch).jobs
    batch.refresh_from_db()
    assert batch.paused
    with pytest.raises(Refusal, match="cannot be cancelled"):
        request_cancel(actor=admin, job=job)
    run_all_waiting()
    check_slots(project)
    assert project.tasks.filter(state="held").count() == TASKS
    factories.submit(ana, mine)
    assert actions.claim_task(actor=factories.user(), project=project) is None
    actions.resume_batch(actor=admin, batch=batch)
    # Paused again before the worker came to it: the last word holds, whatever the order.
    actions.pause_batch(actor=admin, batch=batch)
    run_all_waiting()
    assert project.tasks.filter(state="open").count() == 0
    actions.resume_batch(actor=admin, batch=batch)
    run_all_waiting()
    check_slots(project)
    assert project.tasks.filter(state="open").count() == TASKS
    assert len(written("batch.pause")) == len(written("batch.resume")) == 2


def test_a_long_queue_is_put_in_order_by_a_job_and_begun_anew_comes_to_the_same(project, admin):
    scores = {pk: float(pk % 7) for pk in ids(project)}
    [job] = actions.set_scores(actor=admin, project=project, scores=scores, seed=3).jobs
    assert not project.tasks.filter(score__isnull=False).exists()
    run_all_waiting()
    in_order = list(project.tasks.order_by("position").values_list("pk", "chosen"))
    assert dict(project.tasks.values_list("pk", "score")) == scores
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING, heartbeat_at=timezone.now() - timedelta(seconds=60))
    assert reap(dead_after=30) == 1
    run_all_waiting()
    assert list(project.tasks.order_by("position").values_list("pk", "chosen")) == in_order
    assert len(written("tasks.scores")) == 1
    check_slots(project)


def test_over_rest_the_jobs_are_told_and_on_the_pages_they_are_shown(project, admin, client):
    tasks = reverse("api-tasks", args=[project.slug])
    api = client_of(admin)
    answer = api.patch(tasks, {"filter": {}, "priority": 2, "overlap": 3}, format="json")
    assert (answer.status_code, answer.json()["tasks"], len(answer.json()["jobs"])) == (202, TASKS, 2)
    assert api.get(reverse("api-job", args=[answer.json()["jobs"][0]])).json()["state"] == "waiting"
    client.force_login(admin)
    page = client.get(reverse("project-tasks", args=[project.slug])).content.decode()
    assert page.count('class="job panel') == 2
    again = client.post(
        reverse("project-tasks-change", args=[project.slug]), {"which": "all", "do": "priority", "priority": "4"}
    )
    assert again.status_code == 409
    run_all_waiting()
    assert project.tasks.filter(priority=2, overlap=3).count() == TASKS
    assert 'class="job panel' not in client.get(reverse("project-tasks", args=[project.slug])).content.decode()
    said = client.post(
        reverse("project-tasks-change", args=[project.slug]),
        {"which": "all", "do": "priority", "priority": "4"},
        follow=True,
    ).content.decode()
    assert f"{TASKS} tasks are being changed" in said


def test_an_import_that_is_taken_up_again_is_in_the_trail_once(project, admin):
    rows = "".join(f'{{"prompt": "New {n}", "completions": ["a {n}", "b {n}"]}}\n' for n in range(5))
    upload = uploads.keep(admin, "rows.jsonl", [rows.encode()])
    job = actions.start_import(actor=admin, project=project, upload=upload)
    worker = begun_by_a_worker_that_died(job)
    import_prompts(
        actor=admin, project=project, path=upload.path, is_first=worker.begin
    )  # and dies before it can say so
    assert reap(dead_after=30) == 1
    run_all_waiting()
    job.refresh_from_db()
    assert (job.state, job.result["report"]["tasks_known"]) == (Job.State.DONE, 5)
    assert len(written("project.import")) == 1
    check_slots(project)


def test_a_snapshot_that_was_not_registered_to_its_end_becomes_whole_when_it_is_frozen_again(project, admin, ana):
    rank_all(ana, project)
    dataset, new = actions.freeze_snapshot(actor=admin, project=project)
    assert (new, dataset.rankings.count()) == (True, TASKS)
    dataset.rankings.through.objects.filter(pk__in=dataset.rankings.through.objects.values("pk")[A_STEP:]).delete()
    assert lacks(dataset, project)
    again, new = actions.freeze_snapshot(actor=admin, project=project)
    assert (again, new, dataset.rankings.count(), lacks(dataset, project)) == (dataset, False, TASKS, False)
    assert len(written("dataset.freeze")) == 1


@pytest.mark.parametrize("first", ["score", "arrival"])
def test_of_two_orders_that_are_written_at_once_the_one_wanted_last_holds(admin, project, first):
    """Two workers, or a worker and an import that has come to its end."""
    tasks = ids(project)
    for pk in tasks:
        project.tasks.filter(pk=pk).update(score=pk)
    Project.objects.filter(pk=project.pk).update(random_percent=0)
    seeds = {"score": 1, "arrival": None}
    other = next(name for name in seeds if name != first)
    told = []

    def meanwhile(done: int, _total: int) -> None:
        told.append(done)
        if len(told) == 2:
            put_in_steps(Project.objects.get(pk=project.pk), seeds[other])

    put_in_steps(Project.objects.get(pk=project.pk), seeds[first], progress=meanwhile)
    project.refresh_from_db()
    assert project.active_order == (other == "score")
    standing = list(project.tasks.order_by("position").values_list("pk", flat=True))
    assert standing == (tasks[::-1] if other == "score" else tasks)
    check_slots(project)


@pytest.mark.slow
def test_the_outputs_of_many_tasks_are_read_at_once(admin, django_assert_num_queries):
    """SQLite takes no expression of more than a thousand parts, so their keys cannot be named one by one."""
    project = factories.project(actor=admin, tasks=340, outputs=3)
    with django_assert_num_queries(2):
        read = [
            [item.completion.text for item in task.items.all()] for task in with_outputs(project.tasks.order_by("pk"))
        ]
    assert read[339] == ["Answer A to 339", "Answer B to 339", "Answer C to 339"]
    rows = [json.loads(line) for line in tasks_to_score(project)]
    assert [row["completions"] for row in rows] == read
