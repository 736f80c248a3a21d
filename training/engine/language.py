"""What pretraining and finetuning share: a language model that learns the next tokens of texts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from models_registry.lm.chain import Loaded
from models_registry.lm.generate import generate_ids
from models_registry.lm.score import Loss
from models_registry.lm.tuning import apply as tuning

from . import data, loop, packing
from .context import Context
from .messages import Message, Refused, _
from .moving import Moving
from .packing import Corpus, Text

SAMPLE_SLOTS = 3
OPENING = 8  # tokens of a text that a sample starts from, where the text has no prompt of its own
ENCODED_AT_ONCE = 512
LONGEST = 4096  # tokens of a piece, for a model whose positions have no end


def corpora(
    ctx: Context,
    accepts: tuple[str, ...],
    encode: Callable[[Sequence[Any]], Iterable[Text]],
    limit: int,
) -> tuple[Corpus, Corpus]:
    """The data set's training and held-out rows as tokens; built once, and found in the cache by a later attempt.

    Raises Refused when there is nothing to train on.
    """

    words = {
        "train": Message("encoding", _("Turning the texts into tokens")),
        "heldout": Message("encoding-heldout", _("Turning the held-out texts into tokens")),
    }

    def texts(split: data.Split) -> Iterator[Text]:
        rows = data.rows(ctx.inputs["dataset"], accepts, split=split, watch=watched(ctx, words[split]))
        if split == "heldout":
            rows = islice(rows, ctx.config.eval_rows)
        for some in batched(rows, ENCODED_AT_ONCE):
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


def watched(ctx: Context, phase: Message) -> Callable[[float], None]:
    """For data.rows: tells people how far it is, and stops the run when asked to."""

    def watch(share: float) -> None:
        ctx.pause_point()
        ctx.phase(phase, share)

    return watch


def batched(rows: Iterator[Any], size: int) -> Iterator[tuple[Any, ...]]:
    while some := tuple(islice(rows, size)):
        yield some


class ByTokens:
    """Pieces of each update, so that updates read about equally many tokens: every epoch goes through all pieces in an order of its own."""

    def __init__(self, lengths: np.ndarray, tokens: int, seed: int) -> None:
        self._lengths, self._seed = lengths, seed
        self.updates = max(1, int(lengths.sum()) // tokens)  # in an epoch
        self._epoch, self._order, self._borders = -1, np.empty(0), np.empty(0)

    def __call__(self, step: int) -> np.ndarray:
        """Piece numbers of update `step` (from 1)."""
        epoch, within = divmod(step - 1, self.updates)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = loop.permutation(len(self._lengths), self._seed, epoch)
            # No piece is longer than an update's share, so every update gets one at least.
            ends = self._lengths[self._order].cumsum()
            shares = ends[-1] * np.arange(self.updates + 1) / self.updates
            self._borders = np.searchsorted(ends, shares, side="right")
        return self._order[self._borders[within] : self._borders[within + 1]]


def train(
    ctx: Context,
    loaded: Loaded,
    corpus: Corpus,
    heldout: Corpus,
    *,
    steps: int,
    pieces_of: Callable[[int], np.ndarray],
    parts: Callable[[Corpus, np.ndarray], list[np.ndarray]],
) -> None:
    """Make what ctx.config.tune names move, train, evaluate, and write the result and its metrics.

    pieces_of(step) → the pieces of `corpus` in an update; parts(corpus, pieces) → the same pieces, as they go through the model at once.
    """
    moving = Moving(ctx, loaded, corpus.read())
    model = loaded.model.eval()
    way = packing.probe(model, int(corpus.lengths.max()))
    if not way.together:
        text = _(
            "Texts cannot be kept apart in one row here, so they are computed in groups: the same result, slower."
        )
        ctx.note(Message("no-flat-rows", text))
    heldout_parts = parts(heldout, np.argsort(heldout.lengths, kind="stable"))

    def evaluate() -> dict[str, float]:
        nats = 0.0
        for pieces in heldout_parts:
            with ctx.autocast():
                nats += packing.summed_loss(model, packing.batch(heldout, pieces), way).item()
        return Loss(nats, heldout.targets, heldout.bytes).as_numbers()

    has_heldout = bool(len(heldout.lengths))
    job = loop.Job(
        steps=steps,
        parameters=moving.parameters,
        batch=lambda step: [packing.batch(corpus, pieces) for pieces in parts(corpus, pieces_of(step))],
        loss=lambda rows: (packing.summed_loss(model, rows, way), {}),
        evaluate=evaluate if has_heldout else None,
        sample=_sampler(ctx, loaded, heldout if has_heldout else corpus),
    )
    numbers = loop.train(ctx, model, job)
    tuning.save(loaded, ctx.output)
    ctx.finish(
        {
            **{f"heldout_{name}": number for name, number in numbers.items()},
            "heldout_texts": heldout.texts,
            "train_texts": corpus.texts,
            "steps": steps,
            "tokens_seen": ctx.tokens_seen,
            **moving.report(),
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
