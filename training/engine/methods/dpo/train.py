"""DPO by TRL's trainer: rankings become pairs, the start scores them once, and the model learns which of each pair is the better one.

Rafailov et al. 2023. The reference is the version the run started from. What it thinks of every answer is computed before the first update, so
no second copy of the model is kept, whatever moves.
"""

from itertools import chain
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

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
    train, heldout = read_rankings(ctx, loaded, longest(config, loaded))
    pairs = [row for ranking in train for row in pair_rows(ranking, config.ties)]
    heldout_pairs = [row for ranking in heldout for row in pair_rows(ranking, "drop")]
    if not pairs:
        text = _("The %(number)s training rankings hold no pair of different answers of which one is better.")
        raise Refused(Message("no-pairs", text, {"number": len(train)}))
    moving = Moving(ctx, loaded, texts(train))

    updates = loop.updates(config, len(pairs))
    eval_every = config.eval_every or max(1, updates // 10)
    with as_it_was(loaded):
        start = answer_logprobs(ctx, loaded, heldout)
    with lent(loaded):
        trainer = Trainer(
            ctx,
            loaded,
            arguments(
                DPOConfig,
                ctx,
                updates=updates,
                rows=config.batch_size,
                at_once=config.at_once,
                loss_type=[config.loss],
                beta=config.beta,
                label_smoothing=config.label_smoothing,
                precompute_ref_log_probs=True,
                max_length=None,
                train_sampling_strategy="sequential",
                eval_strategy="steps" if heldout_pairs else "no",
                eval_steps=eval_every,
            ),
            shown=[ranking.prompt for ranking in (heldout or train)[: config.sample_prompts]],
            show_every=eval_every,
            tokens=config.sample_tokens,
            train_dataset=stored(ctx, "pairs", pairs),
            eval_dataset=stored(ctx, "heldout-pairs", heldout_pairs) if heldout_pairs else None,
        )
        trainer.go()

    figures = trainer.heldout | told_apart(heldout, start, answer_logprobs(ctx, loaded, heldout), config.beta)
    save(loaded, ctx.output)
    ctx.finish(
        {
            **figures,
            "loss": config.loss,
            "train_rankings": len(train),
            "train_pairs": len(pairs),
            "tied_pairs": sum(len(ranking.order.tied_pairs()) for ranking in train),
            "steps": ctx.last_step(updates),
            "tokens_seen": ctx.tokens_seen,
            **moving.report(),
        }
    )


def pair_rows(ranking: Ranking, ties: str) -> list[dict[str, Any]]:
    """TRL's rows of one ranking, as tokens. ties: drop, or both: a tie is two rows, one each way."""
    group = ranking.group
    return [
        {
            "prompt_ids": list(group.prompt),
            "chosen_ids": list(group.completions[better]),
            "rejected_ids": list(group.completions[worse]),
        }
        for better, worse in ranking.pairs(ties)
    ]


class Trainer(Bridge, DPOTrainer):
    """TRL's DPOTrainer on rows that are tokens already, in the order of the run's seed."""

    renamed = {
        "rewards/accuracies": "accuracy",
        "rewards/margins": "margin",
        "rewards/chosen": "chosen_reward",
        "rewards/rejected": "rejected_reward",
        "logps/chosen": "chosen_logprob",
        "logps/rejected": "rejected_logprob",
        "entropy": "entropy",
    }

    def numbers(self, logs: dict[str, float]) -> dict[str, float | None]:
        numbers = super().numbers(logs)
        if numbers.get("margin") == 0:
            numbers.pop("accuracy")  # the model is still its own reference, and no pair stands either way
        return numbers

    def _prepare_dataset(self, dataset: Dataset, *_args: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """Each pair once, then in the order of training."""
        ready = super()._precompute_ref_logps(dataset, name, batch_size)
        if name != "train":
            return ready
        shuffle = loop.Shuffle(len(ready), self.ctx.config.batch_size, self.ctx.seed)
        return ready.select(list(chain.from_iterable(shuffle(step) for step in range(1, self.updates + 1))))

    def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
        self.ctx.pause_point()
        with as_it_was(self.loaded):
            return super().compute_ref_log_probs(model, inputs)
