"""Many texts in one flat row, each seen by itself alone: no mask, and no place wasted between them.

Texts of like length form a *group*, padded to its longest; a row is its groups one after the other. Everything in a model but the attention
looks at one token at a time and takes the row as it is; the attention is done here, group by group, as a plain causal one. A dense
mask over a packed row costs the square of the row and gives nothing for it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

Groups = Sequence[tuple[int, int]]  # (how many texts, their common length), in the order of the row

_NAME = "texts_apart"
_groups: ContextVar[Groups] = ContextVar("groups")


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
    groups = _groups.get()
    reaches_past_window = sliding_window is not None and max(length for _count, length in groups) > sliding_window
    if reaches_past_window or softcap is not None or s_aux is not None or position_bias is not None:
        raise NotImplementedError("this model's attention is more than a plain causal one")
    sizes = [count * length for count, length in groups]
    parts = zip(groups, *(states.transpose(1, 2).split(sizes, 1) for states in (query, key, value)), strict=True)
    found = []
    for (count, length), *states in parts:
        q, k, v = (part.view(count, length, *part.shape[2:]).transpose(1, 2) for part in states)
        shared = q.shape[1] != k.shape[1]
        out = scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=shared
        )
        found.append(out.transpose(1, 2).reshape(1, count * length, *query.shape[1::2]))
    return torch.cat(found, 1), None


ALL_ATTENTION_FUNCTIONS.register(_NAME, _attention)


@contextmanager
def texts_apart(model: PreTrainedModel, groups: Groups) -> Iterator[None]:
    """Within the block the model takes rows (1, T) of these groups; give it position_ids that begin anew with each text.

    Whether an architecture does as it is told is for the caller to find out with numbers: one may bring its own attention.
    """
    configs = {id(part.config): part.config for part in model.modules() if isinstance(part, PreTrainedModel)}
    before = [(config, config._attn_implementation) for config in configs.values()]
    token = _groups.set(groups)
    try:
        for config in configs.values():
            config._attn_implementation = _NAME
        yield
    finally:
        for config, name in before:
            config._attn_implementation = name
        _groups.reset(token)
