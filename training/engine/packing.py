"""Texts of any length in one forward pass, without waste: no text looks at another, positions begin anew with each.

A *piece* is a run of tokens that is read, together with the token after each, which is to be predicted; a text that is longer than the
model's context becomes several pieces. The layout of a batch changes how it is computed and not the result; `probe` finds out with numbers
which ways a model can go.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from models_registry.lm.apart import texts_apart

from .contract import write_json
from .cross_entropy import fits, summed

IGNORED = -100  # the target of a place that is not to be learned
LIKE = 0.93  # pieces share a group from this share of its longest on: measured on stories and on sentences, 0.8 to 0.97 tried
SLACK = 4  # tokens that a piece of a group may be shorter in any case
TRIED = 512  # tokens of the longest piece that a probe computes


@dataclass(frozen=True)
class Text:
    """One text for a Corpus. The first `prompt` tokens are read and not learned; `bytes` is the size of what is learned, in UTF-8.

    When it is longer than a piece may be, a text that `splits` becomes several pieces, and any other loses its end.
    """

    ids: Sequence[int]
    prompt: int = 1
    bytes: int = 0
    splits: bool = True


@dataclass(frozen=True)
class Corpus:
    """Texts as one flat array of tokens and the pieces in it.

    Piece i reads tokens[starts[i] : starts[i] + lengths[i]] and predicts the same shifted by one; its first `skips[i]` targets are not
    learned. `texts`: how many texts; `bytes`: UTF-8 size of all that is learned; `cut`: texts of which something was left out.
    """

    tokens: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    skips: np.ndarray
    texts: int
    bytes: int
    cut: int

    @property
    def targets(self) -> int:
        """Tokens that are learned."""
        return int((self.lengths - self.skips).sum())

    @property
    def first_pieces(self) -> np.ndarray:
        """Numbers of the pieces that a text begins with: the others go on where the piece before them ends."""
        ends = self.starts + self.lengths
        return np.flatnonzero(np.append(True, self.starts[1:] != ends[:-1])[: len(self.starts)])

    def read(self) -> Iterator[list[int]]:
        """The tokens that each piece reads."""
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield self.tokens[start : start + length].tolist()

    @classmethod
    def build(cls, folder: Path, name: str, texts: Iterable[Text], limit: int) -> "Corpus":
        """Write texts to `folder` (tokens go to disk as they come) and open the result.

        `limit`: most tokens a piece reads. A text whose prompt alone fills it is left out.
        """
        folder.mkdir(exist_ok=True)
        starts: list[int] = []
        lengths: list[int] = []
        skips: list[int] = []
        place = count = size = cut = 0
        with open(folder / f"{name}.tokens", "wb") as file:
            for text in texts:
                inputs = len(text.ids) - 1
                skip = max(text.prompt - 1, 0)
                if inputs > limit and not text.splits:
                    cut, inputs = cut + 1, limit
                if inputs <= skip:
                    continue
                np.asarray(text.ids, dtype=np.int32).tofile(file)
                for begin in range(0, inputs, limit):
                    length = min(limit, inputs - begin)
                    if skip < begin + length:
                        starts.append(place + begin)
                        lengths.append(length)
                        skips.append(max(skip - begin, 0))
                place, count, size = place + len(text.ids), count + 1, size + text.bytes
        np.save(folder / f"{name}.pieces.npy", np.array([starts, lengths, skips], dtype=np.int64))
        # Written last: a build that was killed is not taken for a whole one.
        write_json(folder / f"{name}.json", {"texts": count, "bytes": size, "cut": cut})
        return cls.open(folder, name)

    @classmethod
    def open(cls, folder: Path, name: str) -> "Corpus":
        """What an earlier attempt built; FileNotFoundError if it did not come to an end."""
        facts = json.loads((folder / f"{name}.json").read_text())
        path = folder / f"{name}.tokens"
        tokens = np.memmap(path, dtype=np.int32, mode="r") if path.stat().st_size else np.empty(0, dtype=np.int32)
        starts, lengths, skips = np.load(folder / f"{name}.pieces.npy")
        return cls(tokens, starts, lengths, skips, **facts)


@dataclass(frozen=True)
class Batch:
    """Pieces as one flat row, in groups of like length (models_registry.lm.apart). ids, positions and targets: (T,).

    weight: number of targets that count; tokens: number of tokens read, padding left out.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor
    groups: list[tuple[int, int]]
    weight: int
    tokens: int


def batch(corpus: Corpus, pieces: np.ndarray) -> Batch:
    """These pieces, the longest first. A piece that is shorter than its group is padded behind, where causal attention does not look."""
    pieces = pieces[np.argsort(-corpus.lengths[pieces], kind="stable")]
    lengths, skips = corpus.lengths[pieces], corpus.skips[pieces]
    ids, positions, targets = [], [], []
    groups = []
    for begin, end in like_lengths(lengths):
        longest = int(lengths[begin])
        within = np.broadcast_to(np.arange(longest), (end - begin, longest))
        real = within < lengths[begin:end, None]
        source = np.where(real, corpus.starts[pieces[begin:end], None] + within, 0)
        learned = real & (within >= skips[begin:end, None])
        ids.append(corpus.tokens[source].ravel())
        positions.append(within.ravel())
        targets.append(np.where(learned, corpus.tokens[source + 1], IGNORED).ravel())
        groups.append((end - begin, longest))
    flat = [torch.from_numpy(np.concatenate(parts).astype(np.int64)) for parts in (ids, positions, targets)]
    return Batch(flat[0], flat[1], flat[2], groups, weight=int((lengths - skips).sum()), tokens=int(lengths.sum()))


def like_lengths(lengths: np.ndarray) -> list[tuple[int, int]]:
    """[begin, end) of runs of like length; `lengths` fall."""
    groups = []
    begin = 0
    while begin < len(lengths):
        least = min(lengths[begin] * LIKE, lengths[begin] - SLACK)
        end = begin + int(np.searchsorted(-lengths[begin:], -least, side="right"))
        groups.append((begin, end))
        begin = end
    return groups


@dataclass(frozen=True)
class Way:
    """How a model computes a batch. `together`: the whole row at once, else group by group. `short`: its logits are its output layer
    over the last hidden state, so that they are computed where they are needed alone."""

    together: bool = False
    short: bool = False


def summed_loss(model: PreTrainedModel, rows: Batch, way: Way) -> Tensor:
    """Sum of the negative log-likelihoods of all targets that count, in nats."""
    targets = rows.targets.to(model.device)
    wanted = targets != IGNORED
    found, targets = states(model, rows, way)[wanted], targets[wanted]
    head = model.get_output_embeddings()
    if way.short and fits(head):
        return summed(found, head, targets)
    logits = head(found) if way.short else found
    return cross_entropy(logits.float(), targets, reduction="sum")


def states(model: PreTrainedModel, rows: Batch, way: Way) -> Tensor:
    """Last hidden states (T, hidden), or without way.short the logits (T, vocabulary)."""

    def computed(ids: Tensor, positions: Tensor) -> Tensor:
        inputs = {"input_ids": ids, "position_ids": positions, "use_cache": False}
        found = model.base_model(**inputs).last_hidden_state if way.short else model(**inputs).logits
        return found.flatten(0, 1)

    ids, positions = rows.ids.to(model.device), rows.positions.to(model.device)
    if way.together:
        with texts_apart(model, rows.groups):
            return computed(ids[None], positions[None])
    sizes = [count * length for count, length in rows.groups]
    parts = zip(rows.groups, ids.split(sizes), positions.split(sizes), strict=True)
    return torch.cat([computed(i.view(shape), p.view(shape)) for shape, i, p in parts])


@torch.no_grad()
def probe(model: PreTrainedModel, length: int, *, tolerance: float = 1e-3) -> Way:
    """The fastest way that gives this model's numbers, tried on arbitrary tokens in pieces of up to `length`. Dropout must be off.

    Some models scale or cap their logits (not `short`); some bring an attention of their own (not `together`). Differences are relative
    to the largest number. A window is where numbers would show it too late: pieces of TRIED tokens may all lie within it.
    """
    longest = max(SLACK + 4, min(length, TRIED))
    sizes = [longest, longest - 2, longest // 2, 3]
    ends = np.cumsum(sizes)
    tokens = np.arange(ends[-1] + 1)[::-1] % model.config.get_text_config().vocab_size
    starts, lengths = ends - sizes, np.array(sizes)
    rows = batch(Corpus(tokens, starts, lengths, np.zeros(len(sizes), dtype=np.int64), 0, 0, 0), np.arange(len(sizes)))
    layer = (
        model.get_output_embeddings()
    )  # None where the head judges whole texts: then hidden states are all that counts
    expected = states(model, rows, Way(short=layer is None))

    def agrees(found: Tensor) -> bool:
        return bool((found - expected).abs().max() <= tolerance * expected.abs().max())

    short = layer is None or agrees(layer(states(model, rows, Way(short=True))))
    about = model.config.get_text_config()
    windows = [getattr(about, name, None) for name in ("sliding_window", "attention_chunk_size")]
    if any(window and length > window for window in windows):
        return Way(together=False, short=short)
    try:
        together = agrees(states(model, rows, Way(together=True, short=layer is None)))
    except Exception:  # whatever an architecture happens to raise that this was not made for
        together = False
    return Way(together, short)
