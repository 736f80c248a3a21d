"""The figures of a finished run as one table: each with its interval and, where there is one, its value at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from .curves import NAMES as CURVE_NAMES
from .curves import title_of
from .fields import flat

LOW, HIGH, START = "_low", "_high", "_start"
ELSEWHERE = {"trained_parameters", "total_parameters", "loss"}  # at the head of the page, or a setting
# The order of this table is the order on the page; then come the names of the curves, then all others under their own name.
NAMES = {
    "win_rate": (gettext_noop("Wins over the start"), gettext_noop("Share of held-out prompts whose answer scores better than the start's; a tie is half.")),
    "wins": (gettext_noop("Prompts won"), ""),
    "ties": (gettext_noop("Prompts tied"), ""),
    "losses": (gettext_noop("Prompts lost"), ""),
    "accuracy": (gettext_noop("Pair accuracy"), gettext_noop("Share of held-out strict pairs that the scores put in the right order.")),
    "tie_aware_accuracy": (gettext_noop("Pair accuracy with ties"), gettext_noop("A tie is right where two scores lie closer than the tie threshold (Deutsch et al. 2023).")),
    "log_loss": (gettext_noop("Log loss"), gettext_noop("On held-out rankings, in nats a comparison.")),
    "log_loss_three_way": (gettext_noop("Log loss of better, tied, worse"), gettext_noop("On held-out pairs, with the ties; in nats.")),
    "log_loss_chance": (gettext_noop("The same by chance"), gettext_noop("By the shares of ties and strict pairs alone.")),
    "longer_accuracy": (gettext_noop("Pair accuracy of “the longer wins”"), gettext_noop("A reward model should know more than this.")),
    "length_slope": (gettext_noop("Length bias"), gettext_noop("How much the score of an answer grows with its length, in standard deviations.")),
    "tie_threshold": (gettext_noop("Tie threshold"), gettext_noop("Scores closer than this are called a tie.")),
    "loss_under_base": (gettext_noop("Loss under the start"), gettext_noop("How likely the start finds the answers, in nats a token; far above its own means strange text.")),
    "heldout_prompts": (gettext_noop("Held-out prompts"), ""),
    "heldout_rankings": (gettext_noop("Held-out rankings"), ""),
    "heldout_strict_pairs": (gettext_noop("Held-out strict pairs"), ""),
    "heldout_tied_pairs": (gettext_noop("Held-out tied pairs"), ""),
    "train_rankings": (gettext_noop("Training rankings"), ""),
    "score_mean": (gettext_noop("Raw score, mean"), gettext_noop("On the training rankings; scores are given less this mean.")),
    "score_std": (gettext_noop("Raw score, standard deviation"), gettext_noop("Scores are given in units of this.")),
    "best_step": (gettext_noop("Best update"), gettext_noop("The one whose weights were kept.")),
    "steps": (gettext_noop("Updates planned"), ""),
    "prompt_shared": (gettext_noop("Prompt computed once"), ""),
}  # fmt: skip
_ORDER = {name: place for place, name in enumerate(dict.fromkeys([*NAMES, *CURVE_NAMES]))}


@dataclass(frozen=True)
class Figure:
    name: str
    title: str
    hint: str
    value: Any
    start: Any = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Result:
    figures: list[Figure]

    @property
    def has_start(self) -> bool:
        return any(figure.start is not None for figure in self.figures)

    @property
    def has_interval(self) -> bool:
        return any(figure.interval for figure in self.figures)


def result(metrics: Mapping[str, Any]) -> Result:
    """`x_low`, `x_high` and `x_start` of metrics.json belong to `x`."""
    values = dict(flat(metrics))
    parts = {name + end for name in values for end in (LOW, HIGH, START)}
    figures = [
        Figure(
            name,
            _(NAMES[name][0]) if name in NAMES else " · ".join(title_of(part) for part in name.split(".")),
            _hint(name),
            _("yes") if value is True else _("no") if value is False else value,
            values.get(name + START),
            (values[name + LOW], values[name + HIGH]) if values.get(name + LOW) is not None else None,
        )
        for name, value in values.items()
        if name not in parts and name not in ELSEWHERE
    ]
    return Result(sorted(figures, key=lambda figure: _ORDER.get(figure.name, len(_ORDER))))


def _hint(name: str) -> str:
    hint = NAMES.get(name, CURVE_NAMES.get(name, ("", "")))[1]
    return _(hint) if hint else ""
