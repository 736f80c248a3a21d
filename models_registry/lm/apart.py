"""Many texts in one flat row, each seen by itself alone: no mask, and no place wasted between them.

Everything in a model but the attention looks at one token at a time and takes a flat row as it is; the attention is done here, text by
text. A dense mask over a packed row costs the square of the row and gives nothing for it. Two layouts of a row: `texts_apart`, and
`prompts_shared`, where several texts go on from one beginning.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

# Texts of like length, padded to the longest: (how many, their common length), in the order of the row.
Groups = Sequence[tuple[int, int]]
# A beginning and what goes on from it, one after the other: (length of the beginning, lengths of the ends), in the order of the row.
Shared = Sequence[tuple[int, Sequence[int]]]

NAME = "texts_apart"


class _Row(NamedTuple):
    """How the row of the moment is to be attended to, and the length of its longest text."""

    attend: Callable[
        [Tensor, Tensor, Tensor, dict], Tensor
    ]  # q, k, v, each (T, heads, d), and options of SDPA → (T, heads, d)
    longest: int


_row: ContextVar[_Row] = ContextVar("row")


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    **_others: object,
) -> tuple[Tensor, None]:
    """query (1, heads, T, d), key and value (1, key heads, T, d) → (1, T, heads, d), as transformers calls its attentions.

    Raises NotImplementedError for what is more than plain causal attention.
    """
    row = _row.get()
    reaches_past_window = sliding_window is not None and row.longest > sliding_window
    if reaches_past_window or softcap is not None or s_aux is not None or position_bias is not None:
        raise NotImplementedError("this model's attention is more than a plain causal one")
    options = {"dropout_p": dropout, "scale": scaling, "enable_gqa": query.shape[1] != key.shape[1]}
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    return row.attend(q, k, v, options)[None], None


ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)


@contextmanager
def texts_apart(model: PreTrainedModel, groups: Groups) -> Iterator[None]:
    """Within the block the model takes rows (1, T) of these groups; give it position_ids that begin anew with each text.

    Whether an architecture does as it is told is for the caller to find out with numbers: one may bring its own attention.
    """
    sizes = [count * length for count, length in groups]

    def attend(query: Tensor, key: Tensor, value: Tensor, options: dict) -> Tensor:
        found = []
        for (count, length), *states in zip(groups, *(s.split(sizes) for s in (query, key, value)), strict=True):
            q, k, v = (part.view(count, length, *part.shape[1:]).transpose(1, 2) for part in states)
            out = scaled_dot_product_attention(q, k, v, is_causal=True, **options)
            found.append(out.transpose(1, 2).reshape(count * length, *query.shape[1:]))
        return torch.cat(found)

    with _instead(model, _Row(attend, max(length for _count, length in groups))):
        yield


@contextmanager
def prompts_shared(model: PreTrainedModel, groups: Shared) -> Iterator[None]:
    """Within the block the model takes rows (1, T) `[beginning | end | … | end]` a group; positions of each end go on from its beginning.

    An end sees its beginning and itself. As with texts_apart, numbers must show that a model does so.
    """
    sizes = [beginning + sum(ends) for beginning, ends in groups]

    @cache  # every layer asks again
    def goes_on(beginning: int, length: int, device: torch.device) -> Tensor:
        """(length, beginning + length): what an end sees."""
        return torch.ones(length, beginning + length, dtype=torch.bool, device=device).tril(beginning)

    def attend(query: Tensor, key: Tensor, value: Tensor, options: dict) -> Tensor:
        found = []
        for (beginning, ends), *states in zip(groups, *(s.split(sizes) for s in (query, key, value)), strict=True):
            if beginning:
                q, k, v = (part[None, :beginning].transpose(1, 2) for part in states)
                found.append(scaled_dot_product_attention(q, k, v, is_causal=True, **options)[0].transpose(0, 1))
            if longest := max(ends, default=0):
                # Shorter ends are padded behind, where no real token looks: one mask serves all.
                q, k, v = (_side_by_side(part[beginning:], ends) for part in states)
                before = (part[None, :beginning].expand(len(ends), -1, -1, -1) for part in states[1:])
                k, v = (torch.cat(both, 1) for both in zip(before, (k, v), strict=True))
                q, k, v = (part.transpose(1, 2) for part in (q, k, v))
                mask = goes_on(beginning, longest, q.device)
                out = scaled_dot_product_attention(q, k, v, attn_mask=mask, **options).transpose(1, 2)
                found += [out[number, :length] for number, length in enumerate(ends)]
        return torch.cat(found)

    with _instead(model, _Row(attend, max(beginning + max(ends, default=0) for beginning, ends in groups))):
        yield


def _side_by_side(states: Tensor, lengths: Sequence[int]) -> Tensor:
    """(sum of lengths, heads, d) → (how many, the longest, heads, d)."""
    if min(lengths) == max(lengths):
        return states.view(len(lengths), lengths[0], *states.shape[1:])
    return pad_sequence(list(states.split(list(lengths))), batch_first=True)


@contextmanager
def _instead(model: PreTrainedModel, row: _Row) -> Iterator[None]:
    """Put our attention in the place of the model's."""
    configs = {id(part.config): part.config for part in model.modules() if isinstance(part, PreTrainedModel)}
    before = [(config, config._attn_implementation) for config in configs.values()]
    token = _row.set(row)
    try:
        for config in configs.values():
            config._attn_implementation = NAME
        yield
    finally:
        for config, name in before:
            config._attn_implementation = name
        _row.reset(token)
