"""manage.py against PROJECT --model name:v3 [--ask] [--learned no|yes] [--actor NAME]: what a reward model says against people."""

import json

from django.core.management.base import BaseCommand, CommandError

from labeling import actions, review_queries
from labeling.management.projects import project_called
from labeling.review_queries import Wanted
from models_registry.queries import find
from people.acting import acting
from people.errors import Refusal


class Command(BaseCommand):
    help = (
        "The tasks of a project whose ranking a reward model finds least likely, as JSON lines, the least likely first; "
        "with --ask the worker asks the model anew."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument("--model", required=True, help="a reward model, name:v3")
        parser.add_argument("--ask", action="store_true", help="let the worker ask the model, in place of listing")
        parser.add_argument("--learned", choices=["no", "yes"], default="", help="whether it learned from the prompt")
        parser.add_argument("--actor", help="in whose name (default: the first active admin)")

    def handle(self, *, project: str, model: str, ask: bool, learned: str, actor: str | None, **_: object) -> None:
        found = project_called(project)
        try:
            version = find(model)
            if ask:
                actions.start_asking_opinion(actor=acting(actor), project=found, version=version)
                self.stdout.write(f"The worker asks {version}; without --ask this lists what it says.")
                return
        except Refusal as refusal:
            raise CommandError("\n".join(map(str, refusal.problems))) from None
        if not review_queries.opinions(found).filter(version=version).exists():
            raise CommandError(f"{version} was not asked about {found.slug} yet: --ask")
        wanted = Wanted(show="model", model=str(version.pk), learned=learned)
        for line in review_queries.lines(found, review_queries.in_order(found, wanted), wanted.model):
            told = line.against
            row = {"task": line.task.pk, "people": told.people, "model": told.model, "likelihood": told.likelihood}
            row |= {"opposite": told.opposite, "strict": told.strict, "learned": told.learned}
            self.stdout.write(json.dumps(row, ensure_ascii=False))
