"""From text to tokens and back: prompts, completions, documents. One rule each, used by training, sampling and scoring alike.

A prompt and its completion are always tokenized apart, so that the tokens of the prompt are those the model sees when it
writes, and no token lies across the border.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from .hard_prompt import HardPrompt

if TYPE_CHECKING:
    from .chain import Loaded

Messages = Sequence[Mapping[str, str]]
Prompt = str | Messages


@dataclass(frozen=True)
class Continuation:
    """A tokenizer for text that goes on from other text: it neither puts a space in front nor takes one away.

    SentencePiece-like tokenizers write "▁" before every text and drop it when decoding; in the middle of a text that is wrong.
    """

    tokenizer: PreTrainedTokenizerBase
    backend: Tokenizer | None

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        if self.backend is None:
            return self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        return [encoding.ids for encoding in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        if self.backend is None:
            return self.tokenizer.decode(ids, skip_special_tokens=True)
        return self.backend.decode(ids, skip_special_tokens=True)


def without_prefix(tokenizer: PreTrainedTokenizerBase) -> Continuation:
    """The same vocabulary and merges, without what the tokenizer does to the beginning of a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return Continuation(tokenizer, None)
    plan = json.loads(backend.to_str())
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        plan[part] = _unprefixed(plan.get(part))
    plan["post_processor"] = plan["truncation"] = plan["padding"] = None
    return Continuation(tokenizer, Tokenizer.from_str(json.dumps(plan)))


def _unprefixed(part: dict[str, Any] | None) -> dict[str, Any] | None:
    if part is None or part["type"] == "Prepend" or (part["type"] == "Strip" and part.get("start")):
        return None
    part = dict(part)
    for key in ("normalizers", "pretokenizers", "decoders"):
        if key in part:
            part[key] = [kept for inner in part[key] if (kept := _unprefixed(inner)) is not None]
            if not part[key]:
                return None
    if "prepend_scheme" in part:
        part["prepend_scheme"] = "never"
    if "add_prefix_space" in part:
        part["add_prefix_space"] = False
    return part


def encode_prompt(loaded: "Loaded", prompt: Prompt) -> list[int]:
    """The tokens a model is given to go on from. Messages go through the chat template, text is taken as it is.

    A chain with a hard prompt asks in its words: the text, or the last turn of the user, is put into its template, behind its examples.
    Examples that leave no room for the answer in the model's context are left out, the first first; `loaded.shortened` counts such prompts.

    The BOS rule: the tokenizer decides. Where it adds none although tokenizer and model name the same BOS token, that token is not
    also the EOS token, and the tokenizer's settings do not say `add_bos_token: false`, BOS is put in front: such a model was
    trained with it (Llama, stories260K). An empty prompt becomes BOS, or EOS where there is no BOS, since a model needs a token to start from.
    """
    if loaded.hard_prompt is None:
        return _encode(loaded, prompt)
    examples = len(loaded.hard_prompt.examples)
    ids = _encode(loaded, _asked(loaded.hard_prompt, prompt, examples))
    limit = loaded.context_length
    if limit is None or len(ids) + loaded.hard_prompt.room <= limit or not examples:
        return ids
    loaded.shortened += 1
    # More examples are never shorter: halve the range until the most that fit are found, or none.
    fewest, most, ids = 0, examples - 1, _encode(loaded, _asked(loaded.hard_prompt, prompt, 0))
    while fewest < most:
        examples = (fewest + most + 1) // 2
        tried = _encode(loaded, _asked(loaded.hard_prompt, prompt, examples))
        if len(tried) + loaded.hard_prompt.room <= limit:
            fewest, ids = examples, tried
        else:
            most = examples - 1
    return ids


def _asked(hard: HardPrompt, prompt: Prompt, examples: int) -> Prompt:
    """A prompt in the words of a hard prompt, with the last `examples` of its examples."""
    if isinstance(prompt, str):
        return hard.ask(prompt, examples=examples)
    turns = [dict(message) for message in prompt]
    asked = next((turn for turn in reversed(turns) if turn["role"] == "user"), turns[-1])
    asked["content"] = hard.ask(asked["content"], examples=examples)
    return turns


def _encode(loaded: "Loaded", prompt: Prompt) -> list[int]:
    tokenizer = loaded.tokenizer
    if not isinstance(prompt, str):
        if tokenizer.chat_template:
            return tokenizer.apply_chat_template(
                [dict(message) for message in prompt], add_generation_prompt=True, tokenize=True, return_dict=False
            )
        prompt = plain_chat(prompt)
    ids = list(tokenizer(prompt)["input_ids"])
    # A post-processor that closes every text with EOS would end it before it is gone on from.
    if ids and ids[-1] == tokenizer.eos_token_id and not prompt.endswith(tokenizer.eos_token):
        ids.pop()
    start = bos_id(loaded)
    if start is not None and ids[:1] != [start]:
        ids.insert(0, start)
    if not ids:
        fallback = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        if fallback is None:
            raise ValueError("the prompt is empty, and this model has no token to start a text with")
        ids = [fallback]
    return ids


def bos_id(loaded: "Loaded") -> int | None:
    """The token that encode_prompt puts in front of every text, or None (the rule is told there)."""
    tokenizer, config = loaded.tokenizer, loaded.model.config.get_text_config()
    bos = tokenizer.bos_token_id
    if bos is None or bos != config.bos_token_id or bos == tokenizer.eos_token_id:
        return None
    return None if tokenizer.init_kwargs.get("add_bos_token") is False else bos


def plain_chat(messages: Messages) -> str:
    """Messages for a model without a chat template: a line each, and an open line for the answer."""
    lines = [f"{message['role'].capitalize()}: {message['content']}\n" for message in messages]
    return "".join(lines) + "Assistant:"


def encode_completions(loaded: "Loaded", completions: Sequence[Prompt], *, end: bool = True) -> list[list[int]]:
    """The tokens of completions, as they follow their prompts; with `end`, each closed by EOS where the model has one.

    A completion in messages is the content of its messages, a line each.
    """
    texts = [text if isinstance(text, str) else "\n".join(part["content"] for part in text) for text in completions]
    close = [loaded.tokenizer.eos_token_id] if end and loaded.tokenizer.eos_token_id is not None else []
    return [ids + close for ids in loaded.continuation.encode(texts)]


def encode_pairs(loaded: "Loaded", pairs: Sequence[tuple[Prompt, Prompt]]) -> list[tuple[list[int], list[int]]]:
    """(prompt, completion) → their tokens, as one trains and scores them.

    Where the prompt is messages and the model has a chat template, the template closes the answer as it closes any turn; elsewhere
    EOS does.
    """
    plain = encode_completions(loaded, [completion for _prompt, completion in pairs])
    found: list[tuple[list[int], list[int]]] = []
    before: Prompt | None = None
    start: list[int] = []
    for (prompt, completion), ids in zip(pairs, plain, strict=True):
        if prompt is not before:  # several completions of one prompt come one after the other
            before, start = prompt, encode_prompt(loaded, prompt)
        if not isinstance(prompt, str) and loaded.tokenizer.chat_template:
            ids = _templated_answer(loaded, prompt, completion, start) or ids
        found.append((start, ids))
    return found


def _templated_answer(loaded: "Loaded", prompt: Messages, completion: Prompt, start: list[int]) -> list[int] | None:
    """What the chat template adds for the answer, or None where it rewrites the turns before (some drop earlier reasoning)."""
    answer = [{"role": "assistant", "content": completion}] if isinstance(completion, str) else list(completion)
    whole = loaded.tokenizer.apply_chat_template(
        [dict(message) for message in [*prompt, *answer]], tokenize=True, return_dict=False
    )
    return whole[len(start) :] if whole[: len(start)] == start and len(whole) > len(start) else None


def encode_documents(loaded: "Loaded", texts: Sequence[str]) -> list[list[int]]:
    """Whole documents as a language model is trained on them: BOS by the rule of encode_prompt, the text, EOS."""
    tokenizer = loaded.tokenizer
    start, end = bos_id(loaded), tokenizer.eos_token_id
    rows = tokenizer(list(texts))["input_ids"] if texts else []
    documents = []
    for ids in rows:
        head = [start] if start is not None and ids[:1] != [start] else []
        tail = [end] if end is not None and ids[-1:] != [end] else []
        documents.append([*head, *ids, *tail])
    return documents


def encode_judged(loaded: "Loaded", texts: Sequence[str]) -> list[list[int]]:
    """Texts as a head judges them as a whole: each as encode_prompt gives it, without an end; many at once."""
    end = loaded.tokenizer.eos_token_id
    if loaded.hard_prompt is not None or end is None:
        return [encode_prompt(loaded, text) for text in texts]
    return [
        ids[:-1] or encode_prompt(loaded, text)
        for ids, text in zip(encode_documents(loaded, texts), texts, strict=True)
    ]


def decode_completion(loaded: "Loaded", ids: Sequence[int]) -> str:
    """The text of generated tokens as it follows the prompt: a leading space is kept, special tokens are not."""
    return loaded.continuation.decode(list(ids))
