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
    normalize_advantages: bool = setting(
        False,
        _("Normalize advantages"),
        _("Shift and scale each update's advantages to mean 0 and variance 1."),
        group="optimizer",
        advanced=True,
    )
