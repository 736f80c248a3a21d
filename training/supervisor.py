"""The supervisor: owns the process groups of the runs. Starts, watches, stops them, and takes up what it finds at its start.

One process a data folder (`manage.py supervise`). It keeps nothing that matters in memory: a run's folder tells what happened and the
database what is wanted, so a supervisor that died, however it died, is replaced by starting another. Processes that
still work are adopted, never doubled; those that died are begun again from their last checkpoint.
"""

import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from django.conf import settings
from django.db import DatabaseError

from . import actions, disk, queries, reading, room
from .comparisons.actions import go_on
from .engine import contract
from .engine.messages import Message, _
from .failures import Death, causes, out_of_memory_kills
from .models import Run

logger = logging.getLogger("training.supervisor")

GRACE_SECONDS = 300.0  # to write a checkpoint; after that the process is ended
NICE = 5
GO_ON_EVERY = 2.0  # seconds
State = Run.State


@dataclass
class Watched:
    """The process of one run. `child` is None for an adopted one, whose exit code nobody can know."""

    run_id: str
    folder: Path
    pid: int | None
    child: subprocess.Popen | None = None
    attempt_before: int | None = None  # what status.json counted before this process; None if unknown
    asked_to_stop: float | None = None  # monotonic time
    ended_by_force: bool = False
    peak_bytes: int = 0
    memory_kills: int = field(default_factory=out_of_memory_kills)

    @property
    def exit_code(self) -> int | None:
        return self.child.returncode if self.child else None

    def is_alive(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        if self.pid is not None:
            return works_on(self.pid, self.folder)
        return contract.is_running(self.folder)

    def measure(self) -> None:
        """Note how much memory the process group holds; a process that is killed can no longer say."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            held = sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
            self.peak_bytes = max(self.peak_bytes, held)

    def signal_group(self, number: int) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


class AlreadySupervised(Exception):
    """Another supervisor works on this data folder."""


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the data folder's supervisor lock; the kernel lets go of it when this process ends."""
    path = queries.supervisor_lock()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadySupervised(str(path.parent)) from None
        yield


@contextlib.contextmanager
def supervising() -> Iterator["Supervisor | None"]:
    """For a command that waits: this process as the supervisor, or None where another works on the data folder already."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_one())
        except AlreadySupervised:
            yield None
            return
        supervisor = Supervisor()
        supervisor.take_up()
        try:
            yield supervisor
        finally:
            supervisor.stop_all()


class Supervisor:
    def __init__(self, *, at_a_time: int | None = None, grace_seconds: float = GRACE_SECONDS) -> None:
        self._at_a_time = at_a_time
        self.grace_seconds = grace_seconds
        self.watched: dict[str, Watched] = {}
        self._next_measure = 0.0
        self._next_go_on = 0.0

    @property
    def at_a_time(self) -> int:
        """As its starter asked, else as people set it."""
        return self._at_a_time or queries.at_a_time()

    def take_up(self) -> None:
        """At the start: adopt the runs whose processes still work, and settle or requeue the others."""
        for run in Run.objects.filter(state__in=[State.RUNNING, State.STOPPING]):
            watched = Watched(str(run.pk), run.folder, run.pid)
            if run.pid is None or not watched.is_alive():
                watched.pid = find_process(run.folder)
            if watched.pid is not None or contract.is_running(run.folder):
                logger.info("Run %s still works (process group %s); watching it.", run.pk, watched.pid)
                self.watched[watched.run_id] = watched
                continue
            end_processes(run.folder)  # those that one began, which has died, wait for it in vain
            if (
                contract.read_status(run.folder).get("state") == "running"
                or not run.folder.joinpath("status.json").exists()
            ):
                if run.state == State.STOPPING:
                    actions.end(run=run, state=State.STOPPED)
                else:
                    logger.info("Run %s was cut off; it goes on from its last checkpoint.", run.pk)
                    actions.wait_again(run=run)
            else:
                self._settle(run, watched)
        for run in Run.objects.filter(state=State.COMPLETE, produced=None):
            if run.awaits_registration:
                self._register(run)

    def step(self) -> None:
        """One look around: what ended, what shall stop, what may begin."""
        os.utime(queries.supervisor_lock())
        measure = time.monotonic() >= self._next_measure
        if measure:
            self._next_measure = time.monotonic() + 2
        runs = {str(run.pk): run for run in Run.objects.filter(pk__in=list(self.watched))}
        for run_id, watched in list(self.watched.items()):
            run = runs[run_id]
            alive = watched.is_alive()
            self._note_progress(run)
            if not alive:
                self._settle(run, watched)
                continue
            if measure:
                watched.measure()
            if run.state == State.STOPPING:
                self._press_to_stop(watched)
        self._go_on()
        self._begin_next()

    def stop_all(self) -> None:
        """This process is to end: every run writes a checkpoint, stops, and waits in the queue for the next start."""
        for watched in self.watched.values():
            self._press_to_stop(watched)
        while self.watched:
            for run_id, watched in list(self.watched.items()):
                if watched.is_alive():
                    self._press_to_stop(watched)
                    continue
                run = Run.objects.get(pk=run_id)
                self._note_progress(run)
                self._settle(run, watched)
            time.sleep(0.05)

    def is_idle(self) -> bool:
        """Whether nothing works, and nothing that waits could begin."""
        first = Run.objects.filter(state=State.QUEUED).order_by("queue_order", "created_at").first()
        return not self.watched and (first is None or not room.has_room_for(first))

    def _go_on(self) -> None:
        """Comparisons queue what their ended runs made possible."""
        if time.monotonic() < self._next_go_on:
            return
        self._next_go_on = time.monotonic() + GO_ON_EVERY
        try:
            go_on()
        except DatabaseError:
            raise
        except Exception:  # a comparison that cannot go on must not keep other runs from it
            logger.exception("The comparisons could not go on.")

    def _begin_next(self) -> None:
        free = self.at_a_time - len(self.watched)
        if free <= 0 or disk.is_full():
            return
        for run in Run.objects.filter(state=State.QUEUED).order_by("queue_order", "created_at")[:free]:
            if not room.has_room_for(run):
                return  # nothing overtakes it: it would only find less
            if not actions.begin(run=run):
                continue
            try:
                self._start(run)
            except OSError as error:
                logger.exception("Run %s could not be started.", run.pk)
                said = Message("run.no_start", _("The run could not be started: %(reason)s."), {"reason": str(error)})
                actions.end(run=run, state=State.FAILED, errors=[said.as_json()])

    def _start(self, run: Run) -> None:
        run.folder.mkdir(parents=True, exist_ok=True)
        if not (run.folder / "run.json").exists():
            contract.write_json(run.folder / "run.json", queries.run_file(run))
        attempt_before = contract.read_status(run.folder).get("attempt", 0)
        with open(run.folder / "log.txt", "ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "training.engine", str(run.folder)],
                cwd=settings.BASE_DIR,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group of its own, so that a signal reaches what the run starts, and nothing else
                preexec_fn=_step_back,
            )
        self.watched[str(run.pk)] = Watched(str(run.pk), run.folder, child.pid, child, attempt_before)
        Run.objects.filter(pk=run.pk).update(pid=child.pid)
        logger.info("Run %s (%s) began, process group %d.", run.pk, run.method, child.pid)

    def _press_to_stop(self, watched: Watched) -> None:
        """Ask once, wait as long as a checkpoint may take, then end the whole group."""
        now = time.monotonic()
        if watched.asked_to_stop is None:
            watched.asked_to_stop = now
            watched.signal_group(signal.SIGTERM)
        elif now - watched.asked_to_stop > self.grace_seconds and not watched.ended_by_force:
            logger.warning("Run %s did not stop within %.0f s; ending it.", watched.run_id, self.grace_seconds)
            watched.ended_by_force = True
            watched.signal_group(signal.SIGKILL)

    def _note_progress(self, run: Run) -> None:
        """Bring the row up to date with the folder, when there is news."""
        events = reading.events(run.folder)
        news = {
            "progress": events.progress,
            "eta_seconds": events.eta_seconds,
            "latest": {**events.latest, "step": events.step},
        }
        changed = {name: value for name, value in news.items() if getattr(run, name) != value}
        if changed:
            Run.objects.filter(pk=run.pk).update(**changed)

    def _settle(self, run: Run, watched: Watched) -> None:
        """The process has ended: what does that make of the run?"""
        watched.signal_group(signal.SIGKILL)  # whatever the run's process left behind in its group
        if contract.is_running(run.folder):
            # Someone else's process holds the run, and ours only found it locked.
            self.watched[watched.run_id] = Watched(watched.run_id, run.folder, find_process(run.folder))
            return
        status = contract.read_status(run.folder)
        state = status.get("state")
        if watched.attempt_before is not None and status.get("attempt", 0) <= watched.attempt_before:
            state = None  # it died before it could write its own
        logger.info("Run %s ended: %s, exit code %s.", run.pk, state, watched.exit_code)
        if state == "complete":
            actions.end(run=run, state=State.COMPLETE)
            if run.makes_version:
                self._register(run)
            self._next_go_on = 0.0  # at this very look
        elif watched.ended_by_force:
            said = Message(
                "run.forced",
                _(
                    "The run did not stop within %(seconds)d seconds and was ended; it goes on from its last checkpoint."
                ),
                {"seconds": int(self.grace_seconds)},
            )
            self._stopped(run, [said.as_json()])
        elif state == "stopped":
            self._stopped(run, [])
        elif state in ("refused", "failed"):
            cause = status.get("error", {}).get("cause")
            actions.end(run=run, state=state, errors=status.get("problems") or ([cause] if cause else []))
        elif watched.asked_to_stop is not None:
            self._stopped(run, [])
        else:
            death = Death(
                watched.exit_code,
                watched.peak_bytes,
                out_of_memory_kills() > watched.memory_kills,
                tuple(reading.log_tail(run.folder, 60)),
            )
            actions.end(run=run, state=State.FAILED, errors=[cause.as_json() for cause in causes(death)])
        # Last: where the database did not answer, the next look settles the run again.
        self.watched.pop(watched.run_id, None)

    def _register(self, run: Run) -> None:
        try:
            actions.register_result(actor=run.created_by, run=run)
        except Exception as error:  # the run is complete all the same; its page says why there is no version yet
            logger.exception("The result of run %s could not be registered.", run.pk)
            said = Message(
                "run.not_registered",
                _("The run is complete, but its result could not be registered: %(reason)s"),
                {"reason": str(error)},
            )
            Run.objects.filter(pk=run.pk).update(errors=[said.as_json()])

    def _stopped(self, run: Run, errors: list[dict]) -> None:
        """Stopped because a person wanted it, or because the machine or the supervisor goes down: then it goes on later."""
        wanted = Run.objects.filter(pk=run.pk, state=State.STOPPING).exists()
        if wanted:
            actions.end(run=run, state=State.STOPPED, errors=errors)
        else:
            actions.wait_again(run=run)


def _step_back() -> None:
    """In the child, before exec: pages and rankings come first, when processor or memory run short."""
    os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def works_on(pid: int, folder: Path) -> bool:
    """Whether process `pid` is alive and is the one that works on `folder` (numbers of processes are used again)."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(folder) in process.cmdline()
    except psutil.Error:
        return False


def find_processes(folder: Path) -> list[int]:
    """The engine's processes for `folder`, the oldest first: of several that one began the others."""
    found = [
        (process.info["create_time"], process.info["pid"])
        for process in psutil.process_iter(["pid", "cmdline", "create_time"])
        # Not one that only looks at the folder: --from-checkpoint, --verify.
        if (process.info["cmdline"] or [])[-2:] == ["training.engine", str(folder)]
        and works_on(process.info["pid"], folder)
    ]
    return [pid for _time, pid in sorted(found)]


def find_process(folder: Path) -> int | None:
    """The one that works on `folder`, where the supervisor died before it could note its number. It leads its group, or holds the run's lock; what
    it began does neither."""
    found = find_processes(folder)
    leader = next((pid for pid in found if leads(pid)), None)
    return found[0] if found and leader is None and contract.is_running(folder) else leader


def leads(pid: int) -> bool:
    """Whether a process is the first of its group."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def end_processes(folder: Path) -> None:
    """Every process for `folder`."""
    for pid in find_processes(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
