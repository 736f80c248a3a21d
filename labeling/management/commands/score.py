"""manage.py score name:v3 FILE [--out FILE]: what a reward model says of the rows of a file."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labeling import scoring
from models_registry.queries import find
from models_registry.scoring import check_scores
from people.errors import Refusal


class Command(BaseCommand):
    help = (
        "Score the outputs in a file of rows (“prompt” and “completion”, “completions” or “completion_1” …) with a reward model; "
        "the model server must run. The rows come back as JSON lines."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "version", help="a reward model, name:v3; the name alone: the one in production, else the newest"
        )
        parser.add_argument("file", type=Path, help="JSONL, JSON, CSV, TSV or Parquet")
        parser.add_argument(
            "--out", type=Path, help="a new file for the rows with their scores (default: written out)"
        )

    def handle(self, *, version: str, file: Path, out: Path | None, **_: object) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        if out is not None and out.exists():
            raise CommandError(f"{out} is there already; nothing was written.")
        try:
            found = find(version)
            check_scores(found)
            result = scoring.score_file(found, file, None, self._say)
        except Refusal as refusal:
            raise CommandError("\n".join(map(str, refusal.problems))) from None
        lines = scoring.as_lines(result.rows)
        if out is not None:
            with open(out, "xb") as target:
                target.writelines(lines)
        else:
            for line in lines:
                self.stdout.write(line.decode(), ending="")
        for sentence in result.sentences():
            self.stderr.write(sentence)

    def _say(self, done: int, total: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{done} of {total} rows", ending="\n" if done == total else "")
