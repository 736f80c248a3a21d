"""How much memory an update takes, told from sizes alone. Light: loads no torch."""

from collections.abc import Mapping
from typing import Any

from models_registry.lm.tuning.config import result_kind

from .config import Config

FP32 = 4  # bytes
MOMENTS = 2
# Numbers kept for the backward pass of a token in a block, in widths of the model and of its MLP: measured on Llama, between 0.5 and 29 million
# parameters, with the heap's own waste.
OF_WIDTH, OF_MLP = 20, 8


def estimate(config: Config, *, total: int, moving: int, judges: int, about: Mapping[str, Any], prompt: int) -> int:
    """Bytes beside the program itself, about.

    total, moving: parameters of the policy, and of those that move; judges: parameters of reward models that share nothing with it; about:
    the model's config.json; prompt: tokens of a long prompt.
    """
    copies = total + judges + moving * (1 + MOMENTS)
    if result_kind(config.tune) == "full":
        copies += moving  # the reference
    if config.critic == "separate":
        copies += moving * (2 + MOMENTS)
    width = about.get("hidden_size", about.get("n_embd", 0))
    inner = about.get("intermediate_size") or about.get("n_inner") or 4 * width
    layers = about.get("num_hidden_layers", about.get("n_layer", 0))
    at_once = min(config.micro_batch or config.episodes, config.episodes // config.minibatches)
    of_token = layers * (OF_WIDTH * width + OF_MLP * inner)
    kept = at_once * (prompt + config.max_tokens) * of_token * (2 if config.critic == "separate" else 1)
    if result_kind(config.tune) == "full":
        kept += at_once * config.max_tokens * about.get("vocab_size", 0)  # slopes of the output layer
    return FP32 * (copies + kept)
