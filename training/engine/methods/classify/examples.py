"""The labelled texts of a run: tokens, classes and weights, and what goes through the model at once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from models_registry.lm.chain import Loaded
from models_registry.lm.text import encode_judged

from ... import data, language
from ...context import Context
from ...data import LabelledRow
from ...messages import Message, Refused, _
from ...packing import Batch, Corpus, Text, batch
from .config import METHOD, Config

UNEVEN = 4.0  # this many texts of the commonest class for one of the rarest are worth a note


@dataclass(frozen=True)
class Examples:
    """Texts of one split. Piece i of `corpus` is text i; labels (n,) are numbers in `names`."""

    corpus: Corpus
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Thinning:
    """Leaves out this share of the tokens of texts, by random numbers that seed, update and text alone decide."""

    share: float
    seed: int
    step: int

    def kept(self, piece: int, length: int) -> np.ndarray:
        """(length,) bool. The first token, with which the text begins, is kept, and at least one after it."""
        random = np.random.Generator(np.random.Philox(key=[self.seed, self.step], counter=[0, 0, 0, piece]))
        kept = random.random(length) >= self.share
        kept[0] = True
        if length > 1 and not kept[1:].any():
            kept[1 + random.integers(length - 1)] = True
        return kept


@dataclass(frozen=True)
class Micro:
    """Texts that go through the model at once: flat rows (T,), and for each text in their order its number, its class, its weight and the
    place of its last token in the row, all (n,). `shares` (T,): 1 ÷ length of the text that a token belongs to."""

    rows: Batch
    pieces: np.ndarray
    labels: Tensor
    weights: Tensor
    ends: Tensor
    shares: Tensor

    @property
    def weight(self) -> float:
        # A batch of nothing but texts that do not count is an update by zero, not by 0 ÷ 0.
        return float(self.weights.sum()) or 1.0

    @property
    def tokens(self) -> int:
        return self.rows.tokens


def read(ctx: Context, loaded: Loaded, limit: int | None) -> tuple[Examples, Examples]:
    """The texts to train on and the held-out ones, of at most `limit` tokens; classes that held-out texts alone have come last in the latter's names.

    Raises Refused when there is nothing to tell apart.
    """

    def encode(rows: Sequence[LabelledRow]) -> Iterator[Text]:
        end = next(iter(loaded.eos_ids), 0)
        for ids in encode_judged(loaded, [row.text for row in rows]):
            yield Text([*ids, end], splits=False)  # what ends a text is not read; with lm_weight it is foretold

    limit = min(filter(None, (limit, ctx.config.max_length)), default=language.LONGEST)
    corpora = language.corpora(ctx, METHOD.inputs["dataset"].accepts, encode, limit)
    train_labels, heldout_labels = (_labels(ctx, split) for split in ("train", "heldout"))
    counts = Counter(train_labels)
    names = loaded.labels if set(loaded.labels) == counts.keys() else tuple(sorted(counts))
    if len(names) < 2:
        text = _("All training texts have the label “%(label)s”: there is nothing to tell apart.")
        raise Refused(Message("one-class", text, {"label": names[0]}))
    _remark(ctx, counts, heldout_labels)
    unseen = tuple(sorted(set(heldout_labels) - set(names)))
    return (
        Examples(corpora[0], _numbers(train_labels, names), names),
        Examples(corpora[1], _numbers(heldout_labels, names + unseen), names + unseen),
    )


def _labels(ctx: Context, split: data.Split) -> list[str]:
    rows = data.rows(ctx.inputs["dataset"], METHOD.inputs["dataset"].accepts, split=split)
    return [row.label for row in islice(rows, ctx.config.eval_rows if split == "heldout" else None)]


def _numbers(labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[label] for label in labels], dtype=np.int64)


def _remark(ctx: Context, counts: Counter[str], heldout: Sequence[str]) -> None:
    """What people should know of the classes before they read the figures; Refused for weights of classes that are not there."""
    config: Config = ctx.config
    if unknown := sorted(config.given_weights.keys() - counts.keys()):
        text = _("Weights are given for labels that no training text has: %(labels)s. The labels are: %(known)s.")
        known = ", ".join(sorted(counts))
        raise Refused(Message("weights-unknown", text, {"labels": ", ".join(unknown), "known": known}))
    (common, many), (rare, few) = counts.most_common()[0], counts.most_common()[-1]
    if many >= UNEVEN * few and config.class_weights == "none":
        text = _(
            "The classes are uneven: %(many)s texts are “%(common)s” and %(few)s are “%(rare)s”. Accuracy then says little about the rare "
            "ones; look at macro-F1, and consider balanced class weights."
        )
        ctx.note(
            Message("uneven-classes", text, {"many": many, "common": common, "few": few, "rare": rare}), "warning"
        )
    if unseen := Counter(label for label in heldout if label not in counts):
        text = _(
            "%(texts)s held-out texts have labels that no training text has (%(labels)s). The model cannot give them, so these count as wrong."
        )
        params = {"texts": sum(unseen.values()), "labels": ", ".join(sorted(unseen))}
        ctx.note(Message("unseen-labels", text, params), "warning")


def class_weights(config: Config, examples: Examples) -> np.ndarray:
    """(classes,) how much a text of each class counts. Balanced: n ÷ (classes · texts of the class)."""
    if config.class_weights == "balanced":
        counts = np.bincount(examples.labels, minlength=len(examples.names))
        return len(examples) / (len(counts) * counts)
    given = config.given_weights
    return np.array([given.get(name, 1.0) for name in examples.names])


def micro(examples: Examples, pieces: np.ndarray, weights: np.ndarray, thinning: Thinning | None = None) -> Micro:
    """These texts as one batch; `weights` (classes,) as class_weights gives them."""
    corpus, places = examples.corpus, pieces
    if thinning is not None and thinning.share:
        corpus, places = _thinned(corpus, pieces, thinning), np.arange(len(pieces))
    order = np.argsort(-corpus.lengths[places], kind="stable")  # the one that the batch will have: the longest first
    pieces, places = pieces[order], places[order]
    rows, lengths = batch(corpus, places), corpus.lengths[places]
    padded = np.repeat([length for _count, length in rows.groups], [count for count, _length in rows.groups])
    labels = examples.labels[pieces]
    return Micro(
        rows,
        pieces,
        torch.from_numpy(labels),
        torch.from_numpy(weights[labels]).float(),
        ends=torch.from_numpy(padded.cumsum() - padded + lengths - 1),
        shares=torch.from_numpy(np.repeat(1.0 / lengths, padded)).float(),
    )


def _thinned(corpus: Corpus, pieces: np.ndarray, thinning: Thinning) -> Corpus:
    """A small corpus of what is left of these pieces; the token behind a text stays, as what its last one foretells."""
    tokens, lengths = [], []
    for piece in pieces.tolist():
        start, length = int(corpus.starts[piece]), int(corpus.lengths[piece])
        kept = thinning.kept(piece, length)
        tokens.append(corpus.tokens[start : start + length + 1][np.append(kept, True)])
        lengths.append(int(kept.sum()))
    sizes = np.array(lengths)
    starts = np.cumsum(sizes + 1) - sizes - 1
    return Corpus(np.concatenate(tokens), starts, sizes, np.zeros_like(sizes), len(sizes), 0, 0)
