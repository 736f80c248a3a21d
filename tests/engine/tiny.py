"""Tiny models with random weights, in the shapes that differ where it matters: positions, attention, names of their parts."""

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

VOCABULARY = 97


def causal_lm(shape: str, *, seed: int = 0, **changes: object) -> PreTrainedModel:
    """`shape` is llama (rotary, grouped heads), gpt2 (learned positions), qwen2 (biases, tied head) or mistral (sliding window)."""
    torch.manual_seed(seed)
    sizes: dict = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.2,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    match shape:
        case "llama":
            model = LlamaForCausalLM(LlamaConfig(**sizes | changes))
        case "qwen2":
            model = Qwen2ForCausalLM(Qwen2Config(**sizes | {"tie_word_embeddings": True} | changes))
        case "mistral":
            model = MistralForCausalLM(MistralConfig(**sizes | {"sliding_window": 8} | changes))
        case "gpt2":
            gpt2: dict = {
                "vocab_size": VOCABULARY,
                "n_embd": 32,
                "n_layer": 2,
                "n_head": 4,
                "n_positions": 128,
                "initializer_range": 0.2,
                "bos_token_id": 1,
                "eos_token_id": 2,
                "pad_token_id": 2,  # as people set it for GPT-2, which has no pad token of its own
            }
            config = GPT2Config(**gpt2 | changes)
            model = GPT2LMHeadModel(config)
        case _:
            raise ValueError(shape)
    return model.eval()
