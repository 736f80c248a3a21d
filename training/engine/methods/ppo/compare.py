"""The result against its start on held-out prompts: who writes better by the reward, and what that cost."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from models_registry.lm.generate import Output
from models_registry.lm.score import padded

from ...context import Context
from ...diversity import distinct_ngrams
from ...intervals import wilson
from ...messages import Message, _
from .actors import Actors
from .prompts import Tokenized
from .scoring import RewardFunction, shared_scores
from .writing import write

AT_ONCE = 32  # answers in one forward pass, where a run does not say how many may be


def compare(ctx: Context, actors: Actors, prompts: Sequence[Tokenized], reward: RewardFunction) -> dict[str, Any]:
    """Both answer every prompt with the same random numbers. Returns figures of the result, and of the start as `…_start`; each pair of
    answers goes into samples.jsonl of the run. Empty without prompts.

    win_rate counts a tie as half; kl is in nats an answer; loss_under_base in nats a token, at temperature 1.
    """
    if not prompts:
        return {}
    before = answers(ctx, actors, prompts, start=True)
    after = answers(ctx, actors, prompts, start=False)
    scores_before = shared_scores(ctx, reward, prompts, before)
    scores_after = shared_scores(ctx, reward, prompts, after)
    kl, loss_after = departure(ctx, actors, prompts, after)
    _kl, loss_before = departure(ctx, actors, prompts, before)

    n = len(prompts)
    wins, ties = int((scores_after > scores_before).sum()), int((scores_after == scores_before).sum())
    low, high = wilson(wins + ties / 2, n)
    figures: dict[str, Any] = {
        "heldout_prompts": n,
        "wins": wins,
        "ties": ties,
        "losses": n - wins - ties,
        "win_rate": (wins + ties / 2) / n,
        "win_rate_low": low,
        "win_rate_high": high,
        "kl": kl,
        "kl_per_token": kl * n / sum(len(output.token_ids) for output in after),
    }
    for suffix, outputs, scores, loss in (("", after, scores_after, loss_after), ("_start", before, scores_before, loss_before)):  # fmt: skip
        within, across = distinct_ngrams([output.text for output in outputs])
        figures |= {
            f"reward{suffix}": float(scores.mean()),
            f"loss_under_base{suffix}": loss,
            f"distinct_within{suffix}": within,
            f"distinct_across{suffix}": across,
            f"length{suffix}": sum(len(output.token_ids) for output in outputs) / n,
            f"eos_rate{suffix}": sum(output.finish_reason != "length" for output in outputs) / n,
        }
    if ctx.is_main:
        with open(ctx.run_dir / "samples.jsonl", "w", encoding="utf-8") as file:
            for prompt, old, new, old_score, new_score in zip(
                prompts, before, after, scores_before.tolist(), scores_after.tolist(), strict=True
            ):
                pair = {"prompt": prompt.prompt, "before": old.text, "after": new.text}
                pair |= {"reward_before": old_score, "reward_after": new_score}
                file.write(json.dumps(pair, ensure_ascii=False) + "\n")
    text = _("On %(prompts)s held-out prompts the result wins %(share).0f %% by the reward (%(low).0f to %(high).0f %%), at a KL of %(kl).1f nats an answer.")  # fmt: skip
    params = {"prompts": n, "share": 100 * figures["win_rate"], "low": 100 * low, "high": 100 * high, "kl": kl}
    ctx.note(Message("compared", text, params), "warning" if figures["kl_per_token"] > ctx.config.kl_limit else "info")
    return figures


def standing(
    ctx: Context, actors: Actors, prompts: Sequence[Tokenized], reward: RewardFunction
) -> tuple[float, float]:
    """(KL to the start in nats an answer, mean score) of the policy as it now is, by answers of its own to these prompts."""
    outputs = answers(ctx, actors, prompts, start=False)
    kl, _loss = departure(ctx, actors, prompts, outputs)
    return kl, float(shared_scores(ctx, reward, prompts, outputs).mean())


def answers(ctx: Context, actors: Actors, prompts: Sequence[Tokenized], *, start: bool) -> list[Output]:
    """One to each prompt, by the result or by its start."""
    with actors.reference() if start else nullcontext(actors.loaded) as writer:
        return ctx.processes.shared(list(enumerate(prompts)), lambda some: write(ctx, writer, some))


@torch.no_grad()
def departure(
    ctx: Context, actors: Actors, prompts: Sequence[Tokenized], outputs: Sequence[Output]
) -> tuple[float, float]:
    """KL(policy ‖ reference) in nats an answer, estimated on `outputs` (k1), and their loss under the reference in nats a token."""
    temperature = ctx.config.temperature
    kl, nats, tokens = totals = torch.zeros(3, dtype=torch.float64, device=ctx.device)
    mine = list(zip(prompts, outputs, strict=True))[ctx.processes.share]
    at_once = min(ctx.config.micro_batch or AT_ONCE, AT_ONCE)
    for begin in range(0, len(mine), at_once):
        ctx.pause_point()
        part = mine[begin : begin + at_once]
        batch = padded([p.ids for p, _o in part], [output.token_ids for _p, output in part], ctx.device)
        mask = batch.completion_mask.bool()

        def total(x: Tensor, mask: Tensor = mask) -> Tensor:
            return torch.where(mask, x, 0).double().sum()

        with ctx.autocast():
            policy = actors.judge(batch, temperature=temperature).logprobs
            kl += total(policy - actors.reference_logprobs(batch, temperature=temperature))
            nats -= total(actors.reference_logprobs(batch, temperature=1.0))
        tokens += mask.sum()
    ctx.processes.add_up([totals])
    return float(kl / len(outputs)), float(nats / tokens)
