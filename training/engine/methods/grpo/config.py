"""Settings of GRPO. Light."""

from typing import Literal

from ...config import Input, Method, setting
from ...messages import _
from ...trl.config import BASE, WritingSettings

METHOD = Method(
    title=_("GRPO"),
    summary=_("The model writes a group of answers to each prompt, a reward model scores them, and what scores above its group is made likelier."),
    inputs={
        "base": BASE,
        "reward_model": Input("version", _("Reward model"), ("reward",)),
        "dataset": Input("dataset", _("Prompts"), ("prompts", "sft", "rankings")),
    },
    result="lm",
)  # fmt: skip


class Config(WritingSettings):
    loss: Literal["grpo", "dr_grpo", "bnpo", "dapo"] = setting(
        "dapo",
        _("Loss"),
        _("How tokens are averaged. grpo: within each answer first, so short answers weigh more a token; dapo: over all tokens of an update; bnpo: over those of a minibatch; dr_grpo: by the longest answer allowed."),
        group="goal",
        source="Shao et al. 2024 (grpo); Yu et al. 2025 (dapo); Liu et al. 2025 (dr_grpo)",
        labels={"grpo": "GRPO", "dr_grpo": "Dr. GRPO", "bnpo": "BNPO", "dapo": "DAPO"},
    )  # fmt: skip
    kl_coef: float = setting(
        0.04,
        _("KL weight β"),
        _("Price of leaving the start, part of the loss. Small values drift into text that only the reward model likes."),
        group="goal",
        unit="per nat",
        source="Shao et al. 2024, equation 3",
        ge=0,
        le=100,
    )  # fmt: skip
    scale_rewards: Literal["group", "batch", "none"] = setting(
        "group",
        _("Scale of rewards"),
        _("Scores are divided by the spread of their group, of the whole update, or not at all."),
        group="goal",
        source="Shao et al. 2024 (group); Liu et al. 2025 (none)",
        advanced=True,
        labels={"group": _("by the group's spread"), "batch": _("by the update's spread"), "none": _("as they are")},
    )
    ratio: Literal["token", "sequence"] = setting(
        "token",
        _("Ratio"),
        _("Of new over old probability: of each token, or of the answer as a whole (GSPO)."),
        group="goal",
        source="Zheng et al. 2025, GSPO (sequence)",
        advanced=True,
        labels={"token": _("of each token"), "sequence": _("of the whole answer")},
    )
