"""What can be done with short jobs: begin one, ask it to stop, take up again what a dead worker left behind."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from people.errors import Refusal
from people.models import User, audit

from .models import Job
from .queries import may_see
from .registry import declared

HEARTBEAT_SECONDS = 5
DEAD_AFTER_SECONDS = 30
MOST_ATTEMPTS = 3


@transaction.atomic
def enqueue(*, actor: User | None, what: str, arguments: dict, subject: str = "") -> Job:
    """Begin the job `what` as soon as a worker is free.

    For other verbs, which have checked the actor's rights; in one transaction with what they write. `arguments` are the
    function's keyword arguments (JSON); `subject` is what pages find the job by: "labeling.project:12".
    """
    declared(what)
    job = Job.objects.create(what=what, subject=subject, arguments=arguments, created_by=actor)
    _queue(job)
    audit(actor, "job.enqueue", job, what=what, subject=subject)
    return job


@transaction.atomic
def request_cancel(*, actor: User, job: Job) -> Job:
    """Stop a job: at once if it still waits, else at its next step. What it has done until then stays."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    if not may_see(actor, job):
        raise Refusal(
            _("Only the person who started this, or someone with the right to do so, can cancel it."), status=403
        )
    if not job.is_active:
        raise Refusal(_("This has already ended; there is nothing left to cancel."), status=409)
    if not job.can_be_cancelled:
        raise Refusal(_("This cannot be cancelled: it carries out what is decided already."), status=409)
    job.cancel_requested = True
    if job.state == Job.State.WAITING:
        job.state = Job.State.CANCELLED
        job.finished_at = timezone.now()
    job.save(update_fields=["cancel_requested", "state", "finished_at"])
    audit(actor, "job.cancel", job)
    return job


def _queue(job: Job) -> None:
    """Give `job` a new task. Its id fences the job: a worker that holds an older one can no longer write to it."""
    from .tasks import run_job

    job.task_id = str(run_job.enqueue(str(job.pk)).id)
    job.state = Job.State.WAITING
    job.heartbeat_at = None
    job.save(update_fields=["task_id", "state", "heartbeat_at"])


@transaction.atomic
def requeue(*, job: Job, task_id: str) -> bool:
    """Hand an unfinished job back to the queue, if `task_id` still owns it. The work is done by no person, so no actor."""
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.task_id != task_id or not job.is_active:
        return False
    _close_task(task_id)
    if job.cancel_requested:
        _end(job, Job.State.CANCELLED)
    elif job.attempts >= MOST_ATTEMPTS:
        _end(
            job,
            Job.State.FAILED,
            _(
                "The worker died each of the %(count)d times it tried this; perhaps the machine ran out of memory. "
                "Try it with less, or look into the worker's log."
            )
            % {"count": job.attempts},
        )
    else:
        _queue(job)
    audit(None, "job.requeue", job, attempts=job.attempts, state=job.state)
    return True


def reap(*, dead_after: float = DEAD_AFTER_SECONDS) -> int:
    """Take up the jobs of dead workers: no heartbeat for `dead_after` seconds. Returns how many.

    Django Tasks' database backend leaves the task of a dead worker "running" for ever.
    """
    limit = timezone.now() - timedelta(seconds=dead_after)
    silent = Q(state=Job.State.RUNNING, heartbeat_at__lt=limit)
    # A worker that died between taking the task and beginning the job.
    taken = DBTaskResult.objects.exclude(status=TaskResultStatus.READY).filter(started_at__lt=limit)
    waiting = Job.objects.filter(state=Job.State.WAITING, created_at__lt=limit)
    never_begun = [
        job
        for job in waiting
        if taken.filter(pk=job.task_id).exists() or not DBTaskResult.objects.filter(pk=job.task_id).exists()
    ]
    return sum(requeue(job=job, task_id=job.task_id) for job in [*Job.objects.filter(silent), *never_begun])


def _close_task(task_id: str) -> None:
    DBTaskResult.objects.filter(pk=task_id, status__in=[TaskResultStatus.READY, TaskResultStatus.RUNNING]).update(
        status=TaskResultStatus.FAILED, finished_at=timezone.now(), exception_class_path="jobs.tasks.WorkerDied"
    )


def _end(job: Job, state: str, error: str = "") -> None:
    job.state, job.error, job.finished_at = state, error, timezone.now()
    job.save(update_fields=["state", "error", "finished_at"])
