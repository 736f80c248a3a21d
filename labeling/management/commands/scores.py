"""manage.py scores PROJECT [FILE] [--model name:v3] [--seed N] [--arrival] [--actor NAME]"""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labeling import actions
from labeling.actions.many import Changed
from labeling.export import export_to_score
from labeling.management.projects import project_called
from labeling.scores import read_scores
from models_registry.queries import find
from people.acting import acting
from people.errors import Refusal


class Command(BaseCommand):
    help = (
        "Active order: read scores of tasks from a file and put the queue in their order; or write the tasks that wait, "
        "for whatever makes the scores; or let a reward model score them."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument(
            "file",
            type=Path,
            nargs="?",
            help="rows with “task” or “id”, and “score”; without it, the tasks are written",
        )
        parser.add_argument(
            "--seed", type=int, help="of the order of the random share (default: drawn, and kept in the audit trail)"
        )
        parser.add_argument(
            "--model",
            help="a reward model (name:v3) that scores the tasks that wait, by how uncertain it is; the worker asks it",
        )
        parser.add_argument("--arrival", action="store_true", help="back to the order in which tasks were made")
        parser.add_argument("--actor", help="in whose name (default: the first active admin)")

    def handle(
        self,
        *,
        project: str,
        file: Path | None,
        model: str | None,
        seed: int | None,
        arrival: bool,
        actor: str | None,
        **_: object,
    ) -> None:
        found = project_called(project)
        if file is not None and not file.is_file():
            raise CommandError(f"There is no file {file}.")
        if sum([file is not None, model is not None, arrival]) > 1:
            raise CommandError("Choose one: a file, --model or --arrival.")
        try:
            if arrival:
                ordered = actions.order_by_arrival(actor=acting(actor), project=found)
                self._say(ordered, "wait in the order in which they were made")
            elif model is not None:
                version = find(model)
                actions.start_scoring_tasks(actor=acting(actor), project=found, version=version, seed=seed)
                self.stdout.write(f"The worker asks {version}; the queue stands in the order of its scores then.")
            elif file is not None:
                scores = read_scores(found, file)
                scored = actions.set_scores(actor=acting(actor), project=found, scores=scores, seed=seed)
                self._say(scored, "have a score; the queue stands in its order")
            else:
                for line in export_to_score(actor=acting(actor), project=found):
                    self.stdout.write(line, ending="")
        except Refusal as refusal:
            raise CommandError("\n".join(map(str, refusal.problems))) from None

    def _say(self, changed: Changed, what: str) -> None:
        by_job = " as soon as the worker has done it" if changed.jobs else ""
        self.stdout.write(f"{changed.tasks} tasks {what}{by_job}.")
