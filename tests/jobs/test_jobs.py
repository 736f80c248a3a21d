"""Short jobs: they end as they should, can be cancelled and repeated, and outlive the worker that began them."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from jobs import actions, tasks
from jobs.models import Job
from jobs.queries import latest
from jobs.worker import run_all_waiting
from people.errors import Refusal
from people.models import AuditEntry, Role, User
from tests.processes import LONGEST, until

from . import sample_jobs  # noqa: F401  declares the job functions

BASE = Path(__file__).resolve().parents[2]


@pytest.fixture
def admin(db):
    return User.objects.create_user("admin", password="x", role=Role.ADMIN)


@pytest.fixture
def annotator(db):
    return User.objects.create_user("annotator", password="x", role=Role.ANNOTATOR)


def test_a_job_runs_and_keeps_its_result(admin):
    job = actions.enqueue(actor=admin, what="test-count", subject="thing:1", arguments={"steps": 3})
    assert job.state == Job.State.WAITING
    run_all_waiting()
    job.refresh_from_db()
    assert (job.state, job.done, job.total, job.attempts) == (Job.State.DONE, 3, 3, 1)
    assert job.result == {"message": "counted", "steps": 3}
    assert job.finished_at is not None
    assert latest("thing:1", "test-count") == job
    assert AuditEntry.objects.filter(verb="job.enqueue", actor=admin, object_id=str(job.pk)).count() == 1


def test_an_unknown_job_is_never_queued(admin):
    with pytest.raises(KeyError):
        actions.enqueue(actor=admin, what="no-such-job", arguments={})
    assert not Job.objects.exists()
    assert not DBTaskResult.objects.exists()


def test_a_job_is_queued_only_if_the_verb_around_it_succeeds(admin):
    try:
        with transaction.atomic():
            actions.enqueue(actor=admin, what="test-count", arguments={"steps": 1})
            raise RuntimeError
    except RuntimeError:
        pass
    run_all_waiting()
    assert not Job.objects.exists()
    assert not DBTaskResult.objects.exists()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("test-refuse", ["The first thing is wrong.\nSo is the second."]),
        ("test-break", ["KeyError", "wheel", "kept"]),
        ("test-full-disk", ["No space left on device", "/data/file"]),
    ],
)
def test_errors_are_told_in_words(admin, what, words):
    job = actions.enqueue(actor=admin, what=what, arguments={})
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert all(word in job.error for word in words)


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(admin, tmp_path):
    file = tmp_path / "steps"
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 3, "file": str(file)})
    actions.request_cancel(actor=admin, job=job)
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert not file.exists()
    with pytest.raises(Refusal):
        actions.request_cancel(actor=admin, job=job)


@pytest.mark.slow
def test_a_running_job_stops_at_its_next_step(admin, monkeypatch):
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 5, "pause": 0.4})
    real_set, steps = tasks.Progress.set, []

    def set_and_cancel(self, done, total, note=""):
        if done == 2:
            actions.request_cancel(actor=admin, job=self.job)
        steps.append(done)
        real_set(self, done, total, note)

    monkeypatch.setattr(tasks.Progress, "set", set_and_cancel)
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert steps == [0, 1, 2]


def test_only_its_starter_and_those_with_the_right_see_and_cancel_a_job(admin, annotator, client):
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 1})
    with pytest.raises(Refusal):
        actions.request_cancel(actor=annotator, job=job)
    client.force_login(annotator)
    assert client.get(reverse("job", args=[job.pk])).status_code == 403
    assert client.post(reverse("job-cancel", args=[job.pk])).status_code == 403
    assert client.get(reverse("api-job", args=[job.pk])).status_code == 403
    assert client.delete(reverse("api-job", args=[job.pk])).status_code == 403
    client.logout()
    assert client.get(reverse("job", args=[job.pk])).status_code == 302
    assert client.get(reverse("api-job", args=[job.pk])).status_code == 401
    own = actions.enqueue(actor=annotator, what="test-count", arguments={"steps": 1})
    client.force_login(annotator)
    assert client.get(reverse("api-job", args=[own.pk])).json()["state"] == "waiting"


def test_the_fragment_polls_until_the_job_has_ended(admin, client):
    client.force_login(admin)
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 1})
    fragment = client.get(reverse("job", args=[job.pk]), headers={"HX-Request": "true"})
    assert b"every 1s" in fragment.content
    assert "HX-Trigger" not in fragment
    run_all_waiting()
    fragment = client.get(reverse("job", args=[job.pk]), headers={"HX-Request": "true"})
    assert b"every 1s" not in fragment.content
    assert b"counted" in fragment.content
    assert "job-ended" in fragment["HX-Trigger"]
    assert client.get(reverse("api-job", args=[job.pk])).json()["result"]["steps"] == 1


def begun_by_a_worker_that_died(job, *, silent_for=60):
    then = timezone.now() - timedelta(seconds=silent_for)
    DBTaskResult.objects.filter(pk=job.task_id).update(status=TaskResultStatus.RUNNING, started_at=then)
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING, heartbeat_at=then, attempts=1)
    job.refresh_from_db()


def test_the_reaper_takes_up_what_a_dead_worker_left(admin):
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 2})
    old_task = job.task_id
    begun_by_a_worker_that_died(job)
    assert actions.reap(dead_after=30) == 1
    assert DBTaskResult.objects.get(pk=old_task).status == TaskResultStatus.FAILED
    assert actions.reap(dead_after=30) == 0
    run_all_waiting()
    job.refresh_from_db()
    assert (job.state, job.attempts) == (Job.State.DONE, 2)


def test_the_reaper_takes_up_a_task_that_was_taken_but_never_begun(admin):
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 2})
    then = timezone.now() - timedelta(seconds=60)
    DBTaskResult.objects.filter(pk=job.task_id).update(status=TaskResultStatus.RUNNING, started_at=then)
    Job.objects.filter(pk=job.pk).update(created_at=then)
    assert actions.reap(dead_after=30) == 1
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.DONE


def test_the_reaper_leaves_the_living_and_the_waiting_alone(admin):
    alive = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 2})
    begun_by_a_worker_that_died(alive, silent_for=5)
    waiting = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 2})
    Job.objects.filter(pk=waiting.pk).update(created_at=timezone.now() - timedelta(days=1))
    assert actions.reap(dead_after=30) == 0


def test_a_job_that_kills_every_worker_is_given_up_with_a_reason(admin):
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 2})
    begun_by_a_worker_that_died(job)
    Job.objects.filter(pk=job.pk).update(attempts=actions.MOST_ATTEMPTS)
    actions.reap(dead_after=30)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "memory" in job.error


def test_a_worker_thought_dead_can_no_longer_write(admin):
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 2})
    begun_by_a_worker_that_died(job)
    sleeper = tasks.Progress(Job.objects.get(pk=job.pk))
    actions.reap(dead_after=30)
    with pytest.raises(tasks.Lost):
        sleeper.set(1, 2)
    job.refresh_from_db()
    assert job.done == 0


@pytest.fixture
def start_worker(transactional_db, tmp_path):
    """Starts `manage.py worker` as a process of its own on the test database; what it says goes to worker.log."""
    started = []
    program = (
        "import django; from tests import settings as s; s.DATABASES['default']['NAME'] = {name!r}; django.setup();"
        "import tests.jobs.sample_jobs; from jobs import worker; worker.REAP_EVERY_SECONDS = 0.5;"
        "from django.core.management import call_command; call_command('worker', interval=0.1)"
    )

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", program.format(name=str(connection.settings_dict["NAME"]))],
            cwd=BASE,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "PERINGKAT_TEST_DATA": str(settings.DATA)},
            stderr=log,
        )
        started.append(process)
        return process

    with open(tmp_path / "worker.log", "wb") as log:
        yield start
    for process in started:
        process.kill()
        process.wait()


def state_of(job):
    job.refresh_from_db()
    return job.state


@pytest.mark.slow
def test_sigterm_hands_the_job_back_and_the_next_worker_ends_it(start_worker, admin, tmp_path):
    file = tmp_path / "steps"
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 1_000, "pause": 0.05, "file": str(file)})
    first = start_worker()
    until(lambda: state_of(job) == Job.State.RUNNING and file.exists())
    first.send_signal(signal.SIGTERM)
    assert first.wait(LONGEST) == 0
    assert (state_of(job), job.attempts) == (Job.State.WAITING, 0)
    Job.objects.filter(pk=job.pk).update(arguments={"steps": 2})
    start_worker()
    until(lambda: state_of(job) == Job.State.DONE)


@pytest.mark.slow
def test_a_killed_workers_job_is_done_by_another(start_worker, admin, tmp_path):
    file = tmp_path / "begun"
    job = actions.enqueue(actor=admin, what="test-die", arguments={"file": str(file)})
    victim = start_worker()
    assert victim.wait(LONGEST) == -signal.SIGKILL
    assert state_of(job) == Job.State.RUNNING
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    start_worker()
    until(lambda: state_of(job) == Job.State.DONE)
    assert file.read_text() == "begun\nbegun\n"
    assert job.attempts == 2


@pytest.mark.slow
def test_the_worker_outlives_a_lost_database(start_worker, admin, tmp_path):
    """A task that cannot be read raises OperationalError out of the package's loop; ours begins again."""
    worker = start_worker()
    job = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 1})
    until(lambda: state_of(job) == Job.State.DONE)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {DBTaskResult._meta.db_table} RENAME TO hidden")
    try:
        until(lambda: "lost its database" in (tmp_path / "worker.log").read_text())
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE hidden RENAME TO {DBTaskResult._meta.db_table}")
    assert worker.poll() is None
    again = actions.enqueue(actor=admin, what="test-count", arguments={"steps": 1})
    until(lambda: state_of(again) == Job.State.DONE)


def test_a_job_that_nobody_takes_says_what_may_be_the_matter(admin, client):
    client.force_login(admin)
    job = actions.enqueue(actor=admin, what="test-count", subject="thing:2", arguments={"steps": 3})
    address = reverse("job", args=[job.pk])
    assert "manage.py worker" not in client.get(address).content.decode()
    Job.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    assert "manage.py worker" in client.get(address).content.decode()
