"""PPO, top to bottom: write, score, estimate advantages, learn; then compare the result with its start on held-out prompts.

Schulman et al. 2017; for language models Ziegler et al. 2019, Stiennon et al. 2020, Ouyang et al. 2022; details after Huang et al. 2024,
"The N+ implementation details of RLHF with PPO".

Nothing here draws from a global random state: what an episode samples depends on (seed, its number), which prompts an update takes on (seed,
update), its minibatches on (seed, update, pass). So a resumed run goes on exactly as an unbroken one, and several processes make the updates of
one: each writes, judges and goes back through its share of the answers, and everything else is done in all of them alike.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models_registry.lm.chain import Loaded, load
from models_registry.lm.generate import Output
from models_registry.lm.score import Padded, padded
from models_registry.lm.tuning.apply import save, trained_parameters

from ...context import Context
from ...diversity import distinct_ngrams
from ...loop import Shuffle, adamw, load_state, must_be_finite, save_state, schedule
from ...messages import Refused
from ...moving import Moving
from .actors import Actors, Judged
from .compare import compare, standing
from .config import Config
from .ema import Average
from .health import Health, ended_by_kl
from .kept import Kept, Policy
from .maths import (
    AdaptiveKL,
    FixedKL,
    explained_variance,
    gae,
    kl_per_token,
    masked_mean,
    policy_loss,
    value_loss,
    whiten,
)
from .memory import estimate as estimate_memory
from .prompts import Tokenized, tokenized_prompts
from .ptx import Pretraining
from .scoring import Earned, RewardFunction, fits, reward_of, shared_scores, told
from .writing import write


def run(ctx: Context) -> None:
    """PPO against the rewards that the run names."""
    train(ctx, reward_of(ctx))


def train(ctx: Context, reward_fn: RewardFunction) -> None:
    """PPO against any function from prompts and completions to scores; a standard deviation of about 1 suits the defaults.

    The function may have a `fits(prompt)`, as ByModel has: prompts for which it says no are left out; and a `share(model)`, which is called
    with a model whose weights do not move, and returns how many parameters it has beside that.
    """
    config: Config = ctx.config
    if problems := config.too_many(ctx.processes.number):
        raise Refused(problems)
    loaded = load(ctx.inputs["base"], device=ctx.device)
    prompts, heldout = tokenized_prompts(ctx, loaded, lambda prompt: fits(reward_fn, prompt))
    ptx = Pretraining(ctx, loaded) if config.ptx_coef else None
    moving = Moving(ctx, loaded, [p.ids for p in prompts])
    longest = max(len(p.ids) for p in prompts + heldout) + config.max_tokens
    actors = Actors(loaded, separate_critic=config.critic == "separate", longest=longest)
    judges = reward_fn.share(actors.unmoved) if hasattr(reward_fn, "share") else 0
    expected = estimate_memory(
        config,
        total=moving.total,
        moving=moving.trained,
        judges=judges,
        about=loaded.model.config.get_text_config().to_dict(),
        prompt=max(len(p.ids) for p in prompts),
        processes=ctx.processes.number,
    )
    ctx.facts(memory_estimate=expected)

    parameters = actors.parameters()
    optimizer = adamw(config, parameters)
    average = Average(trained_parameters(loaded), config.ema_decay, optimizer) if config.ema_decay else None
    controller = (
        FixedKL(config.kl_coef)
        if config.kl_target is None
        else AdaptiveKL(config.kl_coef, target=config.kl_target, horizon=config.kl_horizon)
    )
    earned = Earned(config)
    health = Health(kl_limit=config.kl_limit, kl_target=config.kl_target, leads=loaded.leads)
    shuffle = Shuffle(len(prompts), config.episodes, ctx.seed)
    shown = (heldout or prompts)[: config.sample_prompts]
    sample_every = config.sample_every or max(1, config.updates // 10)

    def as_result() -> AbstractContextManager[None]:
        """Inside the block the policy is what the run would save if it ended here."""
        return nullcontext() if average is None else average.in_place()

    if (checkpoint := ctx.restore()) is not None:
        load_state(checkpoint, parameters, optimizer)
        state = json.loads((checkpoint / "ppo.json").read_text())
        controller.beta = state["beta"]
        earned.restore(state["scores"])
        if average is not None:
            average.load(checkpoint)
        health.restore(state["health"])
    else:
        show_samples(ctx, loaded, shown, 0)

    kept = Kept(ctx.run_dir, most=config.keep_along_kl, step=ctx.step) if ctx.is_main else None

    def save_checkpoint(folder: Path) -> None:
        save_state(folder, parameters, optimizer)
        state = {"beta": controller.beta, "scores": earned.state(), "health": health.state()}
        (folder / "ppo.json").write_text(json.dumps(state))
        if average is not None:
            average.save(folder)

    updates = ctx.last_step(config.updates)
    for update in range(ctx.step + 1, updates + 1):
        began = time.perf_counter()
        rate = config.lr * schedule(config, update, config.updates)
        for group in optimizer.param_groups:
            group["lr"] = rate

        chosen = [prompts[i] for i in shuffle(update)]
        rollout = roll_out(ctx, actors, chosen, reward_fn, update)
        numbers: dict[str, Any] = rollout.numbers() | told(ctx, reward_fn, config.episodes)
        if config.kl_stop is not None and numbers["kl"] > config.kl_stop:
            updates = update - 1
            ctx.event(update, **numbers)
            ctx.note(ended_by_kl(updates, config.updates, numbers["kl"], config.kl_stop), "warning")
            break
        here: Policy | None = None
        if average is None:
            here = Policy(update - 1, numbers["kl"], numbers["reward"])
        elif config.keep_along_kl and (update - 1) % sample_every == 0:  # the average has to write answers of its own
            with as_result():
                here = Policy(update - 1, *standing(ctx, actors, chosen, reward_fn))
        if here is not None and kept is not None:
            with as_result():
                kept.look(here, lambda folder: save(loaded, folder))
        advantages, returns = estimate(rollout, earned(rollout.scores, rollout.outputs), controller.beta, config)
        numbers |= learn(ctx, actors, optimizer, rollout, advantages, returns, update, ptx)

        ctx.tokens_seen += rollout.tokens
        numbers["explained_variance"] = explained_variance(rollout.values, returns, rollout.mask)
        numbers |= {"beta": controller.beta, "lr": rate, "episodes": update * config.episodes}
        numbers["tokens_per_s"] = rollout.tokens / (time.perf_counter() - began)
        ctx.progress(update / config.updates)
        ctx.event(update, **numbers)
        for message, level in health.look(numbers):
            ctx.note(message, level)
        if update % sample_every == 0 or update == config.updates:
            with as_result():
                show_samples(ctx, loaded, shown, update)
        controller.update(numbers["kl"], config.episodes)
        ctx.boundary(update, save_checkpoint)

    metrics: dict[str, Any] = {"updates": updates, "episodes": updates * config.episodes, "beta": controller.beta}
    if average is not None:
        metrics["ema_decay"] = config.ema_decay
    metrics["memory_estimate"] = expected
    with as_result():
        metrics |= compare(ctx, actors, heldout[: config.heldout_prompts], reward_fn) | moving.report()
        if ctx.is_main:
            save(loaded, ctx.output)
    ctx.finish(metrics)


def show_samples(ctx: Context, loaded: Loaded, prompts: Sequence[Tokenized], step: int) -> None:
    """What the model now writes at the same prompts, with the same random numbers each time."""
    outputs = ctx.processes.shared(list(enumerate(prompts)), lambda some: write(ctx, loaded, some))
    for slot, (prompt, output) in enumerate(zip(prompts, outputs, strict=True)):
        ctx.sample(step, prompt.text, output.text, slot)


# 1. Write and score ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rollout:
    """What was written in one update, and what everyone thought of it then. Tensors are (episodes, C), real where `mask` is."""

    outputs: list[Output]
    batch: Padded
    scores: Tensor  # (episodes,), as the reward function gave them
    logprobs: Tensor
    values: Tensor
    reference: Tensor
    entropy: Tensor
    first: list[Judged]  # of the first part of the first minibatch, with gradients; learning takes it out

    @property
    def mask(self) -> Tensor:
        return self.batch.completion_mask.bool()

    @property
    def tokens(self) -> int:
        return int(self.batch.completion_mask.sum())

    def numbers(self) -> dict[str, Any]:
        """Of the update's event. KL is k1 summed over an answer, whatever estimator the reward uses."""
        kl = torch.where(self.mask, self.logprobs - self.reference, 0).sum()
        within, across = distinct_ngrams([output.text for output in self.outputs])
        episodes = len(self.outputs)
        return {
            "reward": float(self.scores.mean()),
            "reward_std": float(self.scores.std(correction=0)),
            "kl": float(kl) / episodes,
            "kl_per_token": float(kl) / self.tokens,
            "entropy": float(masked_mean(self.entropy, self.mask)),
            "length": self.tokens / episodes,
            "eos_rate": sum(output.finish_reason != "length" for output in self.outputs) / episodes,
            "distinct_within": within,
            "distinct_across": across,
        }


def roll_out(
    ctx: Context, actors: Actors, prompts: Sequence[Tokenized], reward: RewardFunction, update: int
) -> Rollout:
    """One answer to each prompt, its score, and the log-probabilities and values of policy, reference and critic."""
    config: Config = ctx.config
    numbered = list(enumerate(prompts, update * config.episodes))
    outputs = ctx.processes.shared(numbered, lambda some: write(ctx, actors.loaded, some))
    scores = shared_scores(ctx, reward, prompts, outputs)
    batch = padded([p.ids for p in prompts], [output.token_ids for output in outputs], ctx.device)
    # In the parts of the first pass of learning: the first ratio is 1 to the last bit. What is computed of the first part, which learning
    # begins with, is kept with its gradients, and not computed again.
    passes = islice(minibatches(ctx.seed, update, config), config.minibatches)
    mine = (minibatch[ctx.processes.share] for minibatch in passes)
    first, *others = [part for rows in mine for part in rows.split(micro_batch(config))]
    tokens = torch.zeros(4, *batch.completion_mask.shape, device=ctx.device)
    logprobs, values, reference, entropy = tokens
    for part in (*others, first):
        cut, width = taken(batch, part)
        with ctx.autocast(), torch.set_grad_enabled(part is first):
            reference[part, :width] = actors.reference_logprobs(cut, temperature=config.temperature)
            judged = actors.judge(cut, temperature=config.temperature)
        logprobs[part, :width], values[part, :width] = judged.logprobs.detach(), judged.values.detach()
        entropy[part, :width] = judged.entropy.detach()
    ctx.processes.add_up([tokens])  # each row from the process that has judged it, and 0 from the others
    return Rollout(outputs, batch, scores, logprobs, values, reference, entropy, [judged])


def micro_batch(config: Config) -> int:
    """Answers in one forward pass."""
    return min(config.micro_batch or config.episodes, config.episodes // config.minibatches)


def taken(batch: Padded, which: Tensor) -> tuple[Padded, int]:
    """Some rows of a batch without the columns that are padding in all of them, and how many completion columns are left."""
    ids, mask, completion_mask = batch.ids[which], batch.mask[which], batch.completion_mask[which]
    width = int(completion_mask.sum(1).max())
    prompt = mask.shape[1] - batch.completion_length
    longest = int((mask[:, :prompt]).sum(1).max())
    columns = slice(prompt - longest, prompt + width)
    return Padded(ids[:, columns], mask[:, columns], completion_mask[:, :width]), width


# 2. Advantages -----------------------------------------------------------------------------------------------------------------------


def estimate(rollout: Rollout, earned: Tensor, beta: float, config: Config) -> tuple[Tensor, Tensor]:
    """Advantages and returns, both (episodes, C): the price of leaving the reference at every token, what was earned at the last real one."""
    mask = rollout.mask
    token_rewards = -beta * kl_per_token(rollout.logprobs, rollout.reference, config.kl_estimator)
    last = mask.sum(1, keepdim=True) - 1
    token_rewards = token_rewards.scatter_add(1, last, earned[:, None])
    if config.whiten_rewards:
        token_rewards = whiten(token_rewards, mask, shift_mean=False)
    advantages, returns = gae(token_rewards, rollout.values, mask, gamma=config.gamma, lam=config.lam)
    return whiten(advantages, mask) if config.whiten_advantages else advantages, returns


# 3. Learn -----------------------------------------------------------------------------------------------------------------------------


def learn(
    ctx: Context,
    actors: Actors,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    advantages: Tensor,
    returns: Tensor,
    update: int,
    ptx: Pretraining | None = None,
) -> dict[str, float]:
    """Several passes over the answers in minibatches, fewer where they lead too far from the policy that wrote them.

    Returns the means of its numbers; `…_start` are those before the first step.
    """
    config: Config = ctx.config
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    sums: dict[str, float] = defaultdict(float)
    start: dict[str, float] = {}
    steps = 0
    for minibatch in minibatches(ctx.seed, update, config):
        tokens = rollout.mask[minibatch].sum()
        numbers: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=ctx.device))
        for part in minibatch[ctx.processes.share].split(micro_batch(config)):
            cut, width = taken(rollout.batch, part)
            mask = cut.completion_mask.bool()
            share = mask.sum() / tokens
            with ctx.autocast():
                judged = rollout.first.pop() if rollout.first else actors.judge(cut, temperature=config.temperature)
            policy = policy_loss(
                judged.logprobs,
                rollout.logprobs[part, :width],
                advantages[part, :width],
                mask,
                clip=config.clip,
                dual_clip=config.dual_clip,
            )
            value = value_loss(
                judged.values, rollout.values[part, :width], returns[part, :width], mask, clip=config.value_clip
            )
            ((policy.loss + config.value_coef * value) * share).backward()
            for name, number in {
                "policy_loss": policy.loss,
                "value_loss": value,
                "ratio": policy.ratio,
                "clip_fraction": policy.clip_fraction,
                "approx_kl": policy.approx_kl,
            }.items():
                numbers[name] += number.detach() * share
        ctx.processes.add_up(numbers.values())
        if steps and config.update_kl_limit is not None and numbers["approx_kl"] > config.update_kl_limit:
            optimizer.zero_grad(set_to_none=True)
            break
        if ptx is not None:
            numbers["ptx_loss"] = ptx.backward((update - 1) * config.epochs * config.minibatches + steps + 1)
        ctx.processes.add_up(p.grad for p in parameters if p.grad is not None)
        numbers["grad_norm"] = nn.utils.clip_grad_norm_(parameters, config.grad_clip or math.inf)
        must_be_finite(numbers["grad_norm"], update)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if not start:
            start = {f"{name}_start": float(numbers[name]) for name in ("ratio", "clip_fraction", "policy_loss")}
        for name, number in numbers.items():
            sums[name] += float(number)
        steps += 1
    done = {} if config.update_kl_limit is None else {"optimizer_steps": steps}
    return {name: total / steps for name, total in sums.items()} | start | done


def minibatches(seed: int, update: int, config: Config) -> Iterator[Tensor]:
    """Row numbers of each optimizer step, every pass in an order of its own."""
    for number in range(config.epochs):
        order = np.random.default_rng([seed, update, number]).permutation(config.episodes)
        yield from torch.from_numpy(order).split(config.episodes // config.minibatches)
