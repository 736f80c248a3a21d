"""What to do about what a run's health notes name: a sentence, and settings for another run, by the id of the note. docs/methods/ppo.md has the same list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_noop

Change = Callable[[Any], Any]  # of a setting: what it was → what to try


def _twice(beta: float) -> float:
    return round(2 * beta, 6) or 0.1


def _dearer(price: float) -> float:
    """Per token; an answer of 100 tokens more must then score a standard deviation better."""
    return round(2 * price, 6) or 0.01


def _more_careful(caution: float) -> float:
    return round(2 * caution, 6) or 1.0


def _third(rate: float) -> float:
    return float(f"{rate / 3:.1e}")


def _half(count: int) -> int:
    return max(1, count // 2)


@dataclass(frozen=True)
class Advice:
    """`changes`: by the path of the setting; those whose value would stay are left out. `mark`: a word for the table of runs, where the
    result is not what a complete run is taken for."""

    text: str
    changes: Mapping[str, Change] = field(default_factory=dict)
    mark: str = ""


STAY_CLOSER: Mapping[str, Change] = {"kl_coef": _twice, "lr": _third}
EXACT: Mapping[str, Change] = {"precision": lambda _was: "fp32"}
_LENGTH = gettext_noop("Look at the length bias on the reward model's page. Rankings in which the better answer is not the longer one teach it otherwise; a price of length limits the harm.")  # fmt: skip
_BEGIN_AGAIN = gettext_noop(
    "Nothing is gained by going on. Begin again closer to the start, or register a policy from before it."
)
_COLLAPSED = gettext_noop("collapsed")
_SMALLER = gettext_noop("Smaller steps, or fewer of them for the same answers.")
WATCHED = {"ppo"}  # methods whose health is looked at after every update
ADVICE = {
    "start-disagrees": Advice(gettext_noop("Compute in full precision: in bf16 sampling and training can differ. If they still do, the model's own code treats them differently."), EXACT),
    "kl-negative": Advice(gettext_noop("The model that writes and the one that learns must be the same: no top-p or top-k, one temperature, full precision."), EXACT),
    "kl-large": Advice(gettext_noop("Stay closer to the start: a larger KL weight, a lower learning rate. A policy from before this update may be the better one; compare them with the start below."), STAY_CLOSER),
    "kl-above-target": Advice(gettext_noop("The KL weight rises by itself. If it does not catch up, the steps are too large for it."), {"lr": _third}),
    "kl-stop": Advice(gettext_noop("If it ended too early, let it go further; if it ended soon after the beginning, stay closer to the start."), STAY_CLOSER),
    "rewards-disagree": Advice(gettext_noop("Where several rewards do not agree, none of them has learned enough there: more rankings of such answers teach them. Heads of one reward model also stand farther apart as scores grow; reward models trained apart say more."), {"reward_caution": _more_careful, "kl_coef": _twice}),
    "outputs-collapsed": Advice(_BEGIN_AGAIN, STAY_CLOSER, _COLLAPSED),
    "outputs-alike": Advice(gettext_noop("Read the samples: is it one phrase that the reward model likes? A larger KL weight keeps the answers apart."), {"kl_coef": _twice}),
    "answers-repeat": Advice(gettext_noop("The reward model may not mind repetition because no ranking has taught it to. A larger KL weight keeps the start's way of writing."), {"kl_coef": _twice}),
    "entropy-falls": Advice(gettext_noop("With nothing left to try, nothing more is learned. A lower learning rate or a larger KL weight keeps the model trying."), STAY_CLOSER),
    "length-pays": Advice(_LENGTH, {"length_penalty": _dearer}),
    "answers-longer": Advice(_LENGTH, {"length_penalty": _dearer}),
    "answers-shorter": Advice(gettext_noop("Look at the length bias on the reward model's page, and at the samples: are the answers still whole?")),
    "answers-vanish": Advice(_BEGIN_AGAIN, STAY_CLOSER, _COLLAPSED),
    "steps-large": Advice(_SMALLER, {"lr": _third, "epochs": _half}),
    "ratio-far": Advice(_SMALLER, {"lr": _third, "epochs": _half}),
    "reward-falls": Advice(gettext_noop("Smaller steps; if the KL is small too, a smaller KL weight."), {"lr": _third}),
    "reward-flat": Advice(gettext_noop("Try the reward model on two answers that differ: does it tell them apart? Its page says how often it is right on held-out pairs.")),
    "critic-lost": Advice(gettext_noop("Smaller steps let the critic follow; layers of its own help it where the policy changes fast."), {"lr": _third, "critic": lambda _was: "separate"}),
}  # fmt: skip
