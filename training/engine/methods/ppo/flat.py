"""Prompts and answers in one flat row, in which nothing is padded but texts of nearly the same length."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models_registry.lm.score import Padded

from ...packing import Batch, like_lengths


class Flat(NamedTuple):
    """The N tokens of all answers, row by row of the Padded: `places` of the row at which each is predicted, and their `ids`; both (N,)."""

    batch: Batch
    places: Tensor
    ids: Tensor


def flat(given: Padded) -> Flat:
    """The longest first. The last token of an answer predicts nothing, and is not read."""
    width = given.completion_length
    mask = given.mask.cpu().numpy()
    answers = mask[:, mask.shape[1] - width :].sum(1)
    before = mask.shape[1] - width
    prompts = mask[:, :before].sum(1)
    lengths = prompts + answers - 1
    order = np.argsort(-lengths, kind="stable")
    starts = np.empty_like(lengths)  # where each text begins in the row
    sources, positions, groups, end = [], [], [], 0
    for first, last in like_lengths(lengths[order]):
        rows, longest = order[first:last], int(lengths[order[first]])
        within = np.broadcast_to(np.arange(longest), (last - first, longest))
        columns = np.minimum((before - prompts[rows])[:, None] + within, mask.shape[1] - 1)
        sources.append((rows[:, None] * mask.shape[1] + columns).ravel())
        positions.append(within.ravel())
        groups.append((last - first, longest))
        starts[rows] = end + np.arange(last - first) * longest
        end += (last - first) * longest
    row, within = np.nonzero(mask[:, before:])
    places = starts[row] + prompts[row] - 1 + within

    def tensor(numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers.astype(np.int64)).to(given.ids.device)

    ids = given.ids.flatten()[tensor(np.concatenate(sources))]
    targets = torch.zeros_like(ids)
    tokens = int(lengths.sum())
    batch = Batch(ids, tensor(np.concatenate(positions)), targets, groups, weight=tokens, tokens=tokens)
    return Flat(batch, tensor(places), given.ids[:, before:][given.completion_mask.bool()])
