"""Scoring text: log-probabilities of completions, loss of documents, rewards."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from .chain import Loaded, active_head
from .generate import positions
from .heads import read_scale, score_head
from .members import members_of
from .packed import Group, pooled, read, separate
from .text import Prompt, encode_documents, encode_judged, encode_pairs


@dataclass(frozen=True)
class Padded:
    """Prompts padded in front and completions behind, so that every completion starts in the same column.

    ids, mask: (batch, P + C); `completion_mask`: (batch, C).
    """

    ids: Tensor
    mask: Tensor
    completion_mask: Tensor

    @property
    def completion_length(self) -> int:
        return self.completion_mask.shape[1]


def padded(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], device: torch.device) -> Padded:
    """Token rows of prompts and completions side by side. The pad token is 0; nothing looks at it."""
    before, behind = max(map(len, prompts)), max(map(len, completions))
    ids = torch.zeros(len(prompts), before + behind, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        both = torch.tensor([*prompt, *completion])
        begin = before - len(prompt)
        ids[row, begin : begin + len(both)] = both
        mask[row, begin : begin + len(both)] = 1
    return Padded(ids.to(device), mask.to(device), mask[:, before:].to(device))


def completion_logprobs(model: PreTrainedModel, batch: Padded, *, temperature: float = 1.0) -> Tensor:
    """Log-probability in nats of each completion token given all before it: (batch, C), 0 where the mask is 0.

    Gradients flow. Only the completions' logits are computed. `temperature` divides the logits, as in sampling.
    """
    length = batch.completion_length
    logits = model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=positions(batch.mask),
        use_cache=False,
        logits_to_keep=length + 1,
    ).logits[:, :-1]
    return token_logprobs(logits / temperature, batch.ids[:, -length:]) * batch.completion_mask


def token_logprobs(logits: Tensor, ids: Tensor) -> Tensor:
    """logits (…, T, vocabulary) and ids (…, T) → log-probability of each id (…, T), computed in float32."""
    flat = cross_entropy(logits.float().flatten(0, -2), ids.flatten(), reduction="none")
    return -flat.view(ids.shape)


@torch.inference_mode()
def logprobs(
    loaded: Loaded, pairs: Sequence[tuple[Prompt, str]], *, temperature: float = 1.0, batch_size: int = 32
) -> list[list[float]]:
    """For each (prompt, completion): the log-probability of every token of the completion, its EOS included."""
    encoded = encode_pairs(loaded, pairs)
    found: list[list[float]] = [[] for _ in pairs]
    for places in by_length([len(prompt) + len(completion) for prompt, completion in encoded], batch_size):
        some = [encoded[i] for i in places]
        batch = padded([prompt for prompt, _ in some], [completion for _, completion in some], loaded.device)
        values = completion_logprobs(loaded.model, batch, temperature=temperature)
        for i, row in zip(places, values.tolist(), strict=True):
            found[i] = row[: len(encoded[i][1])]
    return found


@dataclass(frozen=True)
class Loss:
    """How well a language model predicts texts: totals, and the three usual ways to say it."""

    nats: float
    tokens: int
    bytes: int

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood, nats a token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))  # exp overflows above 709

    @property
    def bits_per_byte(self) -> float:
        """Comparable across tokenizers."""
        return self.nats / math.log(2) / self.bytes

    def as_numbers(self) -> dict[str, float]:
        return {"loss": self.loss, "perplexity": self.perplexity, "bits_per_byte": self.bits_per_byte}


@torch.inference_mode()
def documents_loss(loaded: Loaded, texts: Sequence[str], *, batch_size: int = 16) -> Loss:
    """The loss over whole documents: every token but the first is predicted, EOS included.

    A document longer than the model's context is scored in pieces, each with its own beginning.
    """
    limit = loaded.context_length or 4096
    pieces = [
        ids[begin : begin + limit]
        for ids in encode_documents(loaded, texts)
        for begin in range(0, len(ids), limit)
        if len(ids) - begin > 1
    ]
    nats, tokens = 0.0, 0
    for places in by_length([len(piece) for piece in pieces], batch_size):
        batch = padded([pieces[i][:1] for i in places], [pieces[i][1:] for i in places], loaded.device)
        values = completion_logprobs(loaded.model, batch)
        nats -= values.double().sum().item()
        tokens += int(batch.completion_mask.sum())
    return Loss(nats, max(tokens, 1), max(sum(len(text.encode()) for text in texts), 1))


@torch.inference_mode()
def rewards(loaded: Loaded, pairs: Sequence[tuple[Prompt, str]], *, batch_size: int = 32) -> list[float]:
    """The reward model's score of each (prompt, completion), on the scale that lies beside its weights; the completion is closed by EOS.

    What is longer than the model's context loses the start of its prompt.
    """
    return _read(loaded, pairs, batch_size, lambda hidden: read(loaded.model, hidden)).tolist()


@torch.inference_mode()
def scores_of_members(loaded: Loaded, pairs: Sequence[tuple[Prompt, str]], *, batch_size: int = 32) -> Tensor:
    """What each member of an ensemble says: (pairs, members), float32, on the processor, on the scale of `rewards`, which are their mean.

    Their standard deviation (members.spread) is the model's uncertainty. ValueError where the reward model is no ensemble.
    """
    members = members_of(loaded)
    if members is None:
        raise ValueError("this reward model has one head: there are no members that could differ")
    bias = active_head(loaded).bias
    return _read(loaded, pairs, batch_size, lambda hidden: members(hidden, bias))


def _read(
    loaded: Loaded, pairs: Sequence[tuple[Prompt, str]], batch_size: int, head: Callable[[Tensor], Tensor]
) -> Tensor:
    """(pairs, …): what a head makes of the last real token of each (batch, hidden), on the model's scale."""
    limit = loaded.context_length
    groups = [Group(prompt, [completion]).cut(limit) for prompt, completion in encode_pairs(loaded, pairs)]
    scale = read_scale(loaded.folders[-1])
    if not groups:
        return torch.empty(0)
    parts = by_length([group.longest for group in groups], batch_size)
    found = [
        scale.apply(head(pooled(loaded.model, separate([groups[i] for i in places])))).float().cpu()
        for places in parts
    ]
    order = torch.tensor([i for places in parts for i in places])
    return torch.cat(found)[order.argsort()]


@torch.inference_mode()
def class_logprobs(loaded: Loaded, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
    """(n, classes) log-probabilities of the classes `loaded.labels`, in their order: by the head, or by the labels of a hard prompt. Of an
    average of classifiers: the logarithm of their mean probability.

    A text longer than the model's context loses its end. ValueError when the chain tells no classes apart.
    """
    if not loaded.labels:
        raise ValueError("the model tells no classes apart")
    if loaded.head != "classes":
        from .verbalised import label_logprobs

        return label_logprobs(loaded, texts, batch_size=batch_size)
    limit = loaded.context_length
    rows = [ids[:limit] for ids in encode_judged(loaded, texts)]
    models = (loaded.model, *loaded.others)
    found = np.empty((len(models), len(rows), len(loaded.labels)))
    for number, model in enumerate(models):
        for places in by_length([len(ids) for ids in rows], batch_size):
            logits = score_head(model)(pooled(model, separate([Group((), [rows[i]]) for i in places])))
            found[number, places] = torch.log_softmax(logits.float(), -1).double().cpu().numpy()
    return np.logaddexp.reduce(found) - np.log(len(models))


def by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Places 0..n−1 in batches of like length: little padding."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]
