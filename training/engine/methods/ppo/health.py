"""What a person should know about a PPO run, in plain words: looks at the numbers of each update and speaks once about each thing."""

from collections.abc import Iterator, Mapping
from typing import Any

from ...messages import Message, _

Numbers = Mapping[str, Any]  # of an update's event; what could not be measured is None
WINDOW = 5  # updates; single ones are noisy


def ended_by_kl(updates: int, planned: int, kl: float, limit: float) -> Message:
    """Why a run ends before its last update."""
    text = _("Ended after %(updates)s of %(planned)s updates: KL is %(kl).1f nats an answer, and the run was to end above %(limit).1f. The result is the policy that wrote these answers.")  # fmt: skip
    return Message("kl-stop", text, {"updates": updates, "planned": planned, "kl": kl, "limit": limit})


class Health:
    """Remembers the first updates and the latest, and what has been said. `state` goes into the checkpoint.

    kl_limit: nats per token. kl_target: nats per answer, None if β is fixed. leads: virtual tokens are trained, which have an effect before
    the first step.
    """

    def __init__(self, *, kl_limit: float, kl_target: float | None, leads: bool = False) -> None:
        self.leads = leads
        self.kl_limit, self.kl_target = kl_limit, kl_target
        self.first: list[Numbers] = []
        self.latest: list[Numbers] = []
        self.said: list[str] = []

    def state(self) -> dict[str, Any]:
        return {"first": self.first, "latest": self.latest, "said": self.said}

    def restore(self, state: dict[str, Any]) -> None:
        self.first, self.latest, self.said = state["first"], state["latest"], state["said"]

    def look(self, numbers: Numbers) -> list[tuple[Message, str]]:
        """What is new after an update: (message, good, info or warning). `numbers` are those of the update's event."""
        if len(self.first) < WINDOW:
            self.first = [*self.first, numbers]
        self.latest = [*self.latest, numbers][-WINDOW:]
        new = [(message, level) for message, level in self._findings(numbers) if message.id not in self.said]
        self.said = [*self.said, *(message.id for message, _level in new)]
        return new

    def _mean(self, updates: list[Numbers], name: str) -> float | None:
        values = [numbers[name] for numbers in updates if numbers.get(name) is not None]
        return sum(values) / len(values) if values else None

    def _grown(self, name: str) -> float:
        """The latest mean as a share of the first, 1 while there is too little to say."""
        before, now = self._mean(self.first, name), self._mean(self.latest, name)
        if len(self.latest) < WINDOW or not before or now is None:
            return 1.0
        return now / before

    def _findings(self, numbers: Numbers) -> Iterator[tuple[Message, str]]:
        if len(self.first) == 1:
            yield from self._start(numbers)
        kl, per_token = self._mean(self.latest, "kl") or 0.0, self._mean(self.latest, "kl_per_token") or 0.0
        if len(self.latest) < WINDOW:
            return
        if kl < -0.5:
            yield Message(
                "kl-negative",
                _("KL is negative (%(kl).1f nats an answer): the log-probabilities do not belong to the model that wrote the answers. Is sampling filtered?"),
                {"kl": kl},
            ), "warning"  # fmt: skip
        if per_token > self.kl_limit:
            yield Message(
                "kl-large",
                _("The model has left its start: KL is %(kl).0f nats an answer, %(per_token).2f a token. It may please the reward model rather than people: raise the KL weight or lower the learning rate."),
                {"kl": kl, "per_token": per_token},
            ), "warning"  # fmt: skip
        elif self.kl_target and kl > 2 * self.kl_target:
            yield Message(
                "kl-above-target",
                _("KL is %(kl).0f nats an answer, more than twice its target of %(target).0f; the KL weight is being raised."),
                {"kl": kl, "target": self.kl_target},
            ), "warning"  # fmt: skip
        yield from self._outputs()
        if (spread := self._grown("reward_spread")) > 2:
            yield Message(
                "rewards-disagree",
                _("The rewards disagree about the answers %(times).1f times as much as at the start: the model may please one of them and no person. Raise caution λ or the KL weight."),
                {"times": spread},
            ), "warning"  # fmt: skip
        if (clipped := self._mean(self.latest, "clip_fraction") or 0.0) > 0.4:
            yield Message(
                "steps-large",
                _("%(share).0f %% of tokens are clipped: the steps are too large. Lower the learning rate or make fewer passes."),
                {"share": 100 * clipped},
            ), "warning"  # fmt: skip
        if (ratio := self._mean(self.latest, "ratio")) is not None and not 0.5 < ratio < 2:
            text = _(
                "An update changes the probability of a token by a factor of %(ratio).1f on average: the steps are too large."
            )
            yield Message("ratio-far", text, {"ratio": max(ratio, 1 / max(ratio, 1e-9))}), "warning"
        if (deviation := self._mean(self.latest, "reward_std")) is not None and deviation < 1e-6:
            text = _("Every answer of an update gets the same score, so there is nothing to learn from.")
            yield Message("reward-flat", text, {}), "warning"
        if (foreseen := self._mean(self.latest, "explained_variance")) is not None and foreseen < -0.5:
            text = _(
                "The critic foresees the returns worse than their mean would (explained variance %(value).1f), so the steps are noisy."
            )
            yield Message("critic-lost", text, {"value": foreseen}), "warning"

    def _start(self, numbers: Numbers) -> Iterator[tuple[Message, str]]:
        ratio, kl = numbers["ratio_start"], numbers["kl"]
        if abs(ratio - 1) < 1e-4 and abs(kl) < 1e-3:
            text = _("At the start the ratio is %(ratio).2f and KL is %(kl).2f: policy, reference and sampling agree.")
            yield Message("start-agrees", text, {"ratio": ratio, "kl": abs(kl)}), "good"
        elif abs(ratio - 1) < 1e-4 and self.leads:
            text = _("At the start the ratio is %(ratio).2f: policy and sampling agree. KL is %(kl).2f already, since what is put in front of a text has an effect from the beginning; the reference is the model without it.")  # fmt: skip
            yield Message("start-leads", text, {"ratio": ratio, "kl": kl}), "info"
        else:
            text = _("At the start the ratio is %(ratio).4f and KL is %(kl).4f; they should be 1 and 0. The run's figures cannot be trusted.")  # fmt: skip
            yield Message("start-disagrees", text, {"ratio": ratio, "kl": kl}), "warning"

    def _outputs(self) -> Iterator[tuple[Message, str]]:
        across, entropy = self._grown("distinct_across"), self._grown("entropy")
        if across < 0.35 or (across < 0.65 and entropy < 0.35):
            yield Message(
                "outputs-collapsed",
                _("The answers collapse: %(share).0f %% of the variety across answers and %(entropy).0f %% of the entropy are left. Raise the KL weight, lower the learning rate, or take an earlier policy."),
                {"share": 100 * across, "entropy": 100 * entropy},
            ), "warning"  # fmt: skip
        elif across < 0.65:
            yield Message(
                "outputs-alike",
                _("The answers become alike: %(share).0f %% of the variety across answers is left."),
                {"share": 100 * across},
            ), "warning"  # fmt: skip
        within = self._grown("distinct_within")
        if within < 0.8:
            yield Message(
                "answers-repeat",
                _("The answers repeat themselves: %(share).0f %% of the variety within an answer is left."),
                {"share": 100 * within},
            ), "warning"  # fmt: skip
        if entropy < 0.35:
            yield Message(
                "entropy-falls",
                _("The model hardly hesitates any more: %(share).0f %% of its entropy is left."),
                {"share": 100 * entropy},
            ), "warning"  # fmt: skip
        length = self._grown("length")
        reward_first, reward_now = self._mean(self.first, "reward"), self._mean(self.latest, "reward")
        risen = reward_now - reward_first if reward_first is not None and reward_now is not None else 0.0
        if length > 1.4 and risen > 0.5:
            yield Message(
                "length-pays",
                _("The reward rises by %(risen).1f while answers grow %(share).0f %% longer: the reward model likes long answers."),
                {"risen": risen, "share": 100 * (length - 1)},
            ), "warning"  # fmt: skip
        elif length > 1.4:
            yield Message(
                "answers-longer",
                _("Answers have grown %(share).0f %% longer: the reward model may like length."),
                {"share": 100 * (length - 1)},
            ), "warning"  # fmt: skip
        if length < 0.25:
            yield Message(
                "answers-vanish",
                _("The answers collapse to a few words: %(share).0f %% of their length is left. Raise the KL weight, lower the learning rate, or take an earlier policy."),
                {"share": 100 * length},
            ), "warning"  # fmt: skip
        elif length < 0.6:
            yield Message(
                "answers-shorter",
                _("Answers have become %(share).0f %% shorter: the reward model may like brevity."),
                {"share": 100 * (1 - length)},
            ), "warning"  # fmt: skip
        if risen < -0.5:
            yield Message(
                "reward-falls",
                _("The reward has fallen from %(first).2f to %(now).2f: the learning rate may be too high, or the KL weight."),
                {"first": reward_first, "now": reward_now},
            ), "warning"  # fmt: skip
