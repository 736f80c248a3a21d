"""Settings of RLOO. Light."""

from ...config import Input, Method, setting
from ...messages import _
from ...trl.config import BASE, WritingSettings

METHOD = Method(
    title=_("RLOO"),
    summary=_("The model writes several answers to each prompt, a reward model scores them, and each is held against the mean of the others."),
    inputs={
        "base": BASE,
        "reward_model": Input("version", _("Reward model"), ("reward",)),
        "dataset": Input("dataset", _("Prompts"), ("prompts", "sft", "rankings")),
    },
    result="lm",
)  # fmt: skip


class Config(WritingSettings):
    normalize_advantages: bool = setting(
        False,
        _("Normalize advantages"),
        _("Shift and scale each update's advantages to mean 0 and variance 1."),
        group="optimizer",
        advanced=True,
    )
