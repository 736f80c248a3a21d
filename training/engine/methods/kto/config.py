"""Settings of KTO. Light."""

from typing import Literal, Self

from pydantic import model_validator

from models_registry.lm.problems import Problem, Unfit

from ...config import Input, Method, setting
from ...messages import _
from ...trl.config import BASE, RankedSettings

METHOD = Method(
    title=_("KTO"),
    summary=_("Learns from answers that are good enough or not: the acceptability line that people draw through their rankings."),
    inputs={"base": BASE, "dataset": Input("dataset", _("Rankings"), ("rankings",), help=_("With a line: what lies above it is wanted, what lies below is not."))},
    result="lm",
)  # fmt: skip


class Config(RankedSettings):
    loss: Literal["kto", "apo_zero_unpaired"] = setting(
        "kto",
        _("Loss"),
        _("kto weighs each answer against how far the model has moved on the whole; apo_zero_unpaired against its start alone, and is faster."),
        group="goal",
        source="Ethayarajh et al. 2024, equation 7; D'Oosterlinck et al. 2024",
        labels={"kto": _("KTO"), "apo_zero_unpaired": _("APO zero, unpaired")},
    )  # fmt: skip
    beta: float = setting(
        0.1,
        _("β"),
        _("How dearly leaving the start is paid for: small values move far."),
        group="goal",
        source="Ethayarajh et al. 2024, section 4.1",
        gt=0,
        le=100,
    )
    without_line: Literal["refuse", "leave_out", "tiers"] = setting(
        "refuse",
        _("Rankings without a line"),
        _("Stop before the run begins; leave them out; or take the first tier as wanted and the last as unwanted, which is a guess about what people meant."),
        group="data",
        labels={
            "refuse": _("refuse them"),
            "leave_out": _("leave them out"),
            "tiers": _("first tier wanted, last tier unwanted"),
        },
    )  # fmt: skip
    desirable_weight: float | None = setting(
        None,
        _("Weight of wanted answers"),
        _("Empty: such that both sides count the same in all, however many answers each has."),
        group="data",
        source="Ethayarajh et al. 2024, equation 8",
        advanced=True,
        gt=0,
        le=1000,
    )
    undesirable_weight: float | None = setting(
        None,
        _("Weight of unwanted answers"),
        _("Empty: such that both sides count the same in all, however many answers each has."),
        group="data",
        source="Ethayarajh et al. 2024, equation 8",
        advanced=True,
        gt=0,
        le=1000,
    )
    batch_size: int = setting(
        32, _("Batch size"), _("Answers in one update."), group="optimizer", unit="answers", ge=2, le=65536
    )

    @model_validator(mode="after")
    def _a_batch_has_company(self) -> Self:
        if self.loss == "kto" and self.at_once < 2:
            text = _(
                "at least 2 answers at a time are needed: kto measures the KL on the answers to the other prompts at hand"
            )
            raise Unfit(Problem(text))
        return self
