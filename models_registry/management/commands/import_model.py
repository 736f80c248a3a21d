"""manage.py import_model NAME FOLDER: registers a model folder from the shell."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from models_registry import actions, queries
from people.errors import Refusal


class Command(BaseCommand):
    help = "Register a Hugging Face model folder, or an adapter folder over --parent, as the next version of NAME."

    def add_arguments(self, parser) -> None:
        parser.add_argument("name")
        parser.add_argument("folder", type=Path)
        parser.add_argument("--parent", help="the version an adapter stands on: name:v3")
        parser.add_argument("--licence", default="")
        parser.add_argument(
            "--card", type=Path, help="a Markdown file that describes it (default: the folder's README.md)"
        )

    def handle(
        self, *, name: str, folder: Path, parent: str | None, licence: str, card: Path | None, **options
    ) -> None:
        try:
            imported = actions.import_folder(
                actor=None,
                name=name,
                path=folder.absolute(),
                licence=licence,
                card=card.read_text("utf-8") if card else "",
                parent=queries.find(parent) if parent else None,
                progress=self._progress if options["verbosity"] and self.stderr.isatty() else None,
            )
        except Refusal as refusal:
            raise CommandError("\n".join(str(problem) for problem in refusal.problems)) from None
        for note in imported.notes:
            self.stderr.write(note)
        self.stdout.write(str(imported.version))

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(
            f"\r{done / max(total, 1):4.0%} of {total / 1e6:.1f} MB", ending="\n" if done >= total else ""
        )
