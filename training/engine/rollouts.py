"""Settings of the methods that write, are scored, and learn from it: ppo, rloo and grpo. Light."""

from typing import Annotated, Literal

from pydantic import Field

from .config import OptimizerSettings, RunSettings, setting
from .messages import Message, _


class RolloutSettings(OptimizerSettings, RunSettings):
    """How much is written for an update, how it is drawn, and what is shown of it."""

    updates: int = setting(
        60, _("Updates"), _("How often the model writes, is scored, and learns from it."), group="goal",
        unit="updates", ge=1, le=1_000_000,
    )  # fmt: skip
    episodes: int = setting(
        64, _("Episodes"), _("Answers written for one update."), group="goal", unit="answers", ge=2, le=65536
    )  # fmt: skip
    max_tokens: int = setting(
        64, _("Longest answer"), _("An answer that has not ended by then is cut."), group="goal", unit="tokens",
        ge=1, le=32768,
    )  # fmt: skip
    max_prompt_tokens: int | None = setting(
        None,
        _("Longest prompt"),
        _("Longer prompts are left out; empty: what the model holds besides the answer."),
        group="goal",
        unit="tokens",
        advanced=True,
        ge=1,
    )
    temperature: float = setting(
        1.0,
        _("Temperature"),
        _("Of sampling; policy and reference are divided by it alike, so the ratio stays exact."),
        group="goal",
        source="Huang et al. 2024, The N+ implementation details of RLHF with PPO",
        gt=0,
        le=5,
    )
    stop: list[Annotated[str, Field(min_length=1, max_length=200)]] = setting(
        [],
        _("Stop texts"),
        _("An answer ends before the first of these, as if it had ended by itself. Write \\n for a line break."),
        group="goal",
        source="Huang et al. 2024, The N+ implementation details of RLHF with PPO",
        advanced=True,
        max_length=16,
    )
    missing_eos_penalty: float = setting(
        0.0,
        _("Penalty for no end"),
        _("Taken from the score of an answer that was cut at the longest length."),
        group="goal",
        unit="standard deviations of the score",
        source="Huang et al. 2024, The N+ implementation details of RLHF with PPO",
        ge=0,
        le=100,
    )
    schedule: Literal["cosine", "linear", "constant"] = setting(
        "linear", _("Schedule"), _("How the learning rate falls after the warm-up."), group="optimizer"
    )  # fmt: skip
    warmup: float = setting(
        0.0, _("Warm-up"), _("Share of the updates in which the learning rate rises from zero."), group="optimizer",
        unit="share", ge=0, le=1,
    )  # fmt: skip
    sample_prompts: int = setting(
        4, _("Sample prompts"), _("Held-out prompts whose answers are shown as they change."), group="watch",
        unit="prompts", ge=0, le=64,
    )  # fmt: skip
    sample_every: int | None = setting(
        None, _("Sample every"), _("Updates between two such answers; empty: ten times a run."), group="watch",
        unit="updates", advanced=True, ge=1,
    )  # fmt: skip
    heldout_prompts: int = setting(
        200, _("Held-out prompts"), _("At most so many are answered by start and result at the end, and compared."),
        group="watch", unit="prompts", ge=0, le=100_000,
    )  # fmt: skip
    kl_limit: float = setting(
        0.5, _("KL alarm"), _("Above this the run's page warns that the model has left its start."), group="watch",
        unit="nats per token", advanced=True, gt=0, le=100,
    )  # fmt: skip

    @property
    def stop_texts(self) -> list[str]:
        """`stop` with its line breaks and tabs, which one line of a form cannot hold."""
        return [text.replace("\\n", "\n").replace("\\t", "\t") for text in self.stop]


def problems_of_minibatches(episodes: int, minibatches: int) -> list[Message]:
    """Every answer of an update is learned from as often as any other, so the minibatches are of one size."""
    if episodes % minibatches == 0:
        return []
    text = _("“%(field)s”: %(episodes)s answers cannot be dealt into %(minibatches)s equal parts. Take a number that divides them evenly.")  # fmt: skip
    return [
        Message(
            "uneven-minibatches",
            text,
            {"field": "minibatches", "episodes": episodes, "minibatches": minibatches},
        )
    ]
