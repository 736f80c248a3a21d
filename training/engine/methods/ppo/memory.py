"""How much memory an update takes, told from sizes alone. Light: loads no torch."""

from collections.abc import Mapping
from typing import Any

from models_registry.lm.tuning.config import result_kind

from .config import Config

FP32 = 4  # bytes
MOMENTS = 2
OWN = 40 * 2**20  # bytes that torch takes for itself as soon as it has something to do
# Numbers kept for the backward pass of a token in a block, in widths of the model and of its MLP; and of one block alone, where nothing is kept.
# Measured on Llama of 8 million parameters, with the heap's own waste: what was freed is not all used again, so what follows on one another is added.
OF_WIDTH, OF_MLP = 14, 5
PASSING_WIDTH, PASSING_MLP = 6, 3
WRITTEN, SCORED = 128, 32  # answers that are written, and scored, side by side
AHEAD = 64  # places of the cache that are made before they are needed
CHUNK = 512  # tokens whose logits stand in memory together, CHOSEN times; while writing, those of a token of each answer, DRAWN times
CHOSEN, DRAWN = 3, 8


def estimate(
    config: Config, *, total: int, moving: int, judges: int, about: Mapping[str, Any], prompt: int, processes: int
) -> int:
    """Bytes beside the programs themselves, about, of all processes together.

    total, moving: parameters of the policy, and of those that move; judges: parameters of reward models that share nothing with it; about:
    the model's config.json; prompt: tokens of a long prompt.
    """
    full, separate = result_kind(config.tune) == "full", config.critic == "separate"
    copies = total + judges + moving * (1 + MOMENTS)
    if full:
        copies += moving  # the reference
    if separate:
        copies += moving * (2 + MOMENTS)
    if config.ema_decay:
        copies += moving

    width = about.get("hidden_size", about.get("n_embd", 0))
    inner = about.get("intermediate_size") or about.get("n_inner") or 4 * width
    layers = about.get("num_hidden_layers", about.get("n_layer", 0))
    heads = about.get("num_attention_heads", about.get("n_head", 1))
    cached = 2 * layers * about.get("num_key_value_heads", heads) * (about.get("head_dim") or width // heads)
    vocabulary = about.get("vocab_size", 0)

    answers = -(-config.episodes // processes)
    at_once = -(-config.episodes // config.minibatches // processes)
    at_once = min(config.micro_batch or at_once, at_once)
    tokens, learnt = at_once * (prompt + config.max_tokens), at_once * config.max_tokens
    learning = tokens * layers * (OF_WIDTH * width + OF_MLP * inner) * (2 if separate else 1)
    learning += min(CHUNK, learnt) * vocabulary * CHOSEN
    if full:
        learning += learnt * vocabulary  # slopes of the output layer
    writing = min(WRITTEN, answers) * (cached * (prompt + max(config.max_tokens, AHEAD)) + vocabulary * DRAWN)
    scoring = min(SCORED, answers) * (prompt + config.max_tokens) * (PASSING_WIDTH * width + PASSING_MLP * inner)
    return processes * (OWN + FP32 * (copies + learning + writing + scoring))
