"""Pretraining: a tokenizer learned from the corpus, a model with random weights, documents side by side in flat rows. Or more text for a base."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from models_registry.lm import chain
from models_registry.lm.text import encode_documents

from ... import data, language
from ...context import Context
from ...data import TextRow
from ...packing import Corpus, Text
from .config import Config

BOS, EOS, PAD = "<|begin|>", "<|end|>", "<|pad|>"


def run(ctx: Context) -> None:
    config: Config = ctx.config
    if "base" in ctx.inputs:
        loaded = chain.load(ctx.inputs["base"], device=ctx.device)
    else:
        tokenizer = _tokenizer(ctx, config.shape.vocab_size)
        loaded = chain.Loaded(new_model(config, tokenizer).to(ctx.device), tokenizer, "lm")
    length = loaded.context_length or 1024

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


def _tokenizer(ctx: Context, vocab_size: int) -> PreTrainedTokenizerFast:
    """The tokenizer of this run: learned in the first attempt, found in the cache by a later one."""
    folder = ctx.cache / "tokenizer"
    if not folder.is_dir():
        texts = (row.text for row in data.rows(ctx.inputs["dataset"], ("text",), split="train"))
        learned = learn_tokenizer(texts, vocab_size)
        aside = Path(f"{folder}.part")
        shutil.rmtree(aside, ignore_errors=True)
        learned.save_pretrained(aside)
        aside.rename(folder)
        ctx.pause_point()
    return PreTrainedTokenizerFast.from_pretrained(folder)


def learn_tokenizer(texts: Iterator[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-pair encoding over bytes: whatever the corpus does not teach is spelled in bytes, so every text comes back as it was.

    Special tokens: BOS in front of every text (put there by the tokenizer), EOS, padding. Sennrich et al. 2015; Radford et al. 2019.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )


def new_model(config: Config, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A model with random weights, from torch's random state. Its vocabulary is the tokenizer's, which a small corpus may not fill."""
    size = config.shape
    common = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": config.tie_embeddings,
        "dtype": torch.float32,
    }
    if config.architecture == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                n_positions=size.context_length,
                n_embd=size.hidden_size,
                n_layer=size.layers,
                n_head=size.heads,
                n_inner=config.intermediate_size,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **common,
            )
        )
    # A gated MLP has three matrices where a plain one has two: 8/3 of the width makes both equally large (Shazeer 2020).
    gated = -(-size.hidden_size * 8 // 3 // 8) * 8
    shape = {
        "max_position_embeddings": size.context_length,
        "hidden_size": size.hidden_size,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": config.kv_heads or size.heads,
        "intermediate_size": config.intermediate_size or gated,
    }
    if config.architecture == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**shape, **common))
    return LlamaForCausalLM(LlamaConfig(**shape, **common))
