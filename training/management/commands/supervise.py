"""manage.py supervise: starts queued runs, watches them, stops them; see training/supervisor.py."""

import logging
import signal
import time

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from training import machine
from training.supervisor import GRACE_SECONDS, AlreadySupervised, Supervisor, only_one

logger = logging.getLogger("training.supervisor")


class Command(BaseCommand):
    help = "Run the trainings: start what is queued, watch it, take up what a dead supervisor left behind."

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--at-a-time",
            type=int,
            help="trainings side by side (default: as set in the browser, else PERINGKAT_RUNS_AT_A_TIME)",
        )
        parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds that a run has to stop")
        parser.add_argument("--every", type=float, default=0.5, help="seconds between two looks")
        parser.add_argument("--until-idle", action="store_true", help="end when nothing runs and nothing waits")

    def handle(self, *, at_a_time: int | None, grace: float, every: float, until_idle: bool, **options) -> None:
        asked = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: asked.append(number))
        try:
            with only_one():
                supervisor = Supervisor(at_a_time=at_a_time, grace_seconds=grace)
                supervisor.take_up()
                machine.look()
                while not asked:
                    try:
                        supervisor.step()
                    except DatabaseError:
                        # A locked or restarted database; the runs go on by themselves meanwhile.
                        logger.exception("The database did not answer; trying again.")
                        connection.close()
                        time.sleep(5 * every)
                    if until_idle and supervisor.is_idle():
                        return
                    time.sleep(every)
                supervisor.stop_all()
        except AlreadySupervised as error:
            raise CommandError(f"Another supervisor already works on {error}.") from None
