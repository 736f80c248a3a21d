"""Texts of any length in rows of one length: several texts share a row, no text looks at another, positions restart with each.

A *piece* is a run of tokens that is read, together with the token after each, which is to be predicted; a text that is longer than a row
becomes several pieces. Packing changes the layout of the computation and not its result; `separates` finds out with numbers whether
a model sees it so, and rows of one piece each are the answer for one that does not.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from .contract import write_json

IGNORED = -100  # the target of a place that is not to be learned


@dataclass(frozen=True)
class Text:
    """One text for a Corpus. The first `prompt` tokens are read and not learned; `bytes` is the size of what is learned, in UTF-8.

    When it is longer than a row, a text that `splits` becomes several pieces, and any other loses its end.
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
    """Packed rows: ids, positions and targets, each (rows, T); in the padding positions count on their own and targets are IGNORED.

    weight: number of targets that count; tokens: number of tokens read.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor
    weight: int
    tokens: int

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.ids.to(device), self.positions.to(device), self.targets.to(device), self.weight, self.tokens)


def best_fit(lengths: Sequence[int] | np.ndarray, room: int) -> list[list[int]]:
    """Which pieces share a row of `room` places: longest first, each into the fullest row that still takes it.

    Best-fit decreasing fills rows of documents almost wholly and cuts none (Ding et al. 2024, Fewer truncations improve language modeling).
    """
    rows: list[list[int]] = []
    open_rows: list[list[int]] = [[] for _ in range(room + 1)]  # rows by the room that is left in them
    has_room = 0  # bit r is set while open_rows[r] is not empty
    for piece in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        length = int(lengths[piece])
        fits = has_room >> length
        if fits:
            left = (fits & -fits).bit_length() - 1 + length  # the least room that suffices
            row = open_rows[left].pop()
            if not open_rows[left]:
                has_room ^= 1 << left
        else:
            left, row = room, len(rows)
            rows.append([])
        rows[row].append(piece)
        left -= length
        if left:
            open_rows[left].append(row)
            has_room |= 1 << left
    return rows


def batch(corpus: Corpus, rows: Sequence[Sequence[int]]) -> Batch:
    """Rows of pieces as tensors, as long as the fullest row."""
    pieces = np.array([piece for row in rows for piece in row])
    row_of = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    lengths = corpus.lengths[pieces]
    total = int(lengths.sum())
    ends = lengths.cumsum()
    within = np.arange(total) - np.repeat(ends - lengths, lengths)  # place in the piece
    source = np.repeat(corpus.starts[pieces], lengths) + within
    filled = np.bincount(row_of, weights=lengths, minlength=len(rows)).astype(np.int64)
    row = np.repeat(row_of, lengths)
    column = np.arange(total) - np.repeat(filled.cumsum() - filled, filled)

    shape = len(rows), int(filled.max())
    ids = np.zeros(shape, dtype=np.int64)
    targets = np.full(shape, IGNORED, dtype=np.int64)
    positions = np.arange(shape[1]) - np.minimum(filled, shape[1] - 1)[:, None]  # the padding counts from 0
    ids[row, column] = corpus.tokens[source]
    positions[row, column] = within
    learned = within >= np.repeat(corpus.skips[pieces], lengths)
    targets[row[learned], column[learned]] = corpus.tokens[source[learned] + 1]
    return Batch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        targets=torch.from_numpy(targets),
        weight=int(learned.sum()),
        tokens=total,
    )


def summed_loss(model: PreTrainedModel, rows: Batch, *, all_logits: bool = False) -> Tensor:
    """Sum of the negative log-likelihoods of all targets that count, in nats.

    Logits are computed where they are needed alone, by the output layer; `all_logits` goes through the model's whole forward, for models
    that do more to their logits than that (see `plain_output`).
    """
    rows = rows.to(model.device)
    wanted = rows.targets != IGNORED
    if all_logits:
        logits = model(input_ids=rows.ids, position_ids=rows.positions, use_cache=False).logits[wanted]
    else:
        hidden = model.base_model(input_ids=rows.ids, position_ids=rows.positions, use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[wanted])
    return cross_entropy(logits.float(), rows.targets[wanted], reduction="sum")


@torch.no_grad()
def plain_output(model: PreTrainedModel, ids: Tensor) -> bool:
    """Whether the model's logits are just its output layer over the last hidden state (Gemma, Cohere and others scale them)."""
    whole = model(input_ids=ids, use_cache=False).logits
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    return torch.allclose(whole, model.get_output_embeddings()(hidden), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def separates(model: PreTrainedModel, length: int, *, tolerance: float = 1e-3) -> bool:
    """Whether the model keeps the texts of a row apart: the hidden states of two packed pieces against each on its own.

    Tokens are arbitrary; dropout must be off. The difference is relative to the largest hidden state.
    """
    half = max(2, min(length // 2, 64))
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(2 * half, device=model.device).remainder(vocabulary).flip(0)[None]
    apart = torch.arange(half, device=model.device)
    packed = model.base_model(input_ids=ids, position_ids=torch.cat([apart, apart])[None], use_cache=False)
    single = model.base_model(input_ids=ids.view(2, half), use_cache=False)
    expected = single.last_hidden_state.flatten(0, 1)
    difference = (packed.last_hidden_state[0] - expected).abs().max() / expected.abs().max()
    return bool(difference <= tolerance)
