"""KTO by TRL's trainer: each answer is wanted or unwanted, by the acceptability line of the ranking that it stands in.

Ethayarajh et al. 2024. The reference is the version the run started from. What it thinks of every answer is computed before the first update, so
no second copy of the model is kept, whatever moves.
"""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from trl import KTOConfig, KTOTrainer

from labeling.ranking import WeakOrder
from models_registry.lm.chain import load
from models_registry.lm.tuning.apply import save

from ... import loop
from ...context import Context
from ...messages import Message, Refused, _
from ...moving import Moving
from ...trl.bridge import Bridge, arguments, lent
from ...trl.rankings import Ranking, answer_logprobs, as_it_was, longest, read_rankings, stored, texts, told_apart
from .config import Config


def run(ctx: Context) -> None:
    config: Config = ctx.config
    loaded = load(ctx.inputs["base"], device=ctx.device)
    limit = longest(config, loaded)
    train, heldout = read_rankings(ctx, loaded, limit)
    answers, heldout_answers = judged(ctx, train), judged(ctx, heldout, told=False)
    wanted = sum(row["label"] for row in answers)
    unwanted = len(answers) - wanted
    if not wanted or not unwanted:
        text = _("KTO needs answers of both sides of the line; of the training rankings' answers %(wanted)s are wanted and %(unwanted)s are not.")  # fmt: skip
        raise Refused(Message("one-sided", text, {"wanted": wanted, "unwanted": unwanted}))
    moving = Moving(ctx, loaded, texts(train))

    updates = loop.updates(config, len(answers))
    eval_every = config.eval_every or max(1, updates // 10)
    shuffle = loop.Shuffle(len(answers), config.batch_size, ctx.seed)
    order = [int(row) for step in range(1, updates + 1) for row in shuffle(step)]
    # With both sides' sums alike the mean weight stays 1.
    weights: dict[str, Any] = {
        "desirable_weight": config.desirable_weight or len(answers) / (2 * wanted),
        "undesirable_weight": config.undesirable_weight or len(answers) / (2 * unwanted),
    }
    mismatch = config.at_once if config.loss == "kto" else None
    with as_it_was(loaded):
        start = answer_logprobs(ctx, loaded, heldout)
    with lent(loaded):
        trainer = Trainer(
            ctx,
            loaded,
            arguments(
                KTOConfig,
                ctx,
                updates=updates,
                rows=config.batch_size,
                at_once=config.at_once,
                loss_type=config.loss,
                beta=config.beta,
                **weights,
                precompute_ref_log_probs=True,
                max_length=limit,  # an answer may not fit behind its neighbour's prompt
                eval_strategy="steps" if heldout_answers else "no",
                eval_steps=eval_every,
            ),
            shown=[ranking.prompt for ranking in (heldout or train)[: config.sample_prompts]],
            show_every=eval_every,
            tokens=config.sample_tokens,
            train_dataset=stored(ctx, f"answers-{limit}", mismatched([answers[row] for row in order], mismatch)),
            eval_dataset=stored(ctx, f"heldout-answers-{limit}", mismatched(heldout_answers, mismatch))
            if heldout_answers
            else None,
        )
        trainer.go()

    figures = trainer.heldout | told_apart(heldout, start, answer_logprobs(ctx, loaded, heldout), config.beta)
    save(loaded, ctx.output)
    ctx.finish(
        {
            **figures,
            "loss": config.loss,
            "train_rankings": len(train),
            "wanted": wanted,
            "unwanted": unwanted,
            **weights,
            "steps": ctx.last_step(updates),
            "tokens_seen": ctx.tokens_seen,
            **moving.report(),
        }
    )


def judged(ctx: Context, rankings: Sequence[Ranking], *, told: bool = True) -> list[dict[str, Any]]:
    """TRL's rows, as tokens: {"prompt_ids", "completion_ids", "label": wanted}. Refused where a line is missing and the settings want one."""
    policy = ctx.config.without_line
    without = sum(ranking.order.line is None for ranking in rankings)
    if without and policy == "refuse":
        text = _("%(number)s of %(all)s rankings have no acceptability line, so they say of no answer that it is good enough. Leave them out, or let their first tier count as wanted and their last as unwanted (“without_line”).")  # fmt: skip
        raise Refused(Message("no-line", text, {"number": without, "all": len(rankings)}))
    if without and told:
        text = (
            _("%(number)s of %(all)s rankings have no acceptability line; their first tier counts as wanted, their last as unwanted.")
            if policy == "tiers"
            else _("%(number)s of %(all)s rankings have no acceptability line and are left out.")
        )  # fmt: skip
        ctx.note(Message("without-line", text, {"number": without, "all": len(rankings)}))
    return [
        {"prompt_ids": list(ranking.group.prompt), "completion_ids": list(answer), "label": label}
        for ranking in rankings
        for answer, label in zip(
            ranking.group.completions, labels(ranking.order, tiers=policy == "tiers"), strict=True
        )
        if label is not None
    ]


def labels(order: WeakOrder, *, tiers: bool) -> tuple[bool | None, ...]:
    """Per answer: wanted, unwanted, or None where the ranking does not say. Without a line `tiers` takes the first and the last level."""
    if order.line is not None or not tiers or len(order.levels) < 2:
        return order.acceptable()
    first, last = order.levels[0], order.levels[-1]
    return tuple(True if item in first else False if item in last else None for item in range(order.items))


def mismatched(rows: list[dict[str, Any]], at_once: int | None) -> list[dict[str, Any]]:
    """Each row also with the answer of its neighbour among those that go through the model together: TRL estimates the KL on these
    (Ethayarajh et al. 2024, section 4.1). None: the loss needs no KL."""
    if at_once is None:
        return rows
    return [
        row | {"KL_completion_ids": rows[begin + (place - 1) % min(at_once, len(rows) - begin)]["completion_ids"]}
        for begin in range(0, len(rows), at_once)
        for place, row in enumerate(rows[begin : begin + at_once])
    ]


class Trainer(Bridge, KTOTrainer):
    """TRL's KTOTrainer on rows that are tokens already."""

    renamed = {
        "kl": "kl",
        "rewards/margins": "margin",
        "rewards/chosen": "chosen_reward",
        "rewards/rejected": "rejected_reward",
        "logps/chosen": "chosen_logprob",
        "logps/rejected": "rejected_logprob",
        "entropy": "entropy",
    }

    def _prepare_dataset(self, dataset: Dataset, *_args: Any) -> Dataset:
        return dataset

    def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
        self.ctx.pause_point()
        with as_it_was(self.loaded):
            return super().compute_ref_log_probs(model, inputs)
