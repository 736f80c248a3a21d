"""Pretraining: a tokenizer learned from the corpus, a model with random weights, documents side by side in flat rows. Or more text for a base."""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from models_registry.lm import chain
from models_registry.lm.text import encode_documents

from ... import data, language
from ...context import Context
from ...data import TextRow
from ...dropout import leave_out
from ...messages import Message, Refused, _
from ...moving import room
from ...packing import Corpus, Text
from .config import BOS, EOS, PAD, Config


def run(ctx: Context) -> None:
    config: Config = ctx.config
    if "base" in ctx.inputs:
        loaded = chain.load(ctx.inputs["base"], device=ctx.device)
    else:
        tokenizer = _tokenizer(ctx)
        loaded = chain.Loaded(new_model(config, tokenizer).to(ctx.device), tokenizer, "lm")
    leave_out(loaded.model, config.dropout)
    length = room(loaded, config.tune) or language.LONGEST

    def encode(rows: Sequence[TextRow]) -> Iterator[Text]:
        documents = encode_documents(loaded, [row.text for row in rows])
        for ids, row in zip(documents, rows, strict=True):
            yield Text(ids, bytes=len(row.text.encode()))

    corpus, heldout = language.corpora(ctx, ("text",), encode, length)
    pieces_of = language.ByTokens(corpus.lengths, config.batch_size * length, ctx.seed)
    steps = max(1, round(config.epochs * pieces_of.updates))
    at_once = (config.micro_batch or config.batch_size) * length

    def parts(some: Corpus, pieces: np.ndarray) -> list[np.ndarray]:
        """As many rows' worth of tokens as go through the model at once."""
        begins = some.lengths[pieces].cumsum() - some.lengths[pieces]
        return np.split(pieces, np.flatnonzero(np.diff(begins // at_once)) + 1) if len(pieces) else []

    language.train(
        ctx,
        loaded,
        corpus,
        heldout,
        steps=min(steps, config.max_steps or steps),
        pieces_of=pieces_of,
        parts=parts,
    )


def _tokenizer(ctx: Context) -> PreTrainedTokenizerFast:
    """The tokenizer of this run: learned in the first attempt, found in the cache by a later one."""
    config: Config = ctx.config
    folder = ctx.cache / "tokenizer"
    if not folder.is_dir():
        learning = Message("learning-tokenizer", _("Learning the tokenizer from the corpus"))
        watch = language.watched(ctx, learning)
        texts = (row.text for row in data.rows(ctx.inputs["dataset"], ("text",), split="train", watch=watch))
        learned = learn_tokenizer(
            texts,
            config.wanted_vocabulary,
            special=config.special_tokens,
            across_words=config.merges == "within_lines",
        )
        aside = Path(f"{folder}.part")
        shutil.rmtree(aside, ignore_errors=True)
        learned.save_pretrained(aside)
        aside.rename(folder)
        ctx.pause_point()
    return PreTrainedTokenizerFast.from_pretrained(folder)


def learn_tokenizer(
    texts: Iterable[str], vocab_size: int, *, special: Sequence[str] = (), across_words: bool = False
) -> PreTrainedTokenizerFast:
    """Byte-pair encoding over bytes: whatever the corpus does not teach is spelled in bytes, so every text comes back as it was.

    Special tokens: BOS in front of every text (put there by the tokenizer), EOS, padding, and `special`, which are never taken apart.
    `across_words`: a token ends at the end of a line, and not where letters, digits and signs meet. Texts are streamed; what is kept in memory
    are the different words (or lines) and how often each comes. Sennrich et al. 2015; Radford et al. 2019.
    """
    tokenizer = Tokenizer(models.BPE())
    if across_words:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"[^\n]*\n+|[^\n]+"), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, BOS, EOS, *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # A special token in a text is no word: nothing is to be learned from its letters.
    apart = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True)))) if special else None
    tokenizer.train_from_iterator(((apart.split(text) if apart else [text]) for text in texts), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens=list(special),
        clean_up_tokenization_spaces=False,
    )


def new_model(config: Config, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A model with random weights, from torch's random state. Its vocabulary is the tokenizer's, which a small corpus may not fill.

    Raises Refused where the full config is none that transformers can build.
    """
    described = dict(config.full_config or _described(config))
    kind = CONFIG_MAPPING[described.pop("model_type")]
    told = {name: value for name, value in described.items() if name not in _FROM_ELSEWHERE}
    known = {field.name for field in fields(kind)} | set(kind.attribute_map) | {"rope_theta", "rope_scaling"}
    if unknown := sorted(told.keys() - known):
        text = _("The full config has keys that %(type)s does not know: %(keys)s.")
        raise Refused(Message("full-config-unknown", text, {"type": kind.model_type, "keys": ", ".join(unknown)}))
    try:
        shape = kind(
            **told,
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            dtype=torch.float32,
        )
        return AutoModelForCausalLM.from_config(shape)
    except Exception as error:  # transformers raises whatever it happens to meet
        text = _("transformers can build no model from the full config: %(reason)s")
        raise Refused(Message("full-config", text, {"reason": " ".join(str(error).split())[:500]})) from None


# Of a full config: what this run decides itself, and what describes another file than the model.
_FROM_ELSEWHERE = {
    "architectures", "bos_token_id", "eos_token_id", "pad_token_id", "vocab_size", "dtype", "torch_dtype",
    "transformers_version", "_name_or_path", "use_cache", "id2label", "label2id",
}  # fmt: skip


def _described(config: Config) -> dict[str, Any]:
    """The size and its overrides, as a full config says it."""
    size = config.shape
    if config.architecture == "gpt2":
        return {
            "model_type": "gpt2",
            "n_positions": size.context_length,
            "n_embd": size.hidden_size,
            "n_layer": size.layers,
            "n_head": size.heads,
            "n_inner": config.intermediate_size,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
            "tie_word_embeddings": config.tie_embeddings,
        }
    # A gated MLP has three matrices where a plain one has two: 8/3 of the width makes both equally large (Shazeer 2020).
    gated = -(-size.hidden_size * 8 // 3 // 8) * 8
    return {
        "model_type": config.architecture,
        "max_position_embeddings": size.context_length,
        "hidden_size": size.hidden_size,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": config.kv_heads or size.heads,
        "intermediate_size": config.intermediate_size or gated,
        "tie_word_embeddings": config.tie_embeddings,
        # Qwen3 would else give each head 128 numbers, whatever the width.
        **({"head_dim": size.hidden_size // size.heads} if config.architecture == "qwen3" else {}),
    }
