"""The supervisor with runs that work in several processes: they start, stop, die and go on together, and none is left behind."""

import contextlib
import os
import signal

import psutil
import pytest

from tests import processes
from tests.engine import runs
from tests.registry.conftest import reward, scorer, tiny, tiny_model  # noqa: F401
from training import actions
from training.engine import contract
from training.failures import said
from training.models import Run
from training.supervisor import Supervisor, find_process, find_processes

from . import make
from .test_supervisor import state, supervisor, until  # noqa: F401

pytestmark = pytest.mark.slow  # each run is two processes that load torch

SHORT = {"updates": 3, "episodes": 8, "max_tokens": 6, "minibatches": 2, "epochs": 1, "processes": 2, "checkpoint_every": 1}  # fmt: skip
LONG = SHORT | {"updates": 100_000, "heldout_prompts": 0}
State = Run.State


@pytest.fixture
def begin(tiny, reward):  # noqa: F811
    """Queue a run of PPO."""
    rows = [{"prompt": f"There was {n}", "split": "heldout" if n > 7 else "train"} for n in range(10)]

    def begin(config: dict) -> Run:
        inputs = {"base": tiny, "reward_model": reward, "dataset": make.dataset("prompts", rows)}
        return make.run(method="ppo", config=config, inputs=inputs, output_name="policy")

    return begin


def updates(run: Run) -> list[int]:
    return [event["step"] for event in runs.events(run.folder) if "ratio" in event]


def attempts(run: Run) -> list[int]:
    """The updates that its attempts went on from."""
    return [event["step"] for event in runs.events(run.folder) if event.get("kind") == "attempt"]


def test_a_run_comes_to_its_end_in_two_processes_and_says_what_both_took(begin, supervisor):  # noqa: F811
    run, seen = begin(SHORT), []

    def is_complete() -> bool:
        with contextlib.suppress(psutil.Error):  # one ends while it is looked at
            seen.append([psutil.Process(pid).memory_info().rss for pid in find_processes(run.folder)])
        return state(run) == State.COMPLETE

    until(is_complete, supervisor)
    assert updates(run) == [1, 2, 3]
    assert str(run.produced) == "policy:v1"
    assert find_processes(run.folder) == []
    status, most = contract.read_status(run.folder), max(seen, key=sum)
    assert len(most) == 2
    assert status["peak_memory"] > 0.98 * sum(most) > 1.5 * max(most)
    assert 0 < status["memory_of_run"] < status["peak_memory"]


def test_of_two_processes_the_one_that_leads_is_adopted_and_stops_both(begin, supervisor):  # noqa: F811
    run = begin(LONG)
    until(lambda: len(updates(run)) > 1, supervisor)
    watched = supervisor.watched.pop(str(run.pk))  # the supervisor is gone, before it could note a number
    Run.objects.filter(pk=run.pk).update(pid=None)
    other = next(pid for pid in find_processes(run.folder) if pid != watched.pid)
    assert find_process(run.folder) == watched.pid
    assert os.getpgid(other) == watched.pid

    heir = Supervisor(at_a_time=1)
    heir.take_up()
    assert heir.watched[str(run.pk)].pid == watched.pid
    actions.stop_run(actor=run.created_by, run=run)
    until(lambda: state(run) == State.STOPPED and watched.child.poll() is not None, heir)
    assert contract.read_status(run.folder)["state"] == "stopped"
    assert run.errors == []
    until(lambda: not find_processes(run.folder))
    done = updates(run)

    actions.resume_run(actor=run.created_by, run=run)
    until(lambda: len(updates(run)) > len(done), heir)
    assert attempts(run) == [0, done[-1]]
    assert updates(run) == list(range(1, len(updates(run)) + 1))
    heir.stop_all()
    assert state(run) == State.QUEUED
    until(lambda: not find_processes(run.folder))


def test_where_the_first_is_killed_the_other_ends_and_the_run_can_be_resumed(begin, supervisor):  # noqa: F811
    run = begin(LONG)
    until(lambda: len(updates(run)) > 1, supervisor)
    first = supervisor.watched[str(run.pk)].pid
    os.kill(first, signal.SIGKILL)  # it alone: what it began goes on
    until(lambda: state(run) == State.FAILED, supervisor)
    assert "ended the process without warning" in said(run.errors)[0]
    until(lambda: not find_processes(run.folder))
    actions.resume_run(actor=run.created_by, run=run)
    assert state(run) == State.QUEUED


def test_what_a_killed_process_began_is_no_run_and_is_ended_by_the_next_supervisor(begin, supervisor):  # noqa: F811
    run = begin(LONG)
    until(lambda: len(updates(run)) > 1, supervisor)
    watched = supervisor.watched.pop(str(run.pk))
    (other,) = (pid for pid in find_processes(run.folder) if pid != watched.pid)
    os.kill(other, signal.SIGSTOP)  # it hangs, and cannot notice
    os.kill(watched.pid, signal.SIGKILL)  # the machine ran out of memory: supervisor and run are gone
    watched.child.wait(processes.LONGEST)
    assert find_processes(run.folder) == [other]
    assert find_process(run.folder) is None

    heir = Supervisor(at_a_time=1)
    heir.take_up()
    assert heir.watched == {}
    assert state(run) == State.QUEUED
    until(lambda: not find_processes(run.folder))


def test_it_can_be_stopped_before_the_processes_have_found_each_other(begin, supervisor):  # noqa: F811
    """A process that a signal ended while it began would leave the other waiting."""
    run = begin(LONG)
    until(lambda: len(find_processes(run.folder)) == 2, supervisor)
    actions.stop_run(actor=run.created_by, run=run)
    until(lambda: state(run) == State.STOPPED, supervisor)
    assert run.errors == []
    assert len(updates(run)) <= 1
    until(lambda: not find_processes(run.folder))
