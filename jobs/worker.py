"""The worker: django-tasks-db's own loop, plus what it lacks, namely outliving a locked database and reaping dead workers' jobs."""

import logging
import threading
import time
from datetime import timedelta

from django.db import DatabaseError, OperationalError, close_old_connections, connection, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker as PackageWorker
from django_tasks_db.models import DBTaskResult

from . import actions, tasks

logger = logging.getLogger("jobs")

REAP_EVERY_SECONDS = 10
KEEP_TASKS_FOR = timedelta(days=14)


class Worker(PackageWorker):
    def __init__(self, *, interval: float = 0.5) -> None:
        super().__init__(
            queue_names=["default"],
            interval=interval,
            batch=False,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=get_random_string(32),
            excluded_queue_names=[],
        )

    def shutdown(self, signum, frame) -> None:
        tasks.stopping.set()
        super().shutdown(signum, frame)


def run_until_stopped(*, interval: float = 0.5) -> None:
    """Work until SIGTERM or SIGINT; a job under way then goes back to the queue at its next step."""
    worker = Worker(interval=interval)
    worker.configure_signals()
    _prune()
    threading.Thread(target=_reap_for_ever, name="reaper", daemon=True).start()
    while worker.running:
        try:
            worker.run()
        except OperationalError:
            # A locked or restarted database must not end the worker; what it had begun, the reaper takes up.
            logger.exception("The worker lost its database and starts again.")
            connection.close()
            time.sleep(1)


def run_all_waiting() -> None:
    """Do everything that waits, in this process, then return: for tests and for commands that need no worker beside them.

    Not the package's batch mode, which closes the connection that the caller may hold a transaction on.
    """
    worker = Worker()
    while True:
        with transaction.atomic():
            task = DBTaskResult.objects.ready().get_locked()
            if task is None:
                return
            task.claim(worker.worker_id)
        worker.run_task(task)


def _reap_for_ever() -> None:
    while True:
        try:
            close_old_connections()
            if count := actions.reap():
                logger.warning("Took up %d jobs of a worker that died.", count)
        except DatabaseError:
            logger.warning("The reaper could not reach the database; trying again.")
            connection.close()
        time.sleep(REAP_EVERY_SECONDS)


def _prune() -> None:
    """Old rows of the task backend; the jobs themselves stay."""
    DBTaskResult.objects.finished().filter(finished_at__lt=timezone.now() - KEEP_TASKS_FOR).delete()
