"""Choosing between the labels of a hard prompt by how likely the model would write them.

All prompts begin alike: instruction and examples are the same. That beginning is computed once and kept as a KV cache; each text then costs
its own tokens, and each label its own.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from .chain import Loaded
from .generate import left_padded, positions
from .score import by_length, completion_logprobs, padded, token_logprobs
from .text import encode_prompt

# Zhao et al. 2021, Calibrate Before Use, section 5: inputs that say nothing, over whose answers the mean is taken.
CONTENT_FREE = ("N/A", "[MASK]", "")


@torch.inference_mode()
def label_logprobs(
    loaded: Loaded, texts: Sequence[str], *, batch_size: int = 32, share_beginning: bool = True
) -> np.ndarray:
    """(n, labels) log-probabilities of the hard prompt's labels, in their order, given that one of them is chosen.

    A label's score is the mean (or sum) of its words' log-probabilities in nats a token, and scores are normalised over the labels.
    ValueError when the chain has no hard prompt with labels. `share_beginning` changes the cost alone.
    """
    hard = loaded.hard_prompt
    if hard is None or not hard.labels:
        raise ValueError("the model has no words for labels: it takes a hard prompt that names them")
    calibrated = hard.calibration == "contextual"
    asked = [*texts, *CONTENT_FREE] if calibrated else list(texts)
    answers = loaded.continuation.encode([hard.answer(words) for words in hard.labels.values()])
    prompts = _fitting(loaded, asked, max(map(len, answers)))
    if not prompts:
        return np.empty((0, len(answers)))
    way = _shared if share_beginning and _can_share(loaded) else _separate
    scores = way(loaded, prompts, answers, batch_size)
    if hard.scoring == "mean":
        scores = scores / [len(answer) for answer in answers]
    found = _normalised(scores)
    if calibrated:
        said = np.exp(found[len(texts) :]).mean(0)
        found = _normalised(found[: len(texts)] - np.log(said))
    return found


def _fitting(loaded: Loaded, texts: Sequence[str], room: int) -> list[list[int]]:
    """The tokens of the prompts. What is longer than the context even without any example loses its start, BOS excepted."""
    limit = loaded.context_length
    prompts = [encode_prompt(loaded, text) for text in texts]
    if limit is None:
        return prompts
    return [ids if len(ids) + room <= limit else [ids[0], *ids[len(ids) + room - limit + 1 :]] for ids in prompts]


def _normalised(scores: np.ndarray) -> np.ndarray:
    """log softmax over the last axis."""
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def _can_share(loaded: Loaded) -> bool:
    """Whether padding may stand behind cached tokens: not where places are counted (sliding windows), or a state is carried on."""
    if loaded.leads:
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=loaded.model.config).layers)


def _separate(
    loaded: Loaded, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], batch_size: int
) -> np.ndarray:
    """(n, labels) summed log-probabilities; one row for each prompt with each label."""
    found = np.empty((len(prompts), len(answers)))
    rows = [(i, j) for i in range(len(prompts)) for j in range(len(answers))]
    for places in by_length([len(prompts[i]) + len(answers[j]) for i, j in rows], batch_size):
        some = [rows[place] for place in places]
        batch = padded([prompts[i] for i, _j in some], [answers[j] for _i, j in some], loaded.device)
        sums = completion_logprobs(loaded.model, batch).double().sum(1)
        for (i, j), value in zip(some, sums.tolist(), strict=True):
            found[i, j] = value
    return found


def _shared(
    loaded: Loaded, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], batch_size: int
) -> np.ndarray:
    """The same numbers, with the common beginning of all prompts computed once, and each prompt once for all labels."""
    common = _common(prompts)
    beginning = DynamicCache(config=loaded.model.config)
    if common:
        ids = torch.tensor([list(prompts[0][:common])], device=loaded.device)
        loaded.model(input_ids=ids, past_key_values=beginning, use_cache=True, logits_to_keep=1)
    rest = [list(prompt[common:]) for prompt in prompts]
    found = np.empty((len(prompts), len(answers)))
    for places in by_length([len(ids) for ids in rest], batch_size):
        cache = copy.deepcopy(beginning)
        cache.batch_repeat_interleave(len(places))
        ids, mask = left_padded([rest[i] for i in places], 0, loaded.device)
        mask = torch.cat([mask.new_ones(len(places), common), mask], 1)
        last = loaded.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions(mask)[:, common:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        found[places] = _continued(loaded, answers, last, mask, cache).cpu().numpy()
    return found


def _common(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; of each at least one is left."""
    shortest = min(map(len, prompts)) - 1
    return next((i for i in range(shortest) if any(prompt[i] != prompts[0][i] for prompt in prompts)), shortest)


def _continued(
    loaded: Loaded, answers: Sequence[Sequence[int]], last: Tensor, mask: Tensor, cache: DynamicCache
) -> Tensor:
    """(batch, labels) from the logits (batch, 1, vocabulary) of the prompts' last tokens and the cache of the prompts."""
    firsts = torch.tensor([answer[0] for answer in answers], device=last.device)
    found = torch.log_softmax(last[:, 0].float(), -1)[:, firsts].double()
    longest = max(map(len, answers))
    if longest == 1:
        return found
    batch, count = found.shape
    cache.batch_repeat_interleave(count)
    ids = torch.zeros(count, longest, dtype=torch.long)
    real = torch.zeros(count, longest, dtype=torch.long)
    for row, answer in enumerate(answers):
        ids[row, : len(answer)] = torch.tensor(answer)
        real[row, : len(answer)] = 1
    ids, real = ids.to(last.device).repeat(batch, 1), real.to(last.device).repeat(batch, 1)
    before = mask.repeat_interleave(count, 0)
    whole = torch.cat([before, real[:, :-1]], 1)
    logits = loaded.model(
        input_ids=ids[:, :-1],
        attention_mask=whole,
        position_ids=positions(whole)[:, before.shape[1] :],
        past_key_values=cache,
        use_cache=True,
    ).logits
    further = (token_logprobs(logits, ids[:, 1:]) * real[:, 1:]).double().sum(1)
    return found + further.view(batch, count)
