"""manage.py worker: does the short jobs until it is told to stop."""

from django.core.management.base import BaseCommand

from jobs.worker import run_until_stopped


class Command(BaseCommand):
    help = "Do short jobs (imports, sampling, exports) until stopped. Several may run side by side."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--interval", type=float, default=0.5, help="seconds between looks into an empty queue")

    def handle(self, *, interval: float, **options) -> None:
        run_until_stopped(interval=interval)
