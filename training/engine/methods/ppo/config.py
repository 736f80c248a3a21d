"""PPO's settings, each with its source. Light: loads no torch."""

from collections.abc import Collection, Iterator
from typing import Literal

from models_registry.lm.tuning.config import Tune, TuneLora

from ... import functions
from ...config import Input, Method, setting
from ...messages import Message, _
from ...rollouts import RolloutSettings, problems_of_minibatches
from ...tunes import OF_PPO, problems_of_tune

MORE_JUDGES = {
    "reward_model_2": _("Second reward model"),
    "reward_model_3": _("Third reward model"),
    "reward_model_4": _("Fourth reward model"),
    "reward_model_5": _("Fifth reward model"),
}
REWARD_MODELS = ("reward_model", *MORE_JUDGES)  # in the order of reward_weights

METHOD = Method(
    title=_("PPO"),
    summary=_("The model writes, a reward model scores, and the model moves towards what scores well without leaving its start."),
    inputs={
        "base": Input("version", _("Starting model"), ("lm",), help=_("It is also the reference that the KL is measured against.")),
        "reward_model": Input("version", _("Reward model"), ("reward",), unless="reward_function"),
        "dataset": Input("dataset", _("Prompts"), ("prompts", "sft", "rankings")),
        **{role: Input("version", title, ("reward",), required=False, extra=True) for role, title in MORE_JUDGES.items()},
        "pretraining": Input(
            "dataset", _("Pretraining texts"), ("text",), required=False, extra=True,
            help=_("Which the model is to keep predicting, by the weight of pretraining below."),
        ),
    },
    result="lm",
    shares=True,
)  # fmt: skip


def caution_of_one() -> Message:
    """Why caution is refused where nothing could disagree."""
    text = _("Caution λ needs several rewards, or a reward model of several heads: choose another reward model, or set it to 0.")  # fmt: skip
    return Message("caution-of-one", text, {"field": "reward_caution"})


class Config(RolloutSettings):
    reward_weights: list[float] = setting(
        [],
        _("Weights of the rewards"),
        _("Of the reward models in their order, then of the reward function; as shares of their sum. Empty: all alike."),
        group="goal",
        advanced=True,
    )  # fmt: skip
    reward_caution: float = setting(
        0.0,
        _("Caution λ"),
        _("So many standard deviations among the rewards are taken from their mean: an answer about which they disagree earns less. Of one reward model alone, among its heads."),
        group="goal",
        unit="standard deviations",
        source="after Coste et al. 2023, Reward model ensembles help mitigate overoptimization",
        advanced=True,
        ge=0,
        le=100,
    )  # fmt: skip
    reward_function: str | None = setting(
        None,
        _("Reward function"),
        _("A Python function from prompts and completions to scores, by its dotted path, instead of a reward model or beside it. Only those can be called that the machine's environment names."),
        group="goal",
        advanced=True,
        offers="reward_functions",
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$",
        max_length=200,
    )  # fmt: skip
    normalize_scores: Literal["off", "scale", "standardize"] = setting(
        "off",
        _("Normalize scores"),
        _("By the mean and standard deviation of all scores so far in the run. A reward model made here is on such a scale already."),
        group="goal",
        labels={"off": _("as they are"), "scale": _("divide by the spread"), "standardize": _("subtract the mean, divide by the spread")},
        source="Huang et al. 2022, The 37 implementation details of PPO (scale); Stiennon et al. 2020 (mean 0)",
        advanced=True,
    )  # fmt: skip
    score_clip: float | None = setting(
        None,
        _("Score clip"),
        _("A larger score counts as this one, a smaller as its negative; empty: every score counts."),
        group="goal",
        unit="standard deviations of the score",
        source="Engstrom et al. 2020, Implementation matters in deep RL; Huang et al. 2022, The 37 implementation details of PPO",
        advanced=True,
        gt=0,
        le=1000,
    )
    length_penalty: float = setting(
        0.0,
        _("Price of length"),
        _("Taken from the score for every token of an answer beyond those that are free."),
        group="goal",
        unit="standard deviations of the score per token",
        source="after Singhal et al. 2023, A long way to go: investigating length correlations in RLHF",
        advanced=True,
        ge=0,
        le=10,
    )
    length_free: int = setting(
        0, _("Free tokens"), _("So long may an answer be before its length costs anything."), group="goal",
        unit="tokens", advanced=True, ge=0, le=32768,
    )  # fmt: skip
    ptx_coef: float = setting(
        0.0,
        _("Weight of pretraining γ"),
        _("Of the loss on the pretraining texts beside the policy's (PPO-ptx): keeps what the model could before. 0: none; it then needs no such texts."),
        group="goal",
        source="Ouyang et al. 2022, equation 2; 27.8 there",
        advanced=True,
        ge=0,
        le=1000,
    )  # fmt: skip
    ptx_batch: int = setting(
        8, _("Pretraining texts at once"), _("Pieces of text that every optimizer step learns to predict."), group="goal",
        unit="pieces", advanced=True, ge=1, le=4096,
    )  # fmt: skip
    ptx_tokens: int = setting(
        256, _("Longest piece"), _("A longer pretraining text becomes several pieces."), group="goal", unit="tokens",
        advanced=True, ge=2, le=32768,
    )  # fmt: skip

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

    processes: int = setting(
        1,
        _("Processes"),
        _("That share the work of every update: as many as there are GPUs, or groups of cores. The same updates but for rounding; each holds the model."),
        group="compute",
        advanced=True,
        ge=1,
        le=64,
    )  # fmt: skip

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
    kl_stop: float | None = setting(
        None,
        _("KL at which the run ends"),
        _("Once an update's answers are on average further from the start than this, nothing is learned any more: the policy that wrote them is the result, or its average. Empty: the updates decide."),
        group="goal",
        unit="nats per answer",
        source="Gao et al. 2022, Scaling laws for reward model overoptimization",
        advanced=True,
        gt=0,
        le=100_000,
    )  # fmt: skip
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
    update_kl_limit: float | None = setting(
        None,
        _("KL limit of an update"),
        _("Once an optimizer step would begin further than this from the policy that wrote the answers, the update ends without it; empty: all passes are made."),
        group="optimizer",
        unit="nats per token",
        source="Achiam 2018, Spinning Up (target_kl: 0.01 to 0.05)",
        advanced=True,
        gt=0,
        le=100,
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
    dual_clip: float | None = setting(
        None,
        _("Dual clip"),
        _("Where an answer was bad, a token costs at most so many times its advantage, however much likelier it has become; empty: without such a limit."),
        group="optimizer",
        source="Ye et al. 2020, Mastering complex control in MOBA games; 3 there",
        advanced=True,
        gt=1,
        le=1000,
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

    lr: float = setting(1e-4, _("Learning rate"), OF_PPO, group="optimizer", gt=0, le=1)
    epsilon: float = setting(
        1e-5, _("Epsilon"), _("Keeps Adam from dividing by zero."), group="optimizer", advanced=True, gt=0, le=1e-2,
        source="Huang et al. 2024: 1e-8 lets early steps grow too large",
    )  # fmt: skip

    ema_decay: float | None = setting(
        None,
        _("Averaging of the policy"),
        _("Result, samples and the policies kept along the KL are a moving average of the policy, which keeps so much of itself at every optimizer step; empty: the policy as it is."),
        group="optimizer",
        unit="share",
        source="Ouyang et al. 2022, appendix C.4; 0.992 there",
        advanced=True,
        gt=0,
        lt=1,
    )  # fmt: skip

    def problems(self, inputs: set[str]) -> list[Message]:
        return [
            *super().problems(inputs),
            *problems_of_tune(self.tune),
            *problems_of_minibatches(self.episodes, self.minibatches),
            *self._reward_problems(inputs),
            *self._ptx_problems(inputs),
            *self.too_many(self.processes),
        ]

    def _reward_problems(self, inputs: set[str]) -> Iterator[Message]:
        judges = len(inputs & set(REWARD_MODELS))
        if self.reward_function is not None:
            judges += 1
            if problem := functions.problem_of(self.reward_function, "reward_function"):
                yield problem
        if self.reward_weights and judges and len(self.reward_weights) != judges:
            text = _("“%(field)s”: give each reward its weight, or none. Rewards: %(judges)s; weights: %(weights)s.")
            params = {"field": "reward_weights", "weights": len(self.reward_weights), "judges": judges}
            yield Message("weights-do-not-fit", text, params)
        if self.reward_weights and not any(self.reward_weights):
            yield Message(
                "weights-all-zero", _("“%(field)s”: one at least must not be 0."), {"field": "reward_weights"}
            )
        if self.reward_caution and judges == 1 and self.reward_function is not None:
            yield caution_of_one()
        if self.reward_caution and min(self.reward_weights, default=0) < 0:
            text = _("“%(field)s” is for rewards that judge the same thing, and one of them has a negative weight.")
            yield Message("caution-negative-weight", text, {"field": "reward_caution"})

    def is_careful_of_heads(self, inputs: Collection[str]) -> bool:
        """Whether caution is about the heads of the one reward model, there being no other reward. The run has to see that it has several."""
        return self.reward_caution > 0 and self.reward_function is None and len({*inputs} & {*REWARD_MODELS}) == 1

    def _ptx_problems(self, inputs: set[str]) -> Iterator[Message]:
        if self.ptx_coef and "pretraining" not in inputs:
            text = _("“%(field)s” is more than 0: choose the pretraining texts, or set it to 0.")
            yield Message("no-pretraining", text, {"field": "ptx_coef"})
        if not self.ptx_coef and "pretraining" in inputs:
            text = _("“%(field)s” is 0, so the pretraining texts would not be used: give it a weight, or choose none.")
            yield Message("pretraining-unused", text, {"field": "ptx_coef"})

    def too_many(self, processes: int) -> list[Message]:
        """What is wrong with so many processes: each has to have an answer of every minibatch."""
        answers = self.episodes // self.minibatches
        if processes <= answers or self.episodes % self.minibatches:
            return []
        text = _("“%(field)s”: a minibatch has %(answers)s answers, too few for %(processes)s processes. Write more answers for an update, or take fewer minibatches.")  # fmt: skip
        return [
            Message("too-many-processes", text, {"field": "processes", "answers": answers, "processes": processes})
        ]
