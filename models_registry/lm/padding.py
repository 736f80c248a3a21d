"""Which token fills up texts that are scored side by side, and which special tokens a tokenizer has, from its files alone. Light: loads no torch."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

NAMES = ("pad_token", "unk_token", "bos_token", "eos_token")
# What a class of transformers brings by itself, where the files name nothing.
BROUGHT: dict[str, dict[str, str]] = {
    "PreTrainedTokenizerFast": {},
    "TokenizersBackend": {},
    "GPT2Tokenizer": dict.fromkeys(("unk_token", "bos_token", "eos_token"), "<|endoftext|>"),
}
OF_MODEL = {"gpt2": "GPT2Tokenizer"}  # the class, where tokenizer_config.json names none


def filler(tokens: Mapping[str, str | None]) -> str | None:
    """What becomes the pad token where there is none: the unknown token or BOS, so that transformers can score several texts at once by itself.

    EOS never does: every completion ends with it, and transformers would take the end for padding and read the score one token too early.
    """
    others = (tokens.get("unk_token"), tokens.get("bos_token"))
    return next((token for token in others if token not in (None, tokens.get("eos_token"))), None)


@lru_cache(maxsize=256)
def special_tokens(folder: Path) -> dict[str, str] | None:
    """Of a full model's tokenizer, by name, as models_registry.lm.chain finds them; None where the files alone do not say.

    One that the model has no embedding of counts for nothing.
    """
    from tokenizers import Tokenizer

    try:
        model = json.loads((folder / "config.json").read_text("utf-8"))
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # tokenizers raises nothing narrower
        return None
    kind = settings.get("tokenizer_class") or OF_MODEL.get(model.get("model_type", ""), "")
    named = {name: settings.get(name) for name in NAMES}
    named = {name: token["content"] if isinstance(token, dict) else token for name, token in named.items()}
    brought = BROUGHT.get(kind.removesuffix("Fast") if kind != "PreTrainedTokenizerFast" else kind)
    if brought is None and not all(name in settings for name in NAMES):
        return None
    embeddings = (model.get("text_config") or model).get("vocab_size", 0)

    def is_known(token: str) -> bool:
        number = vocabulary.token_to_id(token)
        return (vocabulary.get_vocab_size() if number is None else number) < embeddings

    found = {**(brought or {}), **{name: token for name, token in named.items() if name in settings}}
    return {name: token for name, token in found.items() if token is not None and is_known(token)}
