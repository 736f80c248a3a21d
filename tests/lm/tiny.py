"""Tiny models in folders: real architectures with random weights, real tokenizers learned from a few sentences."""

from pathlib import Path

import torch

from models_registry.lm.chain import Loaded, load
from models_registry.lm.tuning.apply import apply, save, trained_parameters
from models_registry.lm.tuning.config import TuneLora
from tests.engine.tiny import causal_lm
from training.engine.methods.pretrain.train import learn_tokenizer

SENTENCES = [
    "The cat met the dog.",
    "Kucing itu bertemu anjing.",
    "Where is the fox? It sleeps — naïve fox!",
    "1 2 3\n\n  tabs\t",
]
SHAPES = ["llama", "gpt2", "qwen2"]


def folder(path: Path, shape: str, **changes: object) -> Path:
    """A model folder of this architecture with a byte-level tokenizer of 300 tokens."""
    tokenizer = learn_tokenizer(iter(SENTENCES * 3), 300)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = causal_lm(shape, **{"vocab_size": len(tokenizer), **ids, **changes})
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def adapter(chain: list[Path], path: Path, *, seed: int, **tune: object) -> Path:
    """A LoRA on top of a chain, with random weights in both of its matrices, so that it has an effect."""
    loaded = load(chain)
    apply(loaded, TuneLora(**tune))
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in trained_parameters(loaded).values():
            parameter.normal_(std=0.2)
    save(loaded, path)
    return path


def logits(loaded: Loaded, text: str = "The cat met the fox") -> torch.Tensor:
    """(T, vocabulary), the tokens being those of the text."""
    ids = torch.tensor([loaded.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return loaded.model(input_ids=ids).logits[0]
