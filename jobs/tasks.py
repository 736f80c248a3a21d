"""The one Django task there is: run a job, keep its row up to date, and say in plain words how it ended."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django_tasks import TaskContext, task

from people.errors import Refusal

from . import actions
from .models import Job
from .registry import declared

logger = logging.getLogger("jobs")

# Set by the worker when it is told to stop: the job under way goes back to the queue at its next step.
stopping = threading.Event()


class Cancelled(Exception):
    """Someone cancelled the job."""


class Interrupted(Exception):
    """The worker is stopping; the job goes back to the queue."""


class Lost(Exception):
    """The job was given to another worker because this one seemed dead."""


class Progress:
    """What a job function gets as its first argument. Call `set` at every step, outside any transaction."""

    SECONDS_BETWEEN_WRITES = 0.3

    def __init__(self, job: Job) -> None:
        self.job = job
        self._last_write = 0.0

    @property
    def cancelled(self) -> bool:
        return Job.objects.filter(pk=self.job.pk, cancel_requested=True).exists()

    def set(self, done: int, total: int, note: str = "") -> None:
        """Say how far it is. This is also where the job ends early, when it was cancelled or the worker stops."""
        if stopping.is_set():
            raise Interrupted
        now = time.monotonic()
        if now - self._last_write < self.SECONDS_BETWEEN_WRITES and done < total:
            return
        self._last_write = now
        self.write(done, total=total, note=note[:200], heartbeat_at=timezone.now())
        if self.cancelled:
            raise Cancelled

    def begin(self) -> bool:
        """Inside the transaction that says what is begun: False if another worker has said so."""
        if self.job.done:
            return False
        self.write(1)
        return True

    def write(self, done: int, **more: object) -> None:
        """Only that. Inside the transaction of a step, `job.done` is where to go on if this worker dies, and a worker that lost the job writes nothing."""
        if not Job.objects.filter(pk=self.job.pk, task_id=self.job.task_id).update(done=done, **more):
            raise Lost


@task(takes_context=True)
def run_job(context: TaskContext, job_id: str) -> None:
    job = Job.objects.select_related("created_by").filter(pk=job_id).first()
    task_id = str(context.task_result.id)
    if job is None or job.task_id != task_id or job.state != Job.State.WAITING:
        return  # cancelled while it waited, or handed to another task
    job.attempts += 1
    owned = Job.objects.filter(pk=job.pk, task_id=task_id)
    owned.update(state=Job.State.RUNNING, heartbeat_at=timezone.now(), attempts=job.attempts, note="")
    language = (job.created_by and job.created_by.language) or settings.LANGUAGE_CODE
    with translation.override(language), _heartbeat(job):
        try:
            result = declared(job.what).function(Progress(job), **job.arguments) or {}
            # `total` is 0 for a job that never counted.
            end = {"state": Job.State.DONE, "result": result, "error": ""}
        except Cancelled:
            end = {"state": Job.State.CANCELLED}
        except Refusal as refusal:
            end = {"state": Job.State.FAILED, "error": "\n".join(str(problem) for problem in refusal.problems)}
        except Lost:
            logger.warning("Job %s went on elsewhere.", job.pk)
            return
        except (Interrupted, SystemExit, KeyboardInterrupt) as stop:
            # Stopped by its keeper, not by its own fault: this attempt does not count.
            owned.update(attempts=job.attempts - 1)
            actions.requeue(job=job, task_id=task_id)
            if not isinstance(stop, Interrupted):
                raise
            return
        except Exception as error:
            logger.exception("Job %s (%s) failed.", job.pk, job.what)
            end = {"state": Job.State.FAILED, "error": _in_plain_words(error)}
        owned.update(**end, note="", finished_at=timezone.now())


def _in_plain_words(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return _("There was not enough memory for this. Try it with less, or with a smaller model.")
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return _("The system said: %(reason)s%(where)s. Nothing was left half done; you can start it again.") % {
            "reason": error.strerror,
            "where": where,
        }
    return _(
        "Something went wrong inside the program: %(error)s. What was finished until then is kept; the worker's log has the details."
    ) % {"error": f"{type(error).__name__}: {error}"[:500]}


@contextmanager
def _heartbeat(job: Job) -> Iterator[None]:
    """Say from a thread that this worker lives, since one step of a job (loading a model) can take minutes."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(actions.HEARTBEAT_SECONDS):
            try:
                Job.objects.filter(pk=job.pk, task_id=job.task_id).update(heartbeat_at=timezone.now())
            except DatabaseError:
                logger.warning("Job %s could not write its heartbeat; trying again.", job.pk)
        connection.close()

    thread = threading.Thread(target=beat, name=f"heartbeat-{job.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=1)
