"""Writing text: many prompts at once with a KV cache, or one prompt as a stream.

What is drawn depends on (seed, prompt index, sample index) alone: every row has random numbers of its own, so the company in its
batch does not change it, as far as floating point allows. Nothing is forbidden to a model but what top-p leaves out: it may end at once.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from . import soft_prompts as soft
from .chain import Loaded
from .roomy import roomy_cache
from .text import Prompt, decode_completion, encode_prompt

FinishReason = Literal["eos", "stop", "length"]


@dataclass(frozen=True)
class Output:
    """One completion. `token_ids` ends with EOS when `finish_reason` is "eos"; `text` never shows it, nor a stop text and what follows.

    `logprobs[i]` is the log-probability in nats of token i under the model at the sampling temperature (1 for greedy), before top-p.
    """

    text: str
    token_ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    prompt_index: int
    sample_index: int


@dataclass
class _Row:
    prompt_index: int
    sample_index: int
    prompt_ids: list[int]
    noise: np.ndarray  # (max_tokens,) uniform in [0, 1)
    limit: int
    room: int  # positions that the model has for this row
    soft_prompt: str | None
    ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason | None = None


def generate(
    loaded: Loaded,
    prompts: Sequence[Prompt],
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: Sequence[str] = (),
    samples: int = 1,
    batch_size: int = 64,
    first_index: int = 0,
    soft_prompts: Sequence[str | None] | None = None,
    draws: Sequence[tuple[int, int]] | None = None,
) -> list[Output]:
    """`samples` completions of each prompt, prompt by prompt: element i · samples + j is sample j of prompt i.

    temperature 0 is greedy. Prompts are tokenized by text.encode_prompt. A completion ends at EOS, before a text of `stop`, after
    `max_tokens`, or where the model's context is full. `first_index` is the index of prompts[0] when a long list is done in parts.
    `soft_prompts`: the name of each prompt's soft prompt, or None for none, instead of those that are on; they may differ within a batch.
    `draws`: the (seed, prompt index) of each prompt, instead of `seed` and `first_index`, where prompts of different requests are mixed.
    Raises ValueError when a prompt fills the context or an argument is out of range.
    """
    encoded = [encode_prompt(loaded, prompt) for prompt in prompts]
    return generate_ids(
        loaded,
        encoded,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
        samples=samples,
        batch_size=batch_size,
        first_index=first_index,
        soft_prompts=soft_prompts,
        draws=draws,
    )


def generate_ids(
    loaded: Loaded,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: Sequence[str] = (),
    samples: int = 1,
    batch_size: int = 64,
    first_index: int = 0,
    soft_prompts: Sequence[str | None] | None = None,
    draws: Sequence[tuple[int, int]] | None = None,
) -> list[Output]:
    """generate() for prompts that are tokens already."""
    _check(max_tokens, temperature, top_p, samples)
    if soft_prompts is not None and len(soft_prompts) != len(prompts):
        raise ValueError("give one soft prompt, or None, for each prompt")
    own = soft_prompts is not None
    rows = []
    for i, ids in enumerate(prompts):
        name = soft_prompts[i] if soft_prompts is not None else None
        drawn, index = draws[i] if draws is not None else (seed, first_index + i)
        with _led(loaded, [name] if own else None):
            rows += [_row(loaded, list(ids), index, j, max_tokens, drawn, name) for j in range(samples)]
    # Prompts of like length together: little padding. The order of the answers is restored by `rows`.
    order = sorted(range(len(rows)), key=lambda r: len(rows[r].prompt_ids))
    per_batch = max(1, batch_size // samples) * samples
    for begin in range(0, len(order), per_batch):
        batch = [rows[r] for r in order[begin : begin + per_batch]]
        for _step in _decode(loaded, batch, temperature, top_p, stop, own):
            pass
    return [_output(loaded, row, stop) for row in rows]


def stream(
    loaded: Loaded,
    prompt: Prompt,
    *,
    max_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: Sequence[str] = (),
    prompt_index: int = 0,
    sample_index: int = 0,
    soft_prompt: str | None = None,
) -> Generator[str, None, Output]:
    """The pieces of the text that generate() gives for this prompt and sample, each as soon as it is certain; returns the whole Output.

    A piece is held back while its last character is incomplete or while it may be the beginning of a stop text. `soft_prompt`: one
    instead of those that are on; None: those.
    """
    _check(max_tokens, temperature, top_p, 1)
    own = soft_prompt is not None
    with _led(loaded, [soft_prompt] if own else None):
        row = _row(loaded, encode_prompt(loaded, prompt), prompt_index, sample_index, max_tokens, seed, soft_prompt)
    sent = 0
    for _step in _decode(loaded, [row], temperature, top_p, stop, own):
        if row.finish_reason is not None:
            break
        text = _text(loaded, row)
        safe = len(text.rstrip("\ufffd"))
        safe -= max((_overlap(text[:safe], word) for word in stop), default=0)
        if safe > sent:
            yield text[sent:safe]
            sent = safe
    output = _output(loaded, row, stop)
    if output.text[sent:]:
        yield output.text[sent:]
    return output


def _overlap(text: str, word: str) -> int:
    """Length of the longest end of `text` that begins `word`."""
    return next((n for n in range(min(len(word), len(text)), 0, -1) if text.endswith(word[:n])), 0)


def _check(max_tokens: int, temperature: float, top_p: float, samples: int) -> None:
    if max_tokens < 1 or samples < 1:
        raise ValueError("max_tokens and samples must be at least 1")
    if temperature < 0 or not 0 < top_p <= 1:
        raise ValueError("temperature must not be negative, and top_p must be in (0, 1]")


def _led(loaded: Loaded, names: Sequence[str | None] | None) -> AbstractContextManager[None]:
    """These soft prompts for the rows of a batch; None: those that are on. Held around single forwards: a stream may pause between two."""
    return nullcontext() if names is None else soft.rows(loaded, names)


def _row(
    loaded: Loaded,
    prompt_ids: list[int],
    prompt_index: int,
    sample_index: int,
    max_tokens: int,
    seed: int,
    soft_prompt: str | None,
) -> _Row:
    limit = max_tokens
    if loaded.context_length is not None:
        limit = min(limit, loaded.context_length - len(prompt_ids))
        if limit < 1:
            raise ValueError(
                f"the prompt has {len(prompt_ids)} tokens and fills the model's context of {loaded.context_length}"
            )
    key = np.array([seed, (prompt_index << 32) | sample_index], dtype=np.uint64)
    noise = np.random.Generator(np.random.Philox(key=key)).random(limit, dtype=np.float32)
    room = loaded.context_length or 1 << 30
    return _Row(prompt_index, sample_index, prompt_ids, noise, limit, room, soft_prompt, [], [])


@torch.inference_mode()
def _decode(
    loaded: Loaded, rows: list[_Row], temperature: float, top_p: float, stop: Sequence[str], own_soft_prompts: bool
) -> Iterator[None]:
    """Write one token to every unfinished row at a time, and yield after each."""
    model, device = loaded.model, loaded.device
    was_training = model.training
    model.eval()
    try:
        first_of, prompt_of = _unique(rows)
        prompts = [row.prompt_ids for row in first_of]
        ids, mask = left_padded(prompts, loaded.eos_ids[0] if loaded.eos_ids else 0, device)
        cache = roomy_cache(model.config)
        with _led(loaded, [row.soft_prompt for row in first_of] if own_soft_prompts else None):
            result = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions(mask),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        # A prompt that stands several times (samples) was computed once.
        spread = torch.tensor(prompt_of, device=device)
        if len(prompts) < len(rows):
            cache.batch_select_indices(spread)
        logits, mask = result.logits[spread, -1], mask[spread]
        position = mask.sum(1)
        last = torch.tensor([row.room - 1 for row in rows], device=device)
        noise = torch.from_numpy(_stacked([row.noise for row in rows])).to(device)
        alive = list(range(len(rows)))  # rows of the batch that the cache still holds, in its order
        step = 0
        while True:
            tokens, logprobs = choose(logits, temperature, top_p, noise[alive, step])
            keep = _append(loaded, [rows[r] for r in alive], tokens.tolist(), logprobs.tolist(), stop)
            yield
            step += 1
            unfinished = [place for place, going in enumerate(keep) if going]
            if not unfinished:
                return
            # Dropping finished rows copies the cache, so it waits until a quarter is done.
            if len(unfinished) <= 0.75 * len(alive):
                kept = torch.tensor(unfinished, device=device)
                cache.batch_select_indices(kept)
                tokens, mask, position, last = tokens[kept], mask[kept], position[kept], last[kept]
                alive = [alive[place] for place in unfinished]
            mask = torch.cat([mask, mask.new_ones(len(alive), 1)], 1)
            with _led(loaded, [rows[r].soft_prompt for r in alive] if own_soft_prompts else None):
                result = model(
                    input_ids=tokens[:, None],
                    attention_mask=mask,
                    position_ids=torch.minimum(position, last)[:, None],
                    past_key_values=cache,
                    use_cache=True,
                )
            logits, position = result.logits[:, -1], position + 1
    finally:
        model.train(was_training)


def _append(
    loaded: Loaded, rows: list[_Row], tokens: list[int], logprobs: list[float], stop: Sequence[str]
) -> list[bool]:
    """Give each unfinished row its token; tells which rows go on."""
    for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
        if row.finish_reason is not None:
            continue  # a finished row that the cache still carries along
        row.ids.append(token)
        row.logprobs.append(logprob)
        if token in loaded.eos_ids:
            row.finish_reason = "eos"
        elif stop and _cut(_text(loaded, row), stop) is not None:
            row.finish_reason = "stop"
        elif len(row.ids) >= row.limit:
            row.finish_reason = "length"
    return [row.finish_reason is None for row in rows]


def choose(logits: Tensor, temperature: float, top_p: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Draw one token a row by inverting the cumulative distribution at `noise`.

    logits (batch, vocabulary), noise (batch,) in [0, 1) → token ids (batch,) and their log-probabilities at this temperature, before top-p.
    Top-p keeps the smallest set of most likely tokens whose probability reaches it (Holtzman et al. 2019).
    """
    logprobs = torch.log_softmax(logits.float() / (temperature or 1.0), -1)
    if temperature == 0:
        tokens = logprobs.argmax(-1)
    else:
        probabilities = logprobs.double().exp()  # double: a float sum over a large vocabulary ends visibly below 1
        if top_p < 1:
            probabilities, ids = torch.sort(probabilities, dim=-1, descending=True, stable=True)
            before = probabilities.cumsum(-1) - probabilities
            probabilities = probabilities.masked_fill(before >= top_p, 0.0)
        total = probabilities.cumsum(-1)
        place = torch.searchsorted(total, noise.double()[:, None] * total[:, -1:], right=True)
        # Rounding may point behind the last token of positive probability.
        last = (
            (probabilities > 0).long().mul(torch.arange(1, total.shape[1] + 1, device=total.device)).argmax(-1, True)
        )
        place = torch.minimum(place, last)
        tokens = (ids.gather(1, place) if top_p < 1 else place)[:, 0]
    return tokens, logprobs.gather(1, tokens[:, None])[:, 0]


def left_padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token rows → ids and mask, both (batch, longest), with padding in front; what `pad` is does not matter, it is masked."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, longest - len(row) :] = torch.tensor(row)
        mask[place, longest - len(row) :] = 1
    return ids.to(device), mask.to(device)


def positions(mask: Tensor) -> Tensor:
    """(batch, T) mask → position of each real token, counted from the first real one; 0 in the padding."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def _unique(rows: list[_Row]) -> tuple[list[_Row], list[int]]:
    """The rows of distinct prompts, the first of each, and for each row the place of its like."""
    place: dict[tuple[object, ...], int] = {}
    first: list[_Row] = []
    index = []
    for row in rows:
        key = (row.soft_prompt, *row.prompt_ids)
        if key not in place:
            place[key] = len(first)
            first.append(row)
        index.append(place[key])
    return first, index


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row))) for row in rows])


def _text(loaded: Loaded, row: _Row) -> str:
    """What a row has written so far; where nothing was before it, it begins like a text and not like a continuation."""
    if set(row.prompt_ids) <= set(loaded.tokenizer.all_special_ids):
        return loaded.tokenizer.decode(row.ids, skip_special_tokens=True)
    return decode_completion(loaded, row.ids)


def _cut(text: str, stop: Sequence[str]) -> int | None:
    """Where the first stop text begins, or None."""
    return min((at for word in stop if (at := text.find(word)) >= 0), default=None)


def _output(loaded: Loaded, row: _Row, stop: Sequence[str]) -> Output:
    text = _text(loaded, row)
    if row.finish_reason == "stop":
        text = text[: _cut(text, stop)]
    return Output(text, row.ids, row.logprobs, row.finish_reason or "length", row.prompt_index, row.sample_index)
