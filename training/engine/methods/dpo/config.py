"""Settings of DPO. Light."""

from typing import Literal, Self

from pydantic import model_validator

from models_registry.lm.problems import Problem, Unfit

from ...config import Input, Method, setting
from ...messages import _
from ...trl.config import BASE, RankedSettings

METHOD = Method(
    title=_("DPO"),
    summary=_("Learns from rankings without a reward model: preferred answers become likelier than others, measured against the start."),
    inputs={"base": BASE, "dataset": Input("dataset", _("Rankings"), ("rankings",))},
    result="lm",
)  # fmt: skip


class Config(RankedSettings):
    loss: Literal["sigmoid", "sigmoid_norm", "ipo", "hinge", "robust", "apo_zero", "apo_down"] = setting(
        "sigmoid",
        _("Loss"),
        _("sigmoid is DPO itself; sigmoid_norm counts a mean token instead of a sum, so length matters less; ipo and hinge stop pushing once a pair is apart; robust expects wrong labels; apo_zero raises the better answer and lowers the worse, apo_down lowers both."),
        group="goal",
        source="Rafailov et al. 2023; Meng et al. 2024 (sigmoid_norm); Azar et al. 2023 (ipo); Zhao et al. 2023 (hinge); Chowdhury et al. 2024 (robust); D'Oosterlinck et al. 2024 (apo)",
        labels={
            "sigmoid": _("DPO (sigmoid)"),
            "sigmoid_norm": _("DPO per token (sigmoid_norm)"),
            "ipo": _("IPO"),
            "hinge": _("hinge (SLiC)"),
            "robust": _("robust to wrong labels"),
            "apo_zero": _("APO zero"),
            "apo_down": _("APO down"),
        },
    )  # fmt: skip
    beta: float = setting(
        0.1,
        _("β"),
        _("How dearly leaving the start is paid for: small values move far. In ipo it is τ."),
        group="goal",
        source="Rafailov et al. 2023, equation 7",
        gt=0,
        le=100,
    )
    label_smoothing: float = setting(
        0.0,
        _("Share of wrong labels"),
        _("That robust expects: the chance that a pair stands the wrong way round."),
        group="goal",
        unit="share",
        source="Chowdhury et al. 2024, section 3",
        advanced=True,
        ge=0,
        lt=0.5,
    )
    ties: Literal["drop", "both"] = setting(
        "drop",
        _("Ties"),
        _("TRL's losses know no tie. Left out; or each tie as two pairs, one each way, which pulls the two answers together. A tie never becomes one pair with a winner."),
        group="data",
        labels={"drop": _("leave ties out"), "both": _("a tie is two pairs, one each way")},
    )  # fmt: skip
    batch_size: int = setting(
        32, _("Batch size"), _("Pairs in one update."), group="optimizer", unit="pairs", ge=1, le=65536
    )

    @model_validator(mode="after")
    def _smoothing_fits(self) -> Self:
        if self.label_smoothing and self.loss != "robust":
            raise Unfit(Problem(_("label smoothing is for the loss robust alone")))
        return self
