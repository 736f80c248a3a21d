"""PPO's settings, each with its source. Light: loads no torch."""

from typing import Literal, Self

from pydantic import model_validator

from models_registry.lm.problems import Problem, Unfit
from models_registry.lm.tuning.config import Tune, TuneLora

from ...config import Input, Method, setting
from ...messages import Message, _
from ...rollouts import RolloutSettings
from ...tunes import problems_of_tune

METHOD = Method(
    title=_("PPO"),
    summary=_("The model writes, a reward model scores, and the model moves towards what scores well without leaving its start."),
    inputs={
        "base": Input("version", _("Starting model"), ("lm",), help=_("It is also the reference that the KL is measured against.")),
        "reward_model": Input("version", _("Reward model"), ("reward",)),
        "dataset": Input("dataset", _("Prompts"), ("prompts", "sft", "rankings")),
    },
    result="lm",
)  # fmt: skip


class Config(RolloutSettings):
    tune: Tune = setting(
        TuneLora(rank=16, alpha=32.0),
        _("What moves"),
        _("With an adapter or a soft prompt one copy of the base serves as policy, reference and critic; where its own weights move, the reference is a frozen copy."),
        group="model",
    )  # fmt: skip
    critic: Literal["shared", "separate"] = setting(
        "shared",
        _("Critic"),
        _(
            "The critic reads the policy's own layers, or a copy of them that moves by itself: twice the memory and time."
        ),
        group="model",
        advanced=True,
    )

    kl_coef: float = setting(
        0.2,
        _("KL weight β"),
        _("Price of leaving the start, per nat. Small values drift into text that only the reward model likes."),
        group="goal",
        unit="standard deviations of the score per nat",
        source="Ziegler et al. 2019; Stiennon et al. 2020, section 3.4; Ouyang et al. 2022",
        ge=0,
        le=100,
    )
    kl_target: float | None = setting(
        None,
        _("KL target"),
        _("β is moved so that an answer's KL stays near this; empty: β stays fixed."),
        group="goal",
        unit="nats per answer",
        source="Ziegler et al. 2019, section 2.2",
        gt=0,
        le=100_000,
    )
    kl_horizon: int = setting(
        10_000,
        _("KL horizon"),
        _("Answers within which the target is approached."),
        group="goal",
        unit="answers",
        source="Ziegler et al. 2019, section 2.2",
        advanced=True,
        ge=1,
    )
    kl_estimator: Literal["k1", "k2", "k3"] = setting(
        "k1",
        _("KL estimator"),
        _("How the KL of a token is estimated in the reward: k1 is exact on average, k3 is never negative."),
        group="goal",
        source="Schulman 2020, Approximating KL divergence",
        advanced=True,
    )
    keep_along_kl: int = setting(
        8,
        _("Policies kept along the KL"),
        _("At most so many are kept as the model moves away, evenly along √KL; each can be registered and compared with the start. 0 keeps none."),
        group="watch",
        unit="policies",
        source="Gao et al. 2022, Scaling laws for reward model overoptimization",
        ge=0,
        le=100,
    )  # fmt: skip

    epochs: int = setting(
        4, _("Passes"), _("How often the answers of one update are gone through."), group="optimizer", ge=1, le=100,
        source="Schulman et al. 2017, table 3; Ouyang et al. 2022 use 1",
    )  # fmt: skip
    minibatches: int = setting(
        4, _("Minibatches"), _("Optimizer steps in one pass."), group="optimizer", ge=1, le=4096
    )  # fmt: skip
    micro_batch: int | None = setting(
        None,
        _("Answers at once"),
        _("In one forward pass: smaller needs less memory and gives the same update; empty: the whole minibatch."),
        group="optimizer",
        unit="answers",
        advanced=True,
        ge=1,
    )
    gamma: float = setting(
        1.0, _("Discount γ"), _("Weight of a reward one token later."), group="optimizer", advanced=True, gt=0, le=1,
        source="Schulman et al. 2016; 1 in Ziegler et al. 2019",
    )  # fmt: skip
    lam: float = setting(
        0.95, _("GAE λ"), _("Between trusting the critic (0) and the outcome alone (1)."), group="optimizer",
        advanced=True, ge=0, le=1, source="Schulman et al. 2016, equation 16",
    )  # fmt: skip
    clip: float = setting(
        0.2, _("Clip range"), _("How far the ratio may move before a token stops counting."), group="optimizer",
        advanced=True, gt=0, lt=1, source="Schulman et al. 2017, equation 7",
    )  # fmt: skip
    value_clip: float = setting(
        0.2, _("Value clip range"), _("How far a value may move in one update."), group="optimizer",
        advanced=True, gt=0, le=1000, source="Dhariwal et al. 2017, OpenAI Baselines",
    )  # fmt: skip
    value_coef: float = setting(
        0.1, _("Value loss weight"), _("Of the critic's loss beside the policy's."), group="optimizer", advanced=True,
        ge=0, le=100, source="Ziegler et al. 2019",
    )  # fmt: skip
    whiten_rewards: bool = setting(
        False, _("Whiten rewards"), _("Scale each update's rewards to variance 1, keeping their mean."),
        group="optimizer", advanced=True, source="Ziegler et al. 2019",
    )  # fmt: skip
    whiten_advantages: bool = setting(
        True, _("Whiten advantages"), _("Shift and scale each update's advantages to mean 0 and variance 1."),
        group="optimizer", advanced=True, source="Huang et al. 2024",
    )  # fmt: skip

    lr: float = setting(
        1e-4, _("Learning rate"), _("About 3e-4 for all weights of a model below a million parameters and three times that for LoRA; 1e-6 to 1e-5 and 1e-4 for a large one."),
        group="optimizer", gt=0, le=1,
    )  # fmt: skip
    epsilon: float = setting(
        1e-5, _("Epsilon"), _("Keeps Adam from dividing by zero."), group="optimizer", advanced=True, gt=0, le=1e-2,
        source="Huang et al. 2024: 1e-8 lets early steps grow too large",
    )  # fmt: skip

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.episodes % self.minibatches:
            raise Unfit(Problem(_("episodes must be a multiple of minibatches")))
        return self

    def problems(self, inputs: set[str]) -> list[Message]:
        return super().problems(inputs) + problems_of_tune(self.tune)
