"""Store files as a data set from the command line: what the page does, for corpora that lie on this machine."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labeling.actions import upload_dataset
from labeling.datasets.files import SEPARATORS, Reading
from labeling.models import Dataset
from people.acting import acting
from people.errors import Refusal


class Command(BaseCommand):
    help = "Store one or several files as a data set: plain text, ABC, JSONL, JSON, CSV, TSV or Parquet."

    def add_arguments(self, parser) -> None:
        parser.add_argument("name", help="what the data set is to be called")
        parser.add_argument("files", type=Path, nargs="+", help="files; of a folder, all that lie in it")
        parser.add_argument("--kind", choices=Dataset.Kind.values, default=Dataset.Kind.TEXT.value)
        parser.add_argument(
            "--separator",
            default="blank",
            help=f"what stands between the documents of plain text: {', '.join(SEPARATORS)}, or a text of your own",
        )
        parser.add_argument(
            "--columns", default="", help="names for CSV and TSV without a first line of them: text,label"
        )
        parser.add_argument("--heldout-percent", type=int, default=10)
        parser.add_argument("--skip-bad", action="store_true", help="leave out the rows that cannot be read")
        parser.add_argument("--actor", help="in whose name (default: the first active admin)")

    def handle(self, *, name: str, files: list[Path], kind: str, actor: str | None, skip_bad: bool, **how) -> None:
        if missing := [str(path) for path in files if not path.exists()]:
            raise CommandError(f"There is no {', '.join(missing)}.")
        inside = (sorted(path.rglob("*")) if path.is_dir() else [path] for path in files)
        paths = [each for some in inside for each in some if each.is_file()]
        if not paths:
            raise CommandError("There are no files in there.")
        reading = Reading(
            kind,
            separator=how["separator"],
            columns=tuple(column.strip() for column in how["columns"].split(",") if column.strip()),
            heldout_percent=how["heldout_percent"],
        )
        try:
            dataset, new = upload_dataset(
                actor=acting(actor), name=name, path=paths, reading=reading, skip_bad=skip_bad, progress=self._progress
            )
        except Refusal as refusal:
            raise CommandError("\n".join(map(str, refusal.problems))) from None
        splits = ", ".join(f"{count} {split}" for split, count in dataset.splits.items())
        self.stdout.write(f"{dataset.name}: {dataset.rows} rows ({splits}), hash {dataset.digest}")
        if not new:
            self.stdout.write("These very rows were stored before.")

    def _progress(self, done: int, total: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{done:,} of {total:,} bytes", ending="")
