"""manage.py baselines: hold methods against each other from the command line, with the verbs of the baselines page.

    manage.py baselines --base stories:v1 --dataset Reviews --task classification --wait
    manage.py baselines --base stories:v1 --dataset Reviews --task classification --methods classify-head,classify-all --max-steps 200 --wait --json
    manage.py baselines --base stories:v1 --dataset Reviews --task classification --menu      what could be compared
    manage.py baselines --show 3 --json                                                       the table of a comparison

The supervisor carries the runs out (`manage.py supervise`, part of `make run`); with --wait and no supervisor this command does it itself.
"""

import argparse
import json
import time

from django.core.management.base import BaseCommand, CommandError, CommandParser

from people.acting import acting
from people.errors import Refusal
from training.comparisons import actions, export, menu, queries
from training.comparisons.models import Comparison, Task
from training.comparisons.table import Row, Table
from training.models import Run
from training.supervisor import supervising

LOOK_EVERY = 0.3  # seconds


class Command(BaseCommand):
    help = "Compare methods that start from one model, on one data set, with one budget."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs) -> CommandParser:
        formatter = argparse.RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, formatter_class=formatter, epilog=__doc__, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--task", choices=Task.values, help="what is judged")
        parser.add_argument("--base", metavar="NAME[:vN]", help="the model that all methods start from")
        parser.add_argument(
            "--dataset", metavar="ID|DIGEST|NAME", help="its training rows teach, its held-out rows judge"
        )
        parser.add_argument(
            "--reward-model", metavar="NAME[:vN]", default="", help="scores written answers (preference)"
        )
        parser.add_argument("--methods", metavar="KEY,…", help="keys of the menu (default: those the page ticks)")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY.SETTING=JSON",
            help='a setting of one method: adapter-lora.lr=1e-3, prompting-few.template="{input}"',
        )
        parser.add_argument("--epochs", type=float)
        parser.add_argument("--max-steps", type=int, help="updates; where given, they alone decide the length")
        parser.add_argument("--batch-size", type=int, default=16)
        parser.add_argument("--seeds", default="0", metavar="N,…")
        parser.add_argument("--name", default="")
        parser.add_argument("--as", dest="person", metavar="NAME", help="who starts it (default: the first admin)")
        parser.add_argument("--wait", action="store_true", help="wait for the end, then show the table")
        parser.add_argument("--json", action="store_true", help="the table as one JSON object")
        parser.add_argument("--menu", action="store_true", help="list the keys that fit, and start nothing")
        parser.add_argument("--show", type=int, metavar="NUMBER", help="the table of a comparison that is there")

    def handle(self, **options) -> None:
        try:
            if options["show"] is not None:
                comparison = Comparison.objects.filter(pk=options["show"]).first()
                if comparison is None:
                    raise CommandError(f"There is no comparison {options['show']}.")
            elif not options["task"]:
                raise CommandError(f"Say what is judged: --task {' | '.join(Task.values)}")
            elif options["menu"]:
                return self._menu(options)
            else:
                comparison = self._begin(options)
                if options["wait"]:
                    self._wait(comparison)
        except Refusal as refusal:
            raise CommandError("\n".join(map(str, refusal.problems))) from None
        table = Table(comparison)
        if options["json"]:
            self.stdout.write(json.dumps(export.as_json(table), ensure_ascii=False))
        elif options["wait"] or options["show"] is not None:
            self.stdout.write(export.as_markdown(table))
        else:
            self.stdout.write(f"Comparison {comparison.pk}: {comparison}")
        if options["wait"] and (failed := _failed(table)):
            raise CommandError("\n".join(failed))
        return None

    def _menu(self, options: dict) -> None:
        found = queries.find_inputs({name: options[name] for name in queries.INPUTS})
        choices = list(menu.menu(options["task"], found["base"], found["dataset"]))
        width = max(len(choice.key) for choice in choices)
        for choice in choices:
            mark = "-" if choice.against else "*" if choice.ticked else " "
            self.stdout.write(
                f"{mark} {choice.key:<{width}}  {' · '.join(filter(None, [choice.title, choice.against]))}"
            )

    def _begin(self, options: dict) -> Comparison:
        actor = acting(options["person"])
        try:
            seeds = [int(seed) for seed in options["seeds"].split(",")]
        except ValueError:
            raise CommandError(f"--seeds {options['seeds']}: write whole numbers with commas between.") from None
        comparison = actions.create_comparison(
            actor=actor,
            task=options["task"],
            keys=options["methods"].split(",") if options["methods"] else None,
            changes=_changes(options["set"]),
            name=options["name"],
            seeds=seeds,
            epochs=options["epochs"],
            max_steps=options["max_steps"],
            batch_size=options["batch_size"],
            **queries.find_inputs({name: options[name] for name in queries.INPUTS}),
        )
        return actions.start(actor=actor, comparison=comparison)

    def _wait(self, comparison: Comparison) -> None:
        shown = ""
        with supervising() as supervisor:
            while (table := Table(comparison)).is_live:
                if supervisor:
                    supervisor.step()
                line = "  ".join(_state(row) for row in table.rows)
                if line != shown:
                    shown = line
                    self.stderr.write(line)
                time.sleep(LOOK_EVERY)


def _state(row: Row) -> str:
    parts = []
    for attempt in row.attempts:
        active = attempt.active_run
        begun = active and active.state != Run.State.QUEUED
        parts.append(f"{attempt.phase} {active.percent} %" if begun else active.state if active else attempt.phase)
    return f"{row.label}: {', '.join(parts)}"


def _failed(table: Table) -> list[str]:
    return [
        f"{row.label}: {' '.join(attempt.problems) or attempt.phase}"
        for row in table.rows
        for attempt in row.attempts
        if attempt.phase != "done"
    ]


def _changes(sets: list[str]) -> dict[str, dict]:
    """--set adapter-lora.tune.rank=4 as {"adapter-lora": {"tune.rank": 4}}; what is no JSON is a text."""
    found: dict[str, dict] = {}
    for text in sets:
        place, equals, value = text.partition("=")
        key, dot, path = place.partition(".")
        if not equals or not dot:
            raise CommandError(f"--set {text}: write KEY.SETTING=VALUE.")
        try:
            found.setdefault(key, {})[path] = json.loads(value)
        except ValueError:
            found.setdefault(key, {})[path] = value
    return found
