"""Settings that TRL's methods share: those that learn from rankings as they are, and those that write and are scored. Light."""

from models_registry.lm.tuning.config import Tune, TuneLora

from ..config import Input, SampledSettings, Settings, TrainingSettings, setting
from ..messages import Message, _
from ..rollouts import RolloutSettings, problems_of_minibatches
from ..tunes import problems_of_tune

RATES = _("About 1e-4 for adapters and 1e-6 to 1e-5 for all weights; ten times that for a model below a million parameters.")  # fmt: skip

BASE = Input(
    "version", _("Starting model"), ("lm",), help=_("It is also the reference that the result is held near to.")
)


class TrlSettings(Settings):
    """What moves, in all of them."""

    tune: Tune = setting(
        TuneLora(rank=16, alpha=32.0),
        _("What moves"),
        _("With an adapter or a soft prompt one copy of the base serves as policy and as reference."),
        group="model",
    )

    def problems(self, inputs: set[str]) -> list[Message]:
        found = super().problems(inputs) + problems_of_tune(self.tune)
        if getattr(self.tune, "dropout", 0):
            text = _("“%(field)s” must be 0: policy and reference would disagree by chance, so TRL switches dropout off.")  # fmt: skip
            found.append(Message("dropout-off", text, {"field": "tune.dropout"}))
        return found


class RankedSettings(TrlSettings, SampledSettings, TrainingSettings):
    """Of dpo and kto, which learn from rankings of answers that stand already."""

    max_length: int | None = setting(
        None,
        _("Longest text"),
        _("Prompt with answer. A longer one loses the start of its prompt, then the end of its answer. Empty: what the model holds."),
        group="data",
        unit="tokens",
        advanced=True,
        ge=2,
    )  # fmt: skip
    epochs: float = setting(
        1.0, _("Epochs"), _("How often the training rows are gone through."), group="optimizer", gt=0, le=10000
    )
    lr: float = setting(5e-5, _("Learning rate"), RATES, group="optimizer", gt=0, le=1)
    warmup: float = setting(
        0.1,
        _("Warm-up"),
        _("Share of the updates in which the learning rate rises from zero."),
        group="optimizer",
        unit="share",
        ge=0,
        le=1,
    )
    sample_prompts: int = setting(
        3,
        _("Sample prompts"),
        _("Held-out prompts whose answers are shown as they change."),
        group="watch",
        unit="prompts",
        advanced=True,
        ge=0,
        le=64,
    )

    def problems(self, inputs: set[str]) -> list[Message]:
        found = super().problems(inputs)
        if self.micro_batch and self.batch_size % self.micro_batch:
            text = _("“%(field)s”: a batch of %(batch)s cannot be dealt into parts of %(size)s. Take a size that divides it evenly.")  # fmt: skip
            params = {"field": "micro_batch", "batch": self.batch_size, "size": self.micro_batch}
            found.append(Message("uneven-parts", text, params))
        return found

    @property
    def at_once(self) -> int:
        """Rows in one forward pass."""
        return self.micro_batch or self.batch_size


class WritingSettings(TrlSettings, RolloutSettings):
    """Of rloo and grpo, which write several answers to each prompt and compare their scores."""

    group_size: int = setting(
        8, _("Group size"), _("Answers to one prompt. Each is compared with the others of its group, so no critic is needed."),
        group="goal", unit="answers", ge=2, le=1024,
    )  # fmt: skip
    kl_coef: float = setting(
        0.05,
        _("KL weight β"),
        _("Price of leaving the start, taken from an answer's score. Small values drift into text that only the reward model likes."),
        group="goal",
        unit="standard deviations of the score per nat",
        source="Ahmadian et al. 2024, equation 2",
        ge=0,
        le=100,
    )  # fmt: skip
    clip: float = setting(
        0.2, _("Clip range"), _("How far the ratio may move before an answer stops counting."), group="optimizer",
        advanced=True, gt=0, lt=1, source="Schulman et al. 2017, equation 7",
    )  # fmt: skip
    epochs: int = setting(
        1, _("Passes"), _("How often the answers of one update are gone through."), group="optimizer", advanced=True,
        ge=1, le=100,
    )  # fmt: skip
    minibatches: int = setting(
        1, _("Minibatches"), _("Optimizer steps in one pass."), group="optimizer", advanced=True, ge=1, le=4096
    )  # fmt: skip
    micro_batch: int | None = setting(
        None,
        _("Answers at once"),
        _("In one forward pass: smaller needs less memory; empty: the whole minibatch."),
        group="optimizer",
        unit="answers",
        advanced=True,
        ge=1,
    )
    lr: float = setting(1e-4, _("Learning rate"), RATES, group="optimizer", gt=0, le=1)

    def problems(self, inputs: set[str]) -> list[Message]:
        found = super().problems(inputs) + problems_of_minibatches(self.episodes, self.minibatches)
        if self.episodes % self.group_size:
            text = _("“%(field)s”: %(episodes)s answers cannot be dealt into groups of %(size)s. Take a size that divides them evenly.")  # fmt: skip
            params = {"field": "group_size", "episodes": self.episodes, "size": self.group_size}
            found.append(Message("uneven-groups", text, params))
        answers = self.episodes // self.minibatches
        if self.micro_batch and answers % self.micro_batch:
            text = _("“%(field)s”: the %(answers)s answers of a minibatch cannot be dealt into parts of %(size)s. Take a size that divides them evenly.")  # fmt: skip
            params = {"field": "micro_batch", "answers": answers, "size": self.micro_batch}
            found.append(Message("uneven-parts", text, params))
        return found

    @property
    def at_once(self) -> int:
        """Answers in one forward pass."""
        return self.micro_batch or self.episodes // self.minibatches

    @property
    def steps_per_update(self) -> int:
        """Optimizer steps that learn from the same answers."""
        return self.minibatches * self.epochs
