"""Which charts a run's page shows, what they are called, and what a person should know when reading them."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from .charts import Plot
from .engine import methods
from .fields import words
from .reading import Events, Series

HELDOUT = "heldout_"
# The order of this table is the order on the page; what it does not know comes after, under its own name.
NAMES = {
    "loss": (gettext_noop("Loss"), gettext_noop("What the training makes small.")),
    "perplexity": (gettext_noop("Perplexity"), gettext_noop("How many tokens the model hesitates between; lower is better.")),
    "bits_per_byte": (gettext_noop("Bits per byte"), gettext_noop("Comparable between tokenizers; lower is better.")),
    "accuracy": (gettext_noop("Pair accuracy"), gettext_noop("Share of strict pairs that the scores put in the right order.")),
    "margin": (gettext_noop("Margin"), gettext_noop("How much likelier, measured against the start, the better answers have become than the worse; times β.")),
    "chosen_reward": (gettext_noop("Better answers"), gettext_noop("How much likelier they have become than at the start, in nats an answer, times β.")),
    "rejected_reward": (gettext_noop("Worse answers"), gettext_noop("How much likelier they have become than at the start, in nats an answer, times β; falling is meant.")),
    "likelihood_accuracy": (gettext_noop("Pair accuracy by likelihood"), gettext_noop("Share of strict pairs whose better answer is the likelier one a token, without looking at the start.")),
    "log_loss": (gettext_noop("Log loss"), gettext_noop("How surprising the rankings are to the scores, in nats a comparison.")),
    "reward": (gettext_noop("Reward"), gettext_noop("Mean score of the answers, in standard deviations of the score at the start.")),
    "reward_spread": (gettext_noop("Disagreement of the rewards"), gettext_noop("Standard deviation among the reward models, or among the heads of one, mean over the answers.")),
    "score": (gettext_noop("Score"), gettext_noop("Mean score that the reward model gives.")),
    "kl": (gettext_noop("KL to reference"), gettext_noop("How far the model has moved from its start, in nats an answer.")),
    "kl_per_token": (gettext_noop("KL a token"), gettext_noop("How far the model has moved from its start, in nats a token.")),
    "entropy": (gettext_noop("Entropy"), gettext_noop("How undecided the model is at each token, in nats; near 0 it always writes the same.")),
    "length": (gettext_noop("Answer length"), gettext_noop("Mean length of the answers in tokens.")),
    "eos_rate": (gettext_noop("Answers that end"), gettext_noop("Share of the answers that end by themselves.")),
    "distinct_within": (gettext_noop("Variety within an answer"), gettext_noop("Share of runs of three words that are not repeated within an answer.")),
    "distinct_across": (gettext_noop("Variety across answers"), gettext_noop("Share of runs of three words that no other answer repeats.")),
    "clip_fraction": (gettext_noop("Clipped"), gettext_noop("Share of the tokens at which the step was held back.")),
    "ratio": (gettext_noop("Ratio"), gettext_noop("Probability under the new policy over that under the old one.")),
    "value_loss": (gettext_noop("Value loss"), gettext_noop("How far the critic is from the returns.")),
    "explained_variance": (gettext_noop("Explained variance"), gettext_noop("How much of the returns the critic foresees; 1 is all.")),
    "beta": (gettext_noop("KL weight β"), gettext_noop("The price of leaving the start.")),
    "tokens_per_s": (gettext_noop("Tokens per second"), ""),
    "lr": (gettext_noop("Learning rate"), ""),
    "grad_norm": (gettext_noop("Gradient norm"), gettext_noop("Before clipping.")),
    "policy_loss": (gettext_noop("Policy loss"), ""),
    "ptx_loss": (gettext_noop("Loss on the pretraining texts"), gettext_noop("In nats a token.")),
    "optimizer_steps": (gettext_noop("Optimizer steps of an update"), gettext_noop("Fewer than planned where its KL limit was met.")),
    "approx_kl": (gettext_noop("KL of one update"), gettext_noop("How far a single update moves the policy, in nats a token.")),
    "chosen_logprob": (gettext_noop("Log-probability of the better answers"), gettext_noop("In nats an answer.")),
    "rejected_logprob": (gettext_noop("Log-probability of the worse answers"), gettext_noop("In nats an answer.")),
    "reward_std": (gettext_noop("Spread of the reward"), gettext_noop("Standard deviation among the answers of one update.")),
    "ratio_start": (gettext_noop("Ratio before the first step"), gettext_noop("1 in every update, or sampling and training disagree.")),
    "clip_fraction_start": (gettext_noop("Clipped before the first step"), gettext_noop("0 in every update.")),
    "policy_loss_start": (gettext_noop("Policy loss before the first step"), ""),
}  # fmt: skip
# What a number is called where texts are classified.
CLASSIFYING = {
    "accuracy": (gettext_noop("Accuracy"), gettext_noop("Share of the texts that are given the right label.")),
    "macro_f1": (gettext_noop("Macro-F1"), gettext_noop("Mean over the labels of how well each is found; every label counts alike.")),
    "loss": (gettext_noop("Loss"), gettext_noop("How surprising the right labels are, in nats a text.")),
    "log_loss": (gettext_noop("Log loss"), gettext_noop("How surprising the right labels are, in nats a text.")),
}  # fmt: skip
# Of interest when something is wrong; folded.
MACHINERY = {
    "lr", "grad_norm", "policy_loss", "chosen_logprob", "rejected_logprob", "approx_kl", "kl_per_token", "reward_std",
    "optimizer_steps",
    "ratio_start", "clip_fraction_start", "policy_loss_start",
}  # fmt: skip
COUNTERS = {"tokens", "episodes"}  # only ever grow
TABLE_ROWS = 40


@dataclass(frozen=True)
class Curve:
    """One chart: the training curve and, where there is one, the held-out curve over it."""

    name: str
    title: str
    hint: str
    lines: dict[str, Series]  # by name of the event's number
    last_step: int

    @property
    def is_line(self) -> bool:
        """Not what was measured but once, as an evaluation does: that is a figure of the result."""
        return any(len(series.points) > 1 for series in self.lines.values())

    @property
    def is_machinery(self) -> bool:
        return self.name in MACHINERY

    @property
    def plot(self) -> Plot:
        return Plot(tuple(tuple(series.points) for series in self.lines.values()), self.last_step)

    @property
    def legend(self) -> list[tuple[str, float]]:
        """(what the line is, its newest value), in the order of the colours."""
        return [
            (_("held out") if name.startswith(HELDOUT) else _("training"), s.last) for name, s in self.lines.items()
        ]

    @property
    def table(self) -> list[tuple[float, list[float | None]]]:
        """(step, the value of each line) for evenly chosen steps, the newest first."""
        values = [dict(series.points) for series in self.lines.values()]
        steps = sorted({step for line in values for step in line}, reverse=True)
        every = max(1, -(-len(steps) // TABLE_ROWS))
        return [(step, [line.get(step) for line in values]) for step in steps[::every]]


def curves(events: Events, method: str = "") -> list[Curve]:
    """The charts of a run of `method`, in reading order."""
    groups: dict[str, dict[str, Series]] = {}
    for name, series in events.series.items():
        if name not in COUNTERS and series.points:
            groups.setdefault(name.removeprefix(HELDOUT), {})[name] = series
    classifying = is_classifying(groups, [method])
    return [
        Curve(
            name=name,
            title=title_of(name if name in groups[name] else HELDOUT + name, classifying),
            hint=hint_of(name, classifying),
            lines=dict(sorted(groups[name].items(), key=lambda line: line[0].startswith(HELDOUT))),
            last_step=events.step,
        )
        for name in in_reading_order(groups)
    ]


def is_classifying(names: Iterable[str], of: Iterable[str]) -> bool:
    """Whether an accuracy among these numbers of runs of these methods is one of labels, not of pairs."""
    bases = {name.removeprefix(HELDOUT) for name in names}
    return "macro_f1" in bases or ("accuracy" in bases and any(_reads_labels(method) for method in of))


def _reads_labels(method: str) -> bool:
    inputs = methods.facts_of(method).inputs.values() if method in methods.names() else ()
    return any("labelled" in takes.accepts for takes in inputs)


def in_reading_order(names: Iterable[str]) -> list[str]:
    """Numbers of events as people read them: the well-known first, a held-out one behind its training one, machinery last."""
    known = list(NAMES)

    def place(name: str) -> tuple:
        base = name.removeprefix(HELDOUT)
        return base in MACHINERY, known.index(base) if base in known else len(known), base, name.startswith(HELDOUT)

    return sorted(names, key=place)


def hint_of(name: str, classifying: bool = False) -> str:
    hint = ((CLASSIFYING.get(name) if classifying else None) or NAMES.get(name) or ("", ""))[1]
    return _(hint) if hint else ""


def title_of(name: str, classifying: bool = False) -> str:
    """What people call a number of an event or of metrics.json."""
    if name.startswith(HELDOUT):
        return _("%(name)s, held out") % {"name": title_of(name.removeprefix(HELDOUT), classifying)}
    named = (CLASSIFYING.get(name) if classifying else None) or NAMES.get(name)
    return _(named[0]) if named else words(name).capitalize()
