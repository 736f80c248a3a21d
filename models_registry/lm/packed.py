"""Scoring the completions of one prompt together: the prompt is computed once.

A group becomes `[prompt | c1 | … | cK]`. Completions do not see each other, and positions restart after the prompt, so each completion is
computed as if it alone followed the prompt. Three ways, the same numbers:

- `flat`: all groups in one row, our own attention (apart.prompts_shared): nothing is padded, nothing is masked away.
- `masked`: a row a group, padded to the longest, the model's own attention under a block mask.
- `separate`: a row a completion.

Which of them an architecture can take is found out with numbers (`probe`): a sliding window or a recurrent layer goes wrong without an error.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .apart import Shared, prompts_shared
from .heads import last_real, score_head

Way = Literal["flat", "masked", "separate"]


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
    """A batch for the trunk: ids and positions (B, T); mask (B, T) or (B, 1, T, T), bool, or in place of it the layout of the one flat row;
    `ends` (N, 2): row and column of each completion's last real token, group by group."""

    ids: Tensor
    positions: Tensor
    mask: Tensor | None
    ends: Tensor
    shared: Shared = ()

    def to(self, device: torch.device | str) -> "Rows":
        mask = None if self.mask is None else self.mask.to(device)
        return Rows(self.ids.to(device), self.positions.to(device), mask, self.ends.to(device), self.shared)


def flat(groups: Sequence[Group]) -> Rows:
    """All groups in one row, one after the other."""
    ids: list[int] = []
    positions: list[int] = []
    ends: list[tuple[int, int]] = []
    for group in groups:
        ids += group.prompt
        positions += range(len(group.prompt))
        last = len(ids) - 1  # an empty completion is read at the prompt's last token
        for completion in group.completions:
            ids += completion
            positions += range(len(group.prompt), len(group.prompt) + len(completion))
            ends.append((0, len(ids) - 1 if completion else last))
    shared = [(len(group.prompt), [len(completion) for completion in group.completions]) for group in groups]
    return Rows(torch.tensor(ids)[None], torch.tensor(positions)[None], None, torch.tensor(ends), shared)


def masked(groups: Sequence[Group]) -> Rows:
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
    if (
        mask is not None and mask.ndim == 4 and model.config._attn_implementation == "eager"
    ):  # it adds the mask to the logits
        dtype = model.dtype
        mask = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)
    with prompts_shared(model, rows.shared) if rows.shared else nullcontext():
        hidden = model.base_model(
            input_ids=rows.ids, attention_mask=mask, position_ids=rows.positions, use_cache=False
        ).last_hidden_state
    return hidden[rows.ends[:, 0], rows.ends[:, 1]]


ROWS: dict[Way, Callable[[Sequence[Group]], Rows]] = {"flat": flat, "masked": masked, "separate": separate}


def scores(model: PreTrainedModel, groups: Sequence[Group], way: Way = "separate") -> Tensor:
    """Raw scores of all completions, group by group: (N,). The ways differ in what they cost; `probe` knows which are right."""
    return read(model, pooled(model, ROWS[way](groups)))


def read(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """The head's raw scores of pooled states: (N, hidden) → (N,)."""
    head = score_head(model)
    # The last product in the head's own precision: a score in bf16 has three digits, and close outputs would look tied.
    with torch.autocast(hidden.device.type, enabled=False):
        return head(hidden.to(next(head.parameters()).dtype)).squeeze(-1).float()


@dataclass(frozen=True)
class Probe:
    """`way`: the fastest whose hidden states are those of `separate`; `difference`: the largest, relative to the largest separate one, of that
    way, or where only `separate` is right, of the last that was tried, None if the model refused it; `reason`: the error it then gave."""

    way: Way
    difference: float | None
    tolerance: float
    reason: str = ""

    @property
    def shares(self) -> bool:
        """Whether a prompt can be computed once for all its completions."""
        return self.way != "separate"


@torch.no_grad()
def probe(model: PreTrainedModel, groups: Sequence[Group], *, tolerance: float = 1e-4) -> Probe:
    """Compare the ways on the two groups with the longest texts, in the model's own precision (run it in fp32).

    It looks at hidden states, so that a head of small weights cannot hide an error. Dropout must be off.
    """
    longest = sorted(groups, key=lambda group: group.longest, reverse=True)[:2]
    expected = pooled(model, separate(longest))
    difference, reason = None, ""
    ways: tuple[Way, ...] = ("flat", "masked")
    for way in ways:
        try:
            found = pooled(model, ROWS[way](longest))
        except Exception as error:  # whatever an architecture that does not know such rows happens to raise
            difference, reason = None, f"{type(error).__name__}: {error}"
            continue
        apart = (found - expected).abs().max() / expected.abs().max()
        difference, reason = (float(apart), "") if apart.isfinite() else (None, "NaN")
        if difference is not None and difference <= tolerance:
            return Probe(way, difference, tolerance)
    return Probe("separate", difference, tolerance, reason)
