"""Soft prompts: where their training starts, their folders (PEFT's), and different ones for the rows of one batch.

Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning. How they are put in front of a text stands in leading.py.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import leading
from .problems import Problem, Unfit, _
from .tuning.config import TunePrefix, TuneSoftPrompt

if TYPE_CHECKING:
    from .chain import Loaded

COMMON = 5000  # how many of the commonest tokens a start is drawn from (Lester et al. 2021, section 3.2)


def commonest(texts: Iterable[Sequence[int]], *, limit: int = COMMON) -> list[int]:
    """The commonest tokens of tokenized texts, the commonest first; of equally common ones the lower id."""
    counts: Counter[int] = Counter()
    for ids in texts:
        counts.update(map(int, ids))
    return sorted(counts, key=lambda token: (-counts[token], token))[:limit]


@torch.no_grad()
def start(loaded: "Loaded", tune: TuneSoftPrompt, *, common: Sequence[int] = (), labels: Sequence[str] = ()) -> Tensor:
    """Embeddings to start from: (length, hidden), float32. What is drawn comes from torch's random state.

    random: uniform in [-0.5, 0.5]. vocabulary: the embeddings of different tokens, drawn from `common`; without it, from the first 5000
    of the vocabulary, which tokenizers order by their frequency. text: the tokens of the text, repeated or cut to the length. labels: for
    each of `tune.labels`, or else of `labels`, the mean of its tokens' embeddings; places left over as with vocabulary. Raises
    ValueError when there is no label, or a text that has no token.
    """
    embed = loaded.model.get_input_embeddings()
    if tune.init == "random":
        return torch.rand(tune.length, loaded.model.config.get_text_config().hidden_size) - 0.5
    if tune.init == "vocabulary":
        return _embedded(embed, drawn(loaded, tune.length, common))
    if tune.init == "text":
        ids = _tokens(loaded, tune.text)
        return _embedded(embed, (ids * -(-tune.length // len(ids)))[: tune.length])
    names = tune.labels or list(labels)
    if not names:
        text = _("a soft prompt cannot start at the labels where there are none: name them, or choose another start")
        raise Unfit(Problem(text))
    means = [_embedded(embed, _tokens(loaded, name)).mean(0) for name in names[: tune.length]]
    rest = tune.length - len(means)
    return torch.cat([torch.stack(means), *([_embedded(embed, drawn(loaded, rest, common))] if rest else [])])


@torch.no_grad()
def prefix_start(loaded: "Loaded", tune: TunePrefix, *, common: Sequence[int] = ()) -> Tensor:
    """Keys and values to start a prefix from: those that tokens drawn from the vocabulary have, (length, layers · 2 · heads · size), float32.

    Starting from the activations of real words is far better than starting at random (Li and Liang 2021, section 7.4). Where other virtual
    tokens lead the model already, the new prefix begins as what would follow them.
    """
    layers, heads, size = leading.prefix_shape(loaded.model)
    ids = torch.tensor([drawn(loaded, tune.length, common)], device=loaded.device)
    cache = loaded.model.base_model(input_ids=ids, use_cache=True).past_key_values
    states = torch.stack(
        [torch.stack([layer.keys[0, :, -tune.length :], layer.values[0, :, -tune.length :]]) for layer in cache.layers]
    )
    return states.float().permute(3, 0, 1, 2, 4).reshape(tune.length, layers * 2 * heads * size)


def drawn(loaded: "Loaded", count: int, common: Sequence[int]) -> list[int]:
    """So many tokens from `common` or from the first of the vocabulary, without special ones; no token twice before all are used."""
    special = set(loaded.tokenizer.all_special_ids)
    size = loaded.model.get_input_embeddings().weight.shape[0]
    choice = [token for token in (common or range(min(COMMON, size))) if token not in special]
    if not choice:
        raise Unfit(Problem(_("there are no tokens to start a soft prompt from")))
    order: list[int] = []
    while len(order) < count:
        order += torch.randperm(len(choice)).tolist()
    return [choice[place] for place in order[:count]]


def _tokens(loaded: "Loaded", text: str) -> list[int]:
    ids = list(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise Unfit(Problem(_("the text “%(text)s” has no tokens to start a soft prompt from"), text=text))
    return ids


def _embedded(embed: Any, ids: Sequence[int]) -> Tensor:
    return embed(torch.tensor(list(ids), device=embed.weight.device)).float()


@contextmanager
def rows(loaded: "Loaded", names: Sequence[str | None]) -> Iterator[None]:
    """Within the block, row i of every batch has the soft prompt names[i], or none, instead of those that are on.

    They may differ in length: each row gives what it gives alone. Prefixes and adapters that are on stay on. Raises ValueError for a
    name that is no soft prompt of this model.
    """
    state = leading.make(loaded.model)
    if unknown := sorted({name for name in names if name is not None and name not in state.prompts}):
        raise ValueError(f"no such soft prompt: {', '.join(unknown)}")
    before, state.rows = state.rows, tuple(names)
    try:
        yield
    finally:
        state.rows = before
