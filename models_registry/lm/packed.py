"""Scoring the completions of one prompt together: the prompt is computed once.

A group becomes one row `[prompt | c1 | … | cK]`. A block mask keeps completions from seeing each other, and positions restart after the
prompt, so each completion is computed as if it alone followed the prompt. Whether an architecture can take this is found out
with numbers (`probe`): a sliding window or a recurrent layer goes wrong without an error. `separate_scores` gives the same
numbers by one row per completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .heads import last_real, score_head


@dataclass(frozen=True)
class Group:
    """One prompt and its completions, as token ids. The prompt and a completion must not both be empty."""

    prompt: Sequence[int]
    completions: Sequence[Sequence[int]]

    @property
    def packed_length(self) -> int:
        return len(self.prompt) + sum(map(len, self.completions))

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest completion: what must fit into the model."""
        return len(self.prompt) + max(map(len, self.completions))

    def cut(self, limit: int | None) -> "Group":
        """Without the start of the prompt, as far as needed for every completion to fit; a completion that does not fit alone loses its
        end. None: no limit."""
        if limit is None or self.longest <= limit:
            return self
        completions = [completion[:limit] for completion in self.completions]
        room = limit - max(map(len, completions))
        return Group(self.prompt[max(len(self.prompt) - room, 0) :], completions)


@dataclass(frozen=True)
class Rows:
    """A batch for the trunk: ids and positions (B, T); mask (B, T) or (B, 1, T, T), bool; `ends` (N, 2): row and column of each
    completion's last real token, group by group."""

    ids: Tensor
    positions: Tensor
    mask: Tensor
    ends: Tensor

    def to(self, device: torch.device | str) -> "Rows":
        return Rows(self.ids.to(device), self.positions.to(device), self.mask.to(device), self.ends.to(device))


def pack(groups: Sequence[Group]) -> Rows:
    """One row per group, padded on the right."""
    length = max(group.packed_length for group in groups)
    ids = torch.zeros(len(groups), length, dtype=torch.long)
    positions = torch.zeros_like(ids)
    segment = torch.full_like(ids, -1)  # 0: prompt, k: k-th completion, -1: padding
    ends = []
    for row, group in enumerate(groups):
        start = 0
        prompt_length = len(group.prompt)
        for number, part in enumerate((group.prompt, *group.completions)):
            stop = start + len(part)
            ids[row, start:stop] = torch.tensor(part, dtype=torch.long)
            first = prompt_length if number else 0
            positions[row, start:stop] = torch.arange(first, first + len(part))
            segment[row, start:stop] = number
            if number:  # an empty completion is read at the prompt's last token
                ends.append((row, stop - 1 if part else prompt_length - 1))
            start = stop
    query, key = segment[:, :, None], segment[:, None, :]
    sees = torch.ones(length, length, dtype=torch.bool).tril() & ((key == 0) | (key == query))
    # Padding sees at least itself, or a softmax over nothing would give NaN.
    return Rows(ids, positions, sees.unsqueeze(1), torch.tensor(ends))


def separate(groups: Sequence[Group]) -> Rows:
    """One row per completion, padded on the right."""
    texts = [[*group.prompt, *completion] for group in groups for completion in group.completions]
    length = max(map(len, texts))
    ids = torch.zeros(len(texts), length, dtype=torch.long)
    mask = torch.zeros(len(texts), length, dtype=torch.bool)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text, dtype=torch.long)
        mask[row, : len(text)] = True
    positions = (mask.long().cumsum(1) - 1).clamp(min=0)
    return Rows(ids, positions, mask, torch.stack([torch.arange(len(texts)), last_real(mask)], dim=1))


def pooled(model: PreTrainedModel, rows: Rows) -> Tensor:
    """Hidden state at the last real token of every completion: (N, hidden)."""
    rows = rows.to(model.device)
    mask = rows.mask
    if mask.ndim == 4 and model.config._attn_implementation == "eager":  # it adds the mask to the logits
        dtype = model.dtype
        mask = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)
    hidden = model.base_model(
        input_ids=rows.ids, attention_mask=mask, position_ids=rows.positions, use_cache=False
    ).last_hidden_state
    return hidden[rows.ends[:, 0], rows.ends[:, 1]]


def packed_scores(model: PreTrainedModel, groups: Sequence[Group]) -> Tensor:
    """Raw scores of all completions, group by group: (N,). The prompt of a group is computed once."""
    return score_head(model)(pooled(model, pack(groups))).squeeze(-1).float()


def separate_scores(model: PreTrainedModel, groups: Sequence[Group]) -> Tensor:
    """The same numbers by one row per completion: (N,)."""
    return score_head(model)(pooled(model, separate(groups))).squeeze(-1).float()


@dataclass(frozen=True)
class Probe:
    """`difference`: the largest difference between packed and separate hidden states, relative to the largest separate one; None if
    the model refused the block mask. `reason` is the error it then gave."""

    difference: float | None
    tolerance: float
    reason: str = ""

    @property
    def agrees(self) -> bool:
        return self.difference is not None and self.difference <= self.tolerance


@torch.no_grad()
def probe(model: PreTrainedModel, groups: Sequence[Group], *, tolerance: float = 1e-4) -> Probe:
    """Compare packed with separate on the two groups with the longest texts, in the model's own precision (run it in fp32).

    It looks at hidden states, so that a head of small weights cannot hide an error. Dropout must be off.
    """
    longest = sorted(groups, key=lambda group: group.longest, reverse=True)[:2]
    expected = pooled(model, separate(longest))
    try:
        found = pooled(model, pack(longest))
    except Exception as error:  # whatever an architecture that does not know block masks happens to raise
        return Probe(None, tolerance, f"{type(error).__name__}: {error}")
    difference = (found - expected).abs().max() / expected.abs().max()
    return Probe(
        float(difference) if difference.isfinite() else None, tolerance, "" if difference.isfinite() else "NaN"
    )
