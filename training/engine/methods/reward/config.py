"""The reward model's settings. Light: loads no torch."""

from typing import Literal

from models_registry.lm.tuning.config import Tune, TuneAll

from ...config import Input, Method, TrainingSettings, setting
from ...messages import Message, _
from ...tunes import problems_of_tune

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
    tune: Tune = setting(
        TuneAll(),
        _("What moves"),
        _("The score head always does; besides it all weights, some of them, an adapter, or a soft prompt."),
        group="model",
    )
    loss: Literal["rao_kupper", "bradley_terry", "soft"] = setting(
        "rao_kupper",
        _("Loss"),
        _("Rao–Kupper learns from ties that outputs are alike; Bradley–Terry leaves ties out; soft counts a tie as half a win each way."),
        group="goal",
        source="Rao and Kupper 1967; Bradley and Terry 1952; Ouyang et al. 2022, equation 1",
        labels={"rao_kupper": "Rao–Kupper", "bradley_terry": "Bradley–Terry", "soft": _("soft")},
    )  # fmt: skip
    theta: float = setting(
        1.5,
        _("Tie parameter θ"),
        _("Of Rao–Kupper: how easily people see a tie. 1 means never; where it is learned, this is its start."),
        group="goal",
        source="Rao and Kupper 1967",
        advanced=True,
        gt=1,
        le=100,
    )
    learn_theta: bool = setting(
        True, _("Learn θ"), _("Fit θ with the scores; otherwise it stays fixed."), group="goal", advanced=True
    )
    theta_lr: float = setting(
        1e-2,
        _("Learning rate of θ"),
        _("θ is one number and may move faster than the weights."),
        group="optimizer",
        advanced=True,
        gt=0,
        le=1,
    )
    share_prompt: bool = setting(
        True,
        _("Share the prompt"),
        _("Compute each prompt once for all its outputs. A check at the start decides whether the model can; the numbers are the same."),
        group="goal",
        advanced=True,
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

    lr: float = setting(
        1e-4, _("Learning rate"), _("About 3e-3 for a model below a million parameters; 1e-5 for all weights of a large one, 1e-4 for LoRA."),
        group="optimizer", gt=0, le=1,
    )  # fmt: skip
    batch_size: int = setting(
        8, _("Batch size"), _("Rankings in one update."), group="optimizer", unit="rankings", ge=1, le=65536
    )  # fmt: skip

    def problems(self, inputs: set[str]) -> list[Message]:
        return super().problems(inputs) + problems_of_tune(self.tune)
