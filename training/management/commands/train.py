"""manage.py train METHOD: queue a run from the command line, with the method's own settings as options.

    manage.py train reward --base stories:v1 --dataset 7f3a90 --set lr=1e-4 --set tune.kind=lora --wait
    manage.py train reward --help        what the method takes, generated from its Config
    manage.py train --reproduce run.json the run that a file (or the number of a run here) describes, of the very same inputs

The supervisor carries it out (`manage.py supervise`, part of `make run`); with --wait and no supervisor this command does it itself.
"""

import argparse
import json
import time
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.text import wrap

from people.acting import acting
from people.errors import Refusal
from people.models import User
from training import actions, queries, reproduce, room
from training.engine import methods
from training.engine.config import Input
from training.failures import said
from training.fields import as_text, config_of_texts, fields_of, leaves_with_kinds
from training.models import Run
from training.supervisor import AlreadySupervised, Supervisor, only_one


class Command(BaseCommand):
    help = "Train a model: queue a run of a method."
    method: str | None = None

    def run_from_argv(self, argv: list[str]) -> None:
        # The options depend on the method, which therefore is looked for before the parser is made.
        self.method = next((word for word in argv[2:] if word in methods.names()), None)
        super().run_from_argv(argv)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs) -> CommandParser:
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=self._settings(),
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("method", nargs="?", choices=methods.names(), help="; ".join(_lines()))
        parser.add_argument(
            "--reproduce",
            metavar="FILE|RUN",
            help="make a run again: its reproduce.json, or its number here. Inputs are found by their digests and hashed; "
            "what is computed with other versions here is said",
        )
        for role, takes in self._roles().items():
            what = "NAME[:vN]" if takes.kind == "version" else "ID|DIGEST|NAME"
            parser.add_argument(f"--{role.replace('_', '-')}", metavar=what, help=f"{takes.title}. {takes.help}")
        parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON")
        parser.add_argument(
            "--set", action="append", default=[], metavar="SETTING=VALUE", help="one setting; see below"
        )
        parser.add_argument("--name", default="", help="name of the run")
        parser.add_argument(
            "--output", default="", metavar="NAME", help="name of the model that the result belongs to"
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--as", dest="person", metavar="NAME", help="who starts it (default: the first admin)")
        parser.add_argument("--wait", action="store_true", help="wait for the end, and say how it went")

    def _roles(self) -> dict[str, Input]:
        names = [self.method] if self.method else methods.names()
        return {role: takes for name in names for role, takes in methods.facts_of(name).inputs.items()}

    def _settings(self) -> str:
        """The settings of the method, from its Config."""
        if not self.method:
            return "Settings: manage.py train METHOD --help"
        lines = [f"settings of {self.method} (--set SETTING=VALUE):"]
        for each, kind in leaves_with_kinds(fields_of(methods.config_of(self.method))):
            path = f"{each.path}.{each.tag}" if each.kind == "union" else each.path
            if kind:
                path += f" ({kind})"
            choices = [variant.default for variant in each.variants] or each.choices
            default = each.default.get(each.tag) if isinstance(each.default, dict) else as_text(each, each.default)
            facts = [
                each.unit,
                " | ".join(map(str, choices)),
                each.range,
                f"default {'automatic' if default == '' else default}",
            ]
            text = f"{each.title}. {each.hint} [{'; '.join(filter(None, facts))}]"
            lines += [f"  {path}", *(f"      {line}" for line in wrap(text, 100).splitlines())]
        return "\n".join(lines)

    def handle(
        self, *, method: str | None, config: Path | None, name: str, output: str, seed: int, wait: bool, **options
    ) -> None:
        if (method is None) == (options["reproduce"] is None):
            raise CommandError("Name a method, or a run with --reproduce.")
        given = {"--config": config, "--set": options["set"], "--name": name, "--output": output, "--seed": seed}
        given |= {f"--{role.replace('_', '-')}": options[role] for role in self._roles()}
        if options["reproduce"] and (changed := [option for option, value in given.items() if value]):
            raise CommandError(f"--reproduce makes the very same run: leave out {', '.join(changed)}.")
        try:
            if options["reproduce"]:
                run = self._again(options["reproduce"], acting(options["person"]))
            else:
                run = actions.create_run(
                    actor=acting(options["person"]),
                    method=method,
                    config=_config(method, config, options["set"]),
                    inputs=queries.find_inputs(method, options),
                    name=name,
                    seed=seed,
                    output_name=output,
                )
            self.stdout.write(f"{run.pk}  {run.name}")
            if wait:
                self._wait(run)
        except Refusal as refusal:
            raise CommandError("\n".join(map(str, refusal.problems))) from None

    def _again(self, reference: str, actor: User) -> Run:
        """The run that a file or the number of a run here describes."""
        if Path(reference).is_file():
            described = reproduce.read(Path(reference).read_text("utf-8"))
        else:
            described = reproduce.bundle(_run(reference))
        run = reproduce.make_again(actor=actor, described=described)
        for difference in reproduce.differences(described):
            self.stderr.write(difference)
        return run

    def _wait(self, run: Run) -> None:
        try:
            with only_one():
                supervisor = Supervisor()
                supervisor.take_up()
                self._follow(run, supervisor)
        except AlreadySupervised:
            self._follow(run, None)
        run.refresh_from_db()
        if run.state != Run.State.COMPLETE:
            raise CommandError(" ".join([f"The run is {run.get_state_display()}.", *said(run.errors)]))
        # A run that judges makes no version.
        result = " ".join(filter(None, [str(run.produced or ""), *said(run.errors)]))
        self.stdout.write(f"Complete: {result}" if result else f"Complete: {run.folder / 'output'}")

    def _follow(self, run: Run, supervisor: Supervisor | None) -> None:
        shown = ""
        try:
            while run.is_active:
                if run.state == Run.State.QUEUED and room.is_stuck():
                    raise CommandError(
                        "There is not enough room for this run; it waits in the queue until some is free."
                    )
                if supervisor:
                    supervisor.step()
                time.sleep(0.5)
                run.refresh_from_db()
                line = f"{run.get_state_display()}  {run.percent:3d} %  step {run.latest.get('step', 0)}"
                if line != shown:
                    shown = line
                    self.stderr.write(line)
        except KeyboardInterrupt:
            self.stderr.write("Stopping at a checkpoint; the run goes on when a supervisor starts.")
            raise
        finally:
            if supervisor:
                supervisor.stop_all()


def _lines() -> list[str]:
    return [f"{name}: {facts.summary}" for name, facts in queries.all_methods().items()]


def _run(reference: str) -> Run:
    try:
        return Run.objects.get(pk=uuid.UUID(reference))
    except (ValueError, Run.DoesNotExist):
        raise CommandError(f"There is neither a file nor a run “{reference}”.") from None


def _config(method: str, file: Path | None, sets: list[str]) -> dict[str, Any]:
    """The file's settings with those of --set over them."""
    config: dict[str, Any] = {}
    if file:
        try:
            config = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise CommandError(f"{file}: {error}") from None
    texts = {}
    for text in sets:
        path, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--set {text}: write SETTING=VALUE.")
        texts[path.strip()] = value.strip()
    for key, value in config_of_texts(fields_of(methods.config_of(method)), texts).items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        config[key] = {**config[key], **value} if both else value
    return config
