"""manage.py export_model name:v3 TARGET: writes a version into a folder, or into a .zip or .tar."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from models_registry import exporting, queries
from people.errors import Refusal


class Command(BaseCommand):
    help = "Write a version into a new folder, or into TARGET.zip or TARGET.tar, as transformers and peft load it."

    def add_arguments(self, parser) -> None:
        parser.add_argument("version", help="name:v3; the name alone: the one in production, else the newest")
        parser.add_argument(
            "target", type=Path, help="a folder that is new or empty, or a file that ends in .zip or .tar"
        )
        parser.add_argument("--chain", action="store_true", help="with everything that it stands on")

    def handle(self, *, version: str, target: Path, chain: bool, **options) -> None:
        try:
            found = queries.find(version)
            form = target.suffix.removeprefix(".")
            if form not in exporting.FORMATS:
                exporting.write_folder(found, target, chain=chain)
            else:
                pieces = exporting.archive(found, form, chain=chain)
                with open(target, "xb") as file:
                    file.writelines(pieces)
        except FileExistsError:
            raise CommandError(f"{target} is there already; nothing was written.") from None
        except Refusal as refusal:
            raise CommandError("\n".join(str(problem) for problem in refusal.problems)) from None
        self.stdout.write(str(target))
