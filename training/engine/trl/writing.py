"""What rloo and grpo share: TRL's trainer asks for answers, and gets those that this program's own sampler writes and its reward model scores.

Each answer depends on the seed and its number alone, prompts come in the order of ppo's, and the reference is the version the run started from:
the new adapter off, or, where all weights move, a frozen copy.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar

import torch
from datasets import Dataset
from transformers import TrainingArguments
from trl.trainer.utils import add_fused_lm_head

from models_registry.lm.chain import load
from models_registry.lm.generate import Output, generate_ids
from models_registry.lm.tuning.apply import save

from ..context import Context
from ..diversity import distinct_ngrams
from ..loop import Shuffle
from ..messages import Message, _
from ..methods.ppo.actors import Actors
from ..methods.ppo.compare import compare
from ..methods.ppo.health import Health
from ..methods.ppo.prompts import Tokenized, tokenized_prompts
from ..methods.ppo.scoring import RewardFunction, scored
from ..moving import Moving
from .bridge import Bridge, arguments, as_before, lent
from .config import WritingSettings

WRITTEN_AT_ONCE = 128  # answers that are written side by side


def train(
    ctx: Context, reward_fn: RewardFunction, trainer: type["Writer"], kind: type[TrainingArguments], **own: Any
) -> None:
    """`own`: the method's own arguments of TRL."""
    config: WritingSettings = ctx.config
    loaded = load(ctx.inputs["base"], device=ctx.device)
    prompts, heldout = tokenized_prompts(ctx, loaded, getattr(reward_fn, "fits", lambda _prompt: True))
    moving = Moving(ctx, loaded, [prompt.ids for prompt in prompts])
    with lent(loaded):
        longest = max(len(prompt.ids) for prompt in prompts + heldout) + config.max_tokens
        actors = Actors(loaded, separate_critic=False, longest=longest)
        if hasattr(reward_fn, "share"):
            reward_fn.share(actors.unmoved)
        minibatch = config.episodes // config.minibatches
        writer = trainer(
            ctx,
            actors,
            arguments(
                kind,
                ctx,
                updates=config.updates,
                rows=minibatch,
                at_once=config.at_once,
                steps_per_update=config.steps_per_update,
                beta=0.0,  # Writer brings the reference; TRL's would be the bare root of the chain
                num_generations=config.group_size,
                num_iterations=config.epochs,
                steps_per_generation=config.episodes // config.at_once,
                max_completion_length=config.max_tokens,
                temperature=config.temperature,
                epsilon=config.clip,
                shuffle_dataset=False,
                **own,
            ),
            prompts=prompts,
            reward_fn=reward_fn,
            shown=[prompt.prompt for prompt in (heldout or prompts)[: config.sample_prompts]],
        )
        writer.go()
    updates = ctx.last_step(config.updates)
    metrics: dict[str, Any] = {"updates": updates, "episodes": updates * config.episodes}
    metrics |= moving.report() | compare(ctx, actors, heldout[: config.heldout_prompts], reward_fn)
    save(loaded, ctx.output)
    ctx.finish(metrics)


class AtStart:
    """The version that the run started from, as TRL calls a model."""

    def __init__(self, actors: Actors, temperature: float) -> None:
        self._actors = actors
        with actors.reference() as start:
            if start.model is not actors.model:
                add_fused_lm_head(start.model, temperature=temperature)

    def __call__(self, **inputs: Any) -> Any:
        with self._actors.reference() as start:
            return start.model(**inputs)


class Writer(Bridge):
    """Mixed into TRL's RLOOTrainer and GRPOTrainer. TRL's rows are numbers of prompts."""

    # TRL's loss is about 0 by its making: the advantages of a group cancel while the ratio is 1.
    renamed = {
        "loss": "policy_loss",
        "entropy": "entropy",
        "kl": "kl_per_token",
        "clip_ratio/region_mean": "clip_fraction",
    }
    with_logprobs: ClassVar[bool]  # whether TRL expects the sampler's log-probabilities too

    def __init__(
        self,
        ctx: Context,
        actors: Actors,
        args: TrainingArguments,
        *,
        prompts: Sequence[Tokenized],
        reward_fn: RewardFunction,
        **options: Any,
    ) -> None:
        config: WritingSettings = ctx.config
        self._prompts, self._reward_fn = prompts, reward_fn
        self._outputs: list[Output] = []
        self._written: dict[str, float | None] = {}  # numbers of the answers that are being learned from
        self._written_tokens = 0
        self._health = KLHealth(kl_limit=config.kl_limit, kl_target=None, leads=actors.loaded.leads)
        shuffle = Shuffle(len(prompts), config.episodes // config.group_size, ctx.seed)
        order = chain.from_iterable(shuffle(update) for update in range(1, config.updates + 1))
        super().__init__(
            ctx,
            actors.loaded,
            args,
            show_every=config.sample_every or max(1, config.updates // 10),
            temperature=config.temperature,
            tokens=config.max_tokens,
            reward_funcs=self._score,
            train_dataset=Dataset.from_dict({"prompt": [int(number) for number in order]}),
            **options,
        )
        self.beta = config.kl_coef
        self.ref_model = AtStart(actors, config.temperature) if config.kl_coef else None

    # What TRL asks for

    def _tokenize_prompts(self, prompts: list[int]) -> tuple[list[list[int]], None, dict]:
        return [self._prompts[number].ids for number in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_more: Any) -> Any:
        config: WritingSettings = self.ctx.config
        with as_before(self.loaded), self.ctx.autocast():
            self._outputs = generate_ids(
                self.loaded,
                prompt_ids,
                max_tokens=config.max_tokens,
                temperature=config.temperature,
                seed=self.ctx.seed,
                stop=config.stop_texts,
                first_index=(self.update + 1) * config.episodes,
                batch_size=WRITTEN_AT_ONCE,
            )
        ids = [output.token_ids for output in self._outputs]
        return (ids, None) if self.with_logprobs else ids

    def _score(self, prompts: list[int], **_more: Any) -> list[float]:
        """TRL's reward function, of the answers that were just written."""
        outputs, episodes = self._outputs, len(self._outputs)
        scores = scored(
            self._reward_fn,
            [self._prompts[number].prompt for number in prompts],
            [output.text for output in outputs],
            torch.device("cpu"),
        )
        unfinished = torch.tensor([output.finish_reason == "length" for output in outputs])
        within, across = distinct_ngrams([output.text for output in outputs])
        tokens = sum(len(output.token_ids) for output in outputs)
        self._written_tokens += tokens
        self._written = {
            "reward": float(scores.mean()),
            "reward_std": float(scores.std(correction=0)),
            "length": tokens / episodes,
            "eos_rate": 1 - float(unfinished.float().mean()),
            "distinct_within": within,
            "distinct_across": across,
        }
        return (scores - self.ctx.config.missing_eos_penalty * unfinished.float()).tolist()

    # What is told

    def numbers(self, logs: dict[str, float]) -> dict[str, float | None]:
        found = self._written | super().numbers(logs)
        per_token, length = found.get("kl_per_token"), found.get("length")
        if per_token is not None and length is not None:
            found["kl"] = per_token * length
        return found

    def tokens(self, logs: dict[str, float]) -> int:
        return self._written_tokens

    def told(self, numbers: dict[str, float | None]) -> None:
        for message, level in self._health.look(numbers):
            self.ctx.note(message, level)

    def memory(self) -> dict[str, Any]:
        return super().memory() | {"health": self._health.state()}

    def remember(self, memory: dict[str, Any]) -> None:
        super().remember(memory)
        self._health.restore(memory["health"])


class KLHealth(Health):
    """PPO's, for trainers that tell no ratio before their first step."""

    def _start(self, numbers: Any) -> Iterator[tuple[Message, str]]:
        kl = numbers.get("kl")
        if kl is None:
            return
        if abs(kl) < 1e-3:
            text = _("At the start KL is %(kl).2f: policy and reference agree.")
            yield Message("start-agrees", text, {"kl": abs(kl)}), "good"
        elif self.leads:
            text = _("At the start KL is %(kl).2f already, since what is put in front of a text has an effect from the beginning; the reference is the model without it.")  # fmt: skip
            yield Message("start-leads", text, {"kl": kl}), "info"
        else:
            text = _("At the start KL is %(kl).4f and should be 0: the reference is not the version that the run started from. The run's figures cannot be trusted.")  # fmt: skip
            yield Message("start-disagrees", text, {"kl": kl}), "warning"
