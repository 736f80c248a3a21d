"""What pretraining and finetuning share: a language model that learns the next tokens of texts, packed into rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from models_registry.lm.chain import Loaded
from models_registry.lm.generate import generate_ids
from models_registry.lm.score import Loss
from models_registry.lm.tuning import apply as tuning

from . import data, loop, packing
from .context import Context
from .messages import Message, Refused, _
from .packing import Corpus, Text

SAMPLE_SLOTS = 3
OPENING = 8  # tokens of a text that a sample starts from, where the text has no prompt of its own
ENCODED_AT_ONCE = 512


def corpora(
    ctx: Context,
    accepts: tuple[str, ...],
    encode: Callable[[Sequence[Any]], Iterable[Text]],
    limit: int,
) -> tuple[Corpus, Corpus]:
    """The data set's training and held-out rows as tokens; built once, and found in the cache by a later attempt.

    Raises Refused when there is nothing to train on.
    """

    def texts(split: data.Split) -> Iterator[Text]:
        rows = data.rows(ctx.inputs["dataset"], accepts, split=split)
        if split == "heldout":
            rows = islice(rows, ctx.config.eval_rows)
        for some in _batched(rows, ENCODED_AT_ONCE):
            ctx.pause_point()
            yield from encode(some)

    found = {}
    for split in ("train", "heldout"):
        try:
            found[split] = Corpus.open(ctx.cache, split)
        except FileNotFoundError:
            found[split] = Corpus.build(ctx.cache, split, texts(split), limit)
    train, heldout = found["train"], found["heldout"]
    if not len(train.lengths):
        raise Refused(
            Message("nothing-to-train-on", _("The data set has no training rows that the model can learn from."))
        )
    if not len(heldout.lengths):
        text = _(
            "The data set has no held-out rows, so this run cannot say how well the model does on texts it has not seen."
        )
        ctx.note(Message("no-heldout-rows", text), "warning")
    if cut := train.cut + heldout.cut:
        text = _("%(cut)s of %(texts)s rows are longer than %(limit)s tokens; what lies beyond is left out.")
        ctx.note(
            Message("rows-cut", text, {"cut": cut, "texts": train.texts + heldout.texts, "limit": limit}), "warning"
        )
    return train, heldout


def _batched(rows: Iterator[Any], size: int) -> Iterator[tuple[Any, ...]]:
    while some := tuple(islice(rows, size)):
        yield some


def keeps_apart(ctx: Context, loaded: Loaded, length: int) -> bool:
    """Whether texts can share a row with this model, found out with numbers; says so to people when they cannot."""
    if packing.separates(loaded.model, length):
        return True
    text = _(
        "This model cannot keep texts apart that share a row, so every text gets a row of its own: the same result, slower."
    )
    ctx.note(Message("no-packing", text))
    return False


def train(
    ctx: Context,
    loaded: Loaded,
    corpus: Corpus,
    heldout: Corpus,
    units: int,
    rows_of: Callable[[np.ndarray], list[list[int]]],
    room: int,
) -> None:
    """Train on `units` shuffled units an epoch, evaluate, write the result and its metrics.

    rows_of(unit numbers) → packed rows (lists of pieces of `corpus`) for one forward pass. `room`: places in a row of the evaluation; 1 puts
    every piece into a row of its own.
    """
    config, model = ctx.config, loaded.model
    trained, total = tuning.counts(loaded)
    ctx.facts(trained_parameters=trained, total_parameters=total)
    all_logits = not packing.plain_output(model, torch.arange(4, device=loaded.device)[None])
    shuffle = loop.Shuffle(units, config.batch_size, ctx.seed)
    at_once = config.micro_batch or config.batch_size

    def batch(step: int) -> list[packing.Batch]:
        chosen = shuffle(step)
        parts = [chosen[begin : begin + at_once] for begin in range(0, len(chosen), at_once)]
        return [packing.batch(corpus, rows_of(part)) for part in parts]

    heldout_rows = (
        [[piece] for piece in range(len(heldout.lengths))] if room == 1 else packing.best_fit(heldout.lengths, room)
    )

    def evaluate() -> dict[str, float]:
        nats = 0.0
        for begin in range(0, len(heldout_rows), at_once):
            with ctx.autocast():
                rows = packing.batch(heldout, heldout_rows[begin : begin + at_once])
                nats += packing.summed_loss(model, rows, all_logits=all_logits).item()
        return Loss(nats, heldout.targets, heldout.bytes).as_numbers()

    has_heldout = bool(len(heldout.lengths))
    sample = _sampler(ctx, loaded, heldout if has_heldout else corpus)
    job = loop.Job(
        steps=loop.updates(config, units),
        parameters=tuning.trained_parameters(loaded),
        batch=batch,
        loss=lambda rows: (packing.summed_loss(model, rows, all_logits=all_logits), {}),
        evaluate=evaluate if has_heldout else None,
        sample=sample,
    )
    numbers = loop.train(ctx, model, job)
    tuning.save(loaded, ctx.output)
    ctx.finish(
        {
            **{f"heldout_{name}": number for name, number in numbers.items()},
            "heldout_texts": heldout.texts,
            "train_texts": corpus.texts,
            "steps": job.steps,
            "tokens_seen": ctx.tokens_seen,
            "trained_parameters": trained,
            "total_parameters": total,
        }
    )


def _sampler(ctx: Context, loaded: Loaded, corpus: Corpus) -> Callable[[int], None]:
    """Texts at the same few prompts, with the same luck, at every evaluation."""
    prompts: list[list[int]] = []
    for piece in corpus.first_pieces:
        start, length, skip = corpus.starts[piece], corpus.lengths[piece], corpus.skips[piece]
        taken = int(skip) + 1 if skip else min(OPENING, int(length) // 2 + 1)
        ids = corpus.tokens[start : start + taken].tolist()
        if ids not in prompts:
            prompts.append(ids)
        if len(prompts) == SAMPLE_SLOTS:
            break

    def sample(step: int) -> None:
        outputs = generate_ids(
            loaded, prompts, max_tokens=ctx.config.sample_tokens, temperature=0.8, top_p=0.95, seed=ctx.seed
        )
        for slot, (ids, output) in enumerate(zip(prompts, outputs, strict=True)):
            ctx.sample(step, loaded.tokenizer.decode(ids, skip_special_tokens=True), output.text, slot)

    return sample
