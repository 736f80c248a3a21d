"""manage.py demo: the whole loop, unattended, in a few minutes on two CPU cores. Needs nothing but an empty data folder.

    manage.py demo              progress bars, then a table: what PPO has changed on held-out questions
    manage.py demo --json       the last line is one JSON object: win_rate, reward, taste, kl, seconds

See training/demo/ and docs/demo.md. Each call is a new round; all of them can be looked at in the browser afterwards.
"""

import json
import logging
import sys
from shutil import get_terminal_size
from typing import TextIO

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from people.errors import Refusal
from people.models import Role, User
from training.demo.corpus import BY_TEXT
from training.demo.evaluate import Comparison
from training.demo.loop import LoopFailed, Result, run_loop

from .start import first_admin

BAR = 24


class Command(BaseCommand):
    help = "Walk the whole loop with simulated annotators: pretrain, finetune, sample, rank, reward model, PPO."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--json", action="store_true", help="end with one JSON object")
        parser.add_argument("--seed", type=int, help="of all that is drawn (default: the number of the round, from 0)")

    def handle(self, *, json: bool, seed: int | None, **options) -> None:
        for name in ("training.supervisor", "jobs", "django_tasks"):
            logging.getLogger(name).setLevel(logging.WARNING)  # the bars say it better
        call_command("migrate", interactive=False, verbosity=0)
        welcome = first_admin()
        for line in welcome:
            self.stdout.write(line)
        admin = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk").first()
        bars = Bars(sys.stderr)
        try:
            result = run_loop(admin=admin, report=bars.show, seed=seed)
        except (LoopFailed, Refusal) as error:
            raise CommandError(str(error)) from None
        finally:
            bars.end()
        for line in [*table(result), "", *look(result), *welcome]:
            self.stdout.write(line)
        if json:
            self.stdout.write(as_json(result))


class Bars:
    """One line for each step of the loop: redrawn in a terminal, written once, at its end, elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.redraws = stream.isatty()
        self.open = ""  # the step whose line is not ended yet

    def show(self, what: str, fraction: float, figures: str) -> None:
        if self.open and self.open != what:
            self.end()
        ended = fraction >= 1
        if self.redraws or ended:
            full = round(BAR * fraction)
            line = f"{what:<14}{'█' * full}{'░' * (BAR - full)} {100 * fraction:4.0f} %  {figures}"
            if self.redraws:
                # A line that wraps could not be redrawn.
                line = f"\r\x1b[K{line[: get_terminal_size().columns - 1]}"
            self.stream.write(line)
            self.open = what
        if ended:
            self.end()
        self.stream.flush()

    def end(self) -> None:
        if self.open:
            self.stream.write("\n")
        self.open = ""


def table(result: Result) -> list[str]:
    """What PPO has changed on the held-out questions."""
    found = result.comparison
    lines = [f"On {len(found.pairs)} held-out questions:", "", f"{'':<34}{'finetuned':>12}{'PPO':>12}"]
    for title, name, form in (
        ("reward (reward model)", "reward", ".2f"),
        ("hidden taste (−3 … 3)", "taste", ".2f"),
        ("says what was asked", "helpful", ".0%"),
        ("politeness (−1 … 1)", "polite", ".2f"),
        ("words", "words", ".1f"),
    ):
        before, after = (format(getattr(written, name), form) for written in (found.before, found.after))
        lines.append(f"{title:<34}{before:>12}{after:>12}")
    lines.append(f"{'KL to the finetuned model (nats)':<34}{'0.00':>12}{found.kl:>12.2f}")
    lines.append(f"{'wins by the hidden taste':<34}{'':>12}{found.win_rate:>12.0%}")
    lines.append(f"{'':<34}({found.wins} won, {found.ties} tied, {found.losses} lost; a tie counts half)")
    return [*lines, "", *examples(found)]


def examples(found: Comparison) -> list[str]:
    """The first pairs of each language, as they are."""
    lines = []
    for language in ("en", "id"):
        pairs = [pair for pair in found.pairs if BY_TEXT[pair["prompt"]].language == language]
        for pair in pairs[:2]:
            lines += [
                pair["prompt"],
                f"    finetuned: {pair['before'].strip()}",
                f"    PPO:       {pair['after'].strip()}",
            ]
    return lines


def look(result: Result) -> list[str]:
    return [
        f"{result.seconds:.0f} seconds. `make run` shows it in the browser: project “{result.project.name}”, model {result.run.produced}."
    ]


def as_json(result: Result) -> str:
    found = result.comparison
    return json.dumps(
        {
            "win_rate": round(found.win_rate, 4),
            "reward": round(found.after.reward, 4),
            "taste": round(found.after.taste, 4),
            "kl": round(found.kl, 4),
            "seconds": round(result.seconds, 1),
        }
    )
