"""What judges the answers: any function from prompts and completions to scores; and what is learned from of a score."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from models_registry.lm.chain import Loaded, load
from models_registry.lm.generate import Output
from models_registry.lm.inspect import MEMBERS_FILE
from models_registry.lm.score import rewards, scores_of_members
from models_registry.lm.sharing import share
from models_registry.lm.text import Prompt, encode_prompt

from ... import functions
from ...context import Context
from ...messages import Failed, Message, Refused, _
from .config import REWARD_MODELS, Config, caution_of_one
from .maths import RunningMoments, conservative
from .prompts import Tokenized

RewardFunction = Callable[[Sequence[Prompt], Sequence[str]], Sequence[float]]


class ByModel:
    """A reward model as a reward function. `answer`: the longest answer in tokens; `autocast`: what it computes in.

    `caution`: more than 0 for an ensemble alone, whose heads are then put together as several reward models are; `told` as in Together.
    """

    def __init__(
        self,
        judge: Loaded,
        *,
        answer: int,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        caution: float = 0.0,
    ) -> None:
        self.judge, self.answer, self._autocast, self.caution = judge, answer, autocast, caution
        self.told: dict[str, float] = {}

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        pairs = list(zip(prompts, completions, strict=True))
        with self._autocast():
            if not self.caution:
                return rewards(self.judge, pairs)
            heads = scores_of_members(self.judge, pairs).T.double()
        together, spread = conservative(heads, heads.new_ones(len(heads)), self.caution)
        self.told = {"reward_1": float(heads.mean()), "reward_spread": float(spread.mean())}
        return together.tolist()

    def share(self, model: PreTrainedModel) -> int:
        """Use this model's tensors where they are the same: a reward model of the same root then has no copy of its own. Returns how many
        parameters are still its own."""
        share(self.judge.model, model)
        theirs = {parameter.data_ptr() for parameter in model.parameters()}
        return sum(one.numel() for one in self.judge.model.parameters() if one.data_ptr() not in theirs)

    def fits(self, prompt: Prompt) -> bool:
        """Whether the model can see this prompt whole, with an answer and its EOS."""
        limit = self.judge.context_length
        return limit is None or len(encode_prompt(self.judge, prompt)) + self.answer + 1 <= limit


class Together:
    """Several reward functions as one (maths.conservative). `told`: the mean of each and of their spread in the last call, as curves."""

    def __init__(self, judges: Sequence[RewardFunction], weights: Sequence[float], caution: float) -> None:
        self.judges, self.caution = judges, caution
        self.weights = torch.tensor(weights or [1.0] * len(judges), dtype=torch.float64)
        self.told: dict[str, float] = {}

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        cpu = torch.device("cpu")
        each = torch.stack([scored(judge, prompts, completions, cpu) for judge in self.judges]).double()
        together, spread = conservative(each, self.weights, self.caution)
        self.told = {f"reward_{number}": float(one.mean()) for number, one in enumerate(each, 1)}
        self.told["reward_spread"] = float(spread.mean())
        return together.tolist()

    def share(self, model: PreTrainedModel) -> int:
        """Each that can uses this model's tensors; returns how many parameters they have beside them, all together."""
        return sum(judge.share(model) for judge in self.judges if isinstance(judge, ByModel))

    def fits(self, prompt: Prompt) -> bool:
        """Whether every one of them can see it whole."""
        return all(fits(judge, prompt) for judge in self.judges)


def fits(reward: RewardFunction, prompt: Prompt) -> bool:
    """Whether a prompt is one that this function can judge answers to; any is, for one that does not say."""
    return getattr(reward, "fits", lambda _prompt: True)(prompt)


def told(ctx: Context, reward: RewardFunction, answers: int) -> dict[str, float]:
    """What a reward function says of its last call (Together.told), over so many answers that the processes shared."""
    shares = ctx.processes.every(lambda: (len(range(answers)[ctx.processes.share]), getattr(reward, "told", {})))
    return {name: sum(count * each[name] for count, each in shares) / answers for name in shares[0][1]}


def reward_model(ctx: Context, role: str = "reward_model", *, caution: float = 0.0) -> ByModel:
    """The reward model of an input. Its weights are float32, as the policy's: those of the same root can be shared, and close answers do not look
    tied, as they would by a head in bf16. Refused where caution is of heads and it has one."""
    if caution and not (ctx.inputs[role][-1] / MEMBERS_FILE).is_file():
        raise Refused(caution_of_one())
    judge = load(ctx.inputs[role], device=ctx.device)
    return ByModel(judge, answer=ctx.config.max_tokens, autocast=ctx.autocast, caution=caution)


def reward_of(ctx: Context) -> RewardFunction:
    """What the run names: its reward models in their order, then its Python function; several are put together."""
    config: Config = ctx.config
    roles = [role for role in REWARD_MODELS if role in ctx.inputs]
    if config.is_careful_of_heads(roles):
        # A weight, where it has one, is positive and its share 1.
        return reward_model(ctx, *roles, caution=config.reward_caution)
    judges: list[RewardFunction] = [reward_model(ctx, role) for role in roles]
    if config.reward_function is not None:
        function = functions.found(config.reward_function, "reward_function")
        ctx.facts(reward_function={"path": config.reward_function, "sha256": functions.file_sha256(function)})
        judges.append(function)
    if len(judges) == 1 and not config.reward_weights:
        return judges[0]
    return Together(judges, config.reward_weights, config.reward_caution)  # also of one, whose weight may be negative


def scored(reward: RewardFunction, prompts: Sequence[Prompt], texts: Sequence[str], device: torch.device) -> Tensor:
    """The reward function's scores, (n,). Failed unless there is one finite number for each text."""
    given = reward(prompts, texts)
    try:
        scores = torch.tensor([float(score) for score in given], device=device)
    except (TypeError, ValueError):  # nothing that could be gone through, or no numbers in it
        scores = torch.empty(0)
    if scores.shape != (len(texts),) or not bool(scores.isfinite().all()):
        text = _("A reward must be one finite number for each of %(texts)s answers, and is %(given)s. Mend what gives it, and resume: the last checkpoint is kept.")  # fmt: skip
        raise Failed(Message("bad-scores", text, {"texts": len(texts), "given": reprlib.repr(given)[:200]}))
    return scores


def shared_scores(
    ctx: Context, reward: RewardFunction, prompts: Sequence[Tokenized], outputs: Sequence[Output]
) -> Tensor:
    """The score of each answer, (n,); each process scores its share."""

    def scores(some: Sequence[tuple[Tokenized, Output]]) -> list[float]:
        return scored(reward, [p.prompt for p, _o in some], [o.text for _p, o in some], ctx.device).tolist()

    return torch.tensor(ctx.processes.shared(list(zip(prompts, outputs, strict=True)), scores), device=ctx.device)


class Earned:
    """From scores to what is learned from: normalized, clipped, then the price of length and of no end. Holds the scores' running moments."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.moments = RunningMoments()

    def __call__(self, scores: Tensor, outputs: Sequence[Output]) -> Tensor:
        """Scores of one update (episodes,), as the reward function gave them → what each answer earned (episodes,)."""
        config = self.config
        earned = scores
        if config.normalize_scores != "off":
            self.moments.see(scores)
            mean = self.moments.mean if config.normalize_scores == "standardize" else 0.0
            earned = (earned - mean) / (self.moments.std or 1.0)
        if config.score_clip is not None:
            earned = earned.clamp(-config.score_clip, config.score_clip)
        unfinished = torch.tensor([output.finish_reason == "length" for output in outputs], device=scores.device)
        beyond = [max(len(output.token_ids) - config.length_free, 0) for output in outputs]
        length = torch.tensor(beyond, device=scores.device)
        return earned - config.missing_eos_penalty * unfinished.float() - config.length_penalty * length.float()

    def state(self) -> dict[str, Any]:
        return vars(self.moments)

    def restore(self, state: Mapping[str, Any]) -> None:
        self.moments = RunningMoments(**state)
