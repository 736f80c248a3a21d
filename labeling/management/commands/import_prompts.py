"""manage.py import_prompts PROJECT FILE [--dry-run] [--skip-bad] [--batch NAME] [--actor NAME]"""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labeling.files import MOST_SHOWN
from labeling.importing.load import import_prompts, look
from labeling.management.projects import project_called
from people.acting import acting
from people.errors import Refusal


class Command(BaseCommand):
    help = "Import prompts, with or without completions and rankings, from JSONL, JSON, CSV, TSV or Parquet."

    def add_arguments(self, parser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="say what would be imported, change nothing")
        parser.add_argument("--skip-bad", action="store_true", help="leave out the rows that cannot be read")
        parser.add_argument(
            "--batch", default="", help="the batch of new tasks whose row names none; made if it is not there"
        )
        parser.add_argument("--actor", help="in whose name (default: the first active admin)")

    def handle(
        self, *, project: str, file: Path, dry_run: bool, skip_bad: bool, batch: str, actor: str | None, **_: object
    ) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        found = project_called(project)
        try:
            if dry_run:
                report = look(found, file)
            else:
                report = import_prompts(
                    actor=acting(actor),
                    project=found,
                    path=file,
                    skip_bad=skip_bad,
                    batch=batch,
                    progress=self._progress,
                )
        except Refusal as refusal:
            raise CommandError("\n".join(map(str, refusal.problems))) from None
        for sentence in report.sentences():
            self.stdout.write(sentence)
        for problem in report.problems[:MOST_SHOWN]:
            self.stdout.write(f"  {problem}")
        if dry_run:
            self.stdout.write("Nothing was changed (dry run).")

    def _progress(self, done: int, total: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{done}/{total}", ending="" if done < total else "\n")
