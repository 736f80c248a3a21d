"""The supervisor with real engine processes: runs start, stop, resume, are adopted and never doubled; deaths are explained."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import connection

from people.models import AuditEntry
from tests import processes
from training import actions, reading
from training.engine import contract
from training.failures import said
from training.models import Run
from training.supervisor import Supervisor, find_process

from . import make

State = Run.State


def until(condition: Callable[[], object], supervisor: Supervisor | None = None) -> None:
    def is_so() -> object:
        if not (found := condition()) and supervisor:
            supervisor.step()
        return found

    processes.until(is_so)


def state(run: Run) -> str:
    run.refresh_from_db()
    return run.state


def steps(run: Run) -> list[int]:
    path = run.folder / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event["step"] for event in map(json.loads, lines) if "loss" in event]


@pytest.fixture
def supervisor(db):
    made = Supervisor(at_a_time=1)
    Path(settings.RUNS).mkdir(parents=True, exist_ok=True)
    (Path(settings.RUNS) / "supervisor.lock").touch()
    yield made
    for watched in made.watched.values():
        watched.signal_group(signal.SIGKILL)


@pytest.mark.slow
def test_a_queued_run_is_trained_and_its_result_becomes_a_version_with_its_lineage(supervisor):
    run = make.run(name="A tiny one", output_name="tiny", seed=7)
    until(lambda: state(run) == State.COMPLETE, supervisor)

    version = run.produced
    assert str(version) == "tiny:v1"
    assert version.origin["run"] == str(run.pk)
    assert version.origin["seed"] == 7
    assert version.origin["dataset"] == run.inputs.get().dataset.digest
    assert version.origin["config"]["max_steps"] == 6
    assert version.metrics == reading.metrics(run.folder)
    assert version.trained_parameters == version.parameters > 0
    assert run.progress == 1.0
    assert run.latest["loss"] > 0
    assert run.pid is None
    verbs = list(AuditEntry.objects.filter(object_id=str(run.pk)).values_list("verb", flat=True).order_by("pk"))
    assert verbs == ["run.create", "run.begin", "run.end", "run.register"]


@pytest.mark.slow
def test_a_stopped_run_goes_on_from_its_checkpoint(supervisor):
    actor = make.factories.admin()
    run = make.run(actor=actor, config=make.LONG)
    until(lambda: len(steps(run)) > 3, supervisor)
    actions.stop_run(actor=actor, run=run)
    until(lambda: state(run) == State.STOPPED, supervisor)
    done = steps(run)
    assert contract.read_status(run.folder)["state"] == "stopped"
    assert not contract.is_running(run.folder)

    actions.resume_run(actor=actor, run=run)
    until(lambda: len(steps(run)) > len(done) + 2, supervisor)
    assert steps(run)[: len(done)] == done
    assert steps(run) == sorted(set(steps(run)))
    assert state(run) == State.RUNNING
    assert run.attempt == 2
    supervisor.stop_all()


@pytest.mark.slow
def test_ending_the_supervisor_stops_runs_at_a_checkpoint_and_the_next_one_takes_them_up(supervisor):
    run = make.run(config=make.LONG)
    until(lambda: len(steps(run)) > 2, supervisor)
    supervisor.stop_all()
    assert state(run) == State.QUEUED
    assert list((run.folder / "checkpoints").glob("step-*"))
    done = len(steps(run))

    heir = Supervisor(at_a_time=1)
    heir.take_up()
    until(lambda: len(steps(run)) > done, heir)
    heir.stop_all()


@pytest.mark.slow
def test_runs_wait_their_turn(supervisor):
    first, second = make.run(config=make.LONG), make.run()
    until(lambda: len(steps(first)) > 0, supervisor)
    assert state(second) == State.QUEUED
    actions.stop_run(actor=first.created_by, run=first)
    until(lambda: state(second) == State.COMPLETE, supervisor)
    assert state(first) == State.STOPPED


@pytest.mark.slow
def test_a_run_whose_supervisor_died_is_adopted_and_not_started_twice(supervisor):
    run = make.run(config=make.LONG)
    until(lambda: len(steps(run)) > 0, supervisor)
    pid = run.pid or Run.objects.get(pk=run.pk).pid
    child = supervisor.watched.pop(str(run.pk)).child  # the supervisor is gone, the process is not

    heir = Supervisor(at_a_time=2)
    heir.take_up()
    for _look in range(5):
        heir.step()
    assert [watched.pid for watched in heir.watched.values()] == [pid]
    mine = [p.pid for p in psutil.process_iter(["cmdline"]) if str(run.folder) in (p.info["cmdline"] or [])]
    assert mine == [pid]
    assert state(run) == State.RUNNING

    # Even where the dead one had no time to note which process it was.
    Run.objects.filter(pk=run.pk).update(pid=None)
    third = Supervisor(at_a_time=1)
    third.take_up()
    assert third.watched[str(run.pk)].pid == pid == find_process(run.folder)
    third.stop_all()
    child.wait(processes.LONGEST)
    assert state(run) == State.QUEUED


@pytest.mark.slow
def test_a_run_that_was_cut_off_goes_on_by_itself(supervisor):
    run = make.run(config=make.LONG | {"checkpoint_every": 2})
    until(lambda: len(steps(run)) > 4, supervisor)
    watched = supervisor.watched.pop(str(run.pk))
    watched.signal_group(signal.SIGKILL)  # power fails: the run and its supervisor end together
    watched.child.wait(processes.LONGEST)
    done = max(steps(run))

    heir = Supervisor(at_a_time=1)
    heir.take_up()
    assert state(run) == State.QUEUED
    until(lambda: max(steps(run), default=0) > done, heir)
    assert steps(run) == sorted(set(steps(run)))
    heir.stop_all()


@pytest.mark.slow
def test_a_killed_run_fails_in_plain_words_and_can_be_resumed(supervisor):
    run = make.run(config=make.LONG)
    until(lambda: len(steps(run)) > 0, supervisor)
    supervisor.watched[str(run.pk)].signal_group(signal.SIGKILL)
    until(lambda: state(run) == State.FAILED, supervisor)
    sentences = said(run.errors)
    assert "ended the process without warning" in sentences[0]
    assert "checkpoint" in sentences[1]
    actions.resume_run(actor=run.created_by, run=run)
    assert state(run) == State.QUEUED


@pytest.mark.slow
def test_a_run_that_does_not_stop_is_ended_with_its_whole_group(supervisor):
    run = make.run(config=make.LONG)
    until(lambda: len(steps(run)) > 0, supervisor)
    supervisor.grace_seconds = 0.5
    watched = supervisor.watched[str(run.pk)]
    watched.signal_group(signal.SIGSTOP)  # it hangs: SIGTERM stays unanswered
    actions.stop_run(actor=run.created_by, run=run)
    until(lambda: state(run) == State.STOPPED, supervisor)
    assert "did not stop within" in said(run.errors)[0]
    with pytest.raises(ProcessLookupError):
        os.killpg(watched.pid, 0)


@pytest.mark.slow
def test_what_the_engine_refuses_is_shown_with_all_reasons(supervisor):
    run = make.run()
    (run.inputs.get().dataset.folder / "data.jsonl").unlink()
    Run.objects.filter(pk=run.pk).update(config=run.config | {"batch_size": 0})
    until(lambda: state(run) == State.REFUSED, supervisor)
    sentences = " ".join(said(run.errors))
    assert "batch_size" in sentences
    assert "data.jsonl" in sentences


def test_a_cancelled_run_is_never_started(supervisor):
    run = make.run()
    actions.stop_run(actor=run.created_by, run=run)
    supervisor.step()
    assert state(run) == State.STOPPED
    assert not run.folder.exists()
    assert supervisor.is_idle()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_killed_supervisor_is_replaced_by_starting_another():
    """The real command, twice, on a real database: kill -9 in between."""
    run = make.run(config=make.LONG)
    first = _supervise()
    try:
        until(lambda: len(steps(run)) > 2)
        pid = Run.objects.get(pk=run.pk).pid
        first.kill()
        first.wait(processes.LONGEST)
        assert psutil.pid_exists(pid)

        second = _supervise()
        assert b"watching it" in second.stderr.readline()  # from here on it is the one supervisor
        before = len(steps(run))
        until(lambda: len(steps(run)) > before + 2)
        assert Run.objects.get(pk=run.pk).pid == pid
        third = _supervise()
        _out, err = third.communicate(timeout=processes.LONGEST)
        assert third.returncode != 0
        assert b"Another supervisor" in err

        second.terminate()
        second.wait(processes.LONGEST)
        assert state(run) == State.QUEUED
        assert not contract.is_running(run.folder)
    finally:
        for process in (first, second):
            process.kill()
        if (left := find_process(run.folder)) is not None:
            os.killpg(left, signal.SIGKILL)


def _supervise() -> subprocess.Popen:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PERINGKAT_TEST_DATA": str(settings.DATA),
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
    }
    command = [sys.executable, "manage.py", "supervise", "--every", "0.1"]
    return subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stderr=subprocess.PIPE)
