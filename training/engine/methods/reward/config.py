"""The reward model's settings. Light: loads no torch."""

from typing import Literal

from pydantic import AliasChoices

from models_registry.lm.tuning.config import Tune, TuneAll

from ...config import Input, Method, TrainingSettings, setting
from ...messages import Message, _
from ...tunes import OF_REWARD, problems_of_tune

METHOD = Method(
    title=_("Reward model"),
    summary=_("Learns from rankings, ties included, to give every answer one score: better answers, higher scores."),
    inputs={
        "base": Input("version", _("Base model"), ("lm", "reward"), help=_("A reward model here is trained further.")),
        "dataset": Input("dataset", _("Rankings"), ("rankings",)),
    },
    result="reward",
)


class Config(TrainingSettings):
    auto_bf16 = frozenset({"cuda", "cpu"})

    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto",
        _("Precision"),
        _("bf16 is faster where the machine computes in it; automatic takes it on a GPU that does and on a processor with AMX, and fp32 elsewhere. Weights and scores stay fp32."),
        group="compute",
        labels={"auto": _("automatic")},
    )  # fmt: skip
    tune: Tune = setting(
        TuneAll(),
        _("What moves"),
        _("The score head always does; besides it all weights, some of them, an adapter, or a soft prompt."),
        group="model",
    )
    ensemble: int = setting(
        1,
        _("Heads"),
        _("An ensemble: score heads over the one trunk, each with a start and a weighting of the prompts of its own. The score is their mean; how far they stand apart says how sure it is. Costs hardly more than one."),
        group="model",
        source="Coste et al. 2023; Eisenstein et al. 2023; Osband et al. 2016",
        ge=1,
        le=64,
    )  # fmt: skip
    bootstrap: bool = setting(
        True,
        _("Heads weigh the prompts"),
        _("Bootstrap: each head of several gives each prompt's rankings a random weight of its own, as if it had seen another sample. Otherwise the heads differ by their starts alone."),
        group="model",
        source="Rubin 1981, Bayesian bootstrap",
        advanced=True,
    )  # fmt: skip
    loss: Literal["rao_kupper", "davidson", "plackett_luce", "bradley_terry", "soft"] = setting(
        "rao_kupper",
        _("Loss"),
        _("Rao–Kupper and Davidson learn from ties that outputs are alike; Plackett–Luce sees a ranking as choices of the best among what is left, ties included; Bradley–Terry leaves ties out; soft counts a tie as half a win each way."),
        group="goal",
        source="Rao and Kupper 1967; Davidson 1970; Firth, Kosmidis and Turner 2019; Bradley and Terry 1952; Ouyang et al. 2022, equation 1",
        labels={
            "rao_kupper": "Rao–Kupper",
            "davidson": "Davidson",
            "plackett_luce": "Plackett–Luce",
            "bradley_terry": "Bradley–Terry",
            "soft": _("soft"),
        },
    )  # fmt: skip
    theta: float = setting(
        1.5,
        _("Tie parameter θ"),
        _("Of Rao–Kupper: how easily people see a tie. 1 means never; where it is learned, this is its start."),
        group="goal",
        source="Rao and Kupper 1967",
        advanced=True,
        when={"loss": ["rao_kupper"]},
        gt=1,
        le=100,
    )
    nu: float = setting(
        0.5,
        _("Tie parameter ν"),
        _("Of Davidson and Plackett–Luce: the odds of a tie against either winning, between equals. Where it is learned, this is its start."),
        group="goal",
        source="Davidson 1970",
        advanced=True,
        when={"loss": ["davidson", "plackett_luce"]},
        gt=0,
        le=100,
    )  # fmt: skip
    learn_ties: bool = setting(
        True,
        _("Learn the tie parameter"),
        _("Fit it with the scores; otherwise it stays fixed."),
        group="goal",
        advanced=True,
        when={"loss": ["rao_kupper", "davidson", "plackett_luce"]},
        validation_alias=AliasChoices("learn_ties", "learn_theta"),  # as runs say that are older than Davidson's here
    )
    margin: float = setting(
        0.0,
        _("Margin"),
        _("Lead in score that the better output must have for each tier between the two. Not for Plackett–Luce."),
        group="goal",
        source="Touvron et al. 2023, Llama 2, equation 2",
        advanced=True,
        when={"loss": ["rao_kupper", "davidson", "bradley_terry", "soft"]},
        ge=0,
        le=10,
    )
    label_smoothing: float = setting(
        0.0,
        _("Label smoothing"),
        _("Share of the strict comparisons taken to be the wrong way round; ties are left alone. Not for Plackett–Luce."),
        group="goal",
        unit="share",
        source="Mitchell 2023, conservative DPO",
        advanced=True,
        when={"loss": ["rao_kupper", "davidson", "bradley_terry", "soft"]},
        ge=0,
        lt=0.5,
    )  # fmt: skip
    centering: float = setting(
        0.0,
        _("Centering"),
        _("Weight of (sᵢ + sⱼ)² beside the loss: keeps the scores near 0. 0.01 is usual."),
        group="goal",
        source="Eisenstein et al. 2023",
        advanced=True,
        ge=0,
        le=10,
    )
    line_weight: float = setting(
        0.0,
        _("Weight of the acceptability line"),
        _("Outputs above the line of a ranking are to score above a number that is learned too, those below it below: makes scores mean “good enough”. 0: the line only orders."),
        group="goal",
        advanced=True,
        ge=0,
        le=100,
    )  # fmt: skip
    annotator_scale: bool = setting(
        False,
        _("A scale for each annotator"),
        _("Learn with the scores how far each annotator's rankings follow them: who ranks by dice counts for little."),
        group="goal",
        source="Chen et al. 2013, Crowd-BT",
        advanced=True,
    )
    annotator_spread: float = setting(
        0.5,
        _("Spread of the annotators"),
        _("Standard deviation of the logarithm of these scales among people. Smaller: they are held closer to 1, most of all where somebody ranked little."),
        group="goal",
        advanced=True,
        when={"annotator_scale": ["true"]},
        gt=0,
        le=10,
    )  # fmt: skip
    aux_lr: float = setting(
        1e-2,
        _("Learning rate beside the model"),
        _("Of the tie parameter, the line's score and the annotators' scales: single numbers may move faster than weights."),
        group="optimizer",
        advanced=True,
        gt=0,
        le=1,
        validation_alias=AliasChoices("aux_lr", "theta_lr"),
    )  # fmt: skip
    share_prompt: bool = setting(
        True,
        _("Share the prompt"),
        _("Compute each prompt once for all its outputs. A check at the start decides whether the model can; the numbers are the same."),
        group="goal",
        advanced=True,
    )  # fmt: skip
    train_share: float = setting(
        1.0,
        _("Share of the prompts"),
        _("Train on so many of the training prompts: runs on an eighth, a quarter, a half and all of them show whether more rankings would help. A larger share holds all of a smaller one."),
        group="data",
        unit="share",
        advanced=True,
        gt=0,
        le=1,
    )  # fmt: skip
    truncate: bool = setting(
        False,
        _("Cut what is too long"),
        _(
            "Texts longer than the model lose the start of their prompt; otherwise such rankings stop the run before it begins."
        ),
        group="data",
    )
    max_length: int | None = setting(
        None,
        _("Longest text"),
        _("Prompt with output; empty: what the model holds."),
        group="data",
        unit="tokens",
        advanced=True,
        ge=2,
    )
    patience: int | None = setting(
        3,
        _("Patience"),
        _("Evaluations without a better held-out loss before the run ends; the best weights are kept in any case. Empty: never ends early."),
        group="watch",
        unit="evaluations",
        ge=1,
        le=1000,
    )  # fmt: skip

    lr: float = setting(1e-4, _("Learning rate"), OF_REWARD, group="optimizer", gt=0, le=1)
    batch_size: int = setting(
        8, _("Batch size"), _("Rankings in one update."), group="optimizer", unit="rankings", ge=1, le=65536
    )  # fmt: skip

    def problems(self, inputs: set[str]) -> list[Message]:
        found = super().problems(inputs) + problems_of_tune(self.tune)
        if self.loss == "plackett_luce":
            given = [name for name in ("margin", "label_smoothing") if getattr(self, name)]
            if given:
                text = _(
                    "Plackett–Luce sees choices, not comparisons, and knows no %(settings)s: set it to 0, or take another loss."
                )
                params = {"settings": ", ".join(given)}
                found.append(Message("not-for-choices", text, params))
        return found
