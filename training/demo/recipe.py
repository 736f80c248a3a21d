"""How large the demo's models are and how long they train: settings of the four methods, found by trying them on two CPU cores."""

from dataclasses import dataclass, field
from typing import Any

# 0.6 million parameters: enough to know the facts of facts.py and to write whole sentences about them.
PRETRAIN: dict[str, Any] = {
    "size": "nano",
    "vocab_size": 2048,
    "context_length": 256,
    "hidden_size": 128,
    "layers": 2,
    "heads": 4,
    "lr": 5e-3,
    "batch_size": 8,
    "epochs": 100.0,
    "max_steps": 800,
    "eval_every": 400,
}
FINETUNE: dict[str, Any] = {
    "tune": {"kind": "all"},
    "lr": 5e-4,
    "batch_size": 48,
    "epochs": 100.0,
    "max_steps": 100,
    "eval_every": 50,
}
REWARD: dict[str, Any] = {
    "tune": {"kind": "all"},
    "lr": 5e-4,
    "batch_size": 32,
    "epochs": 100.0,
    "max_steps": 120,
    "eval_every": 20,
}
PPO: dict[str, Any] = {
    "tune": {"kind": "all"},
    "lr": 3e-4,
    "updates": 50,
    "episodes": 64,
    "max_tokens": 48,
    "kl_coef": 0.25,
    "missing_eos_penalty": 1.0,
}


@dataclass(frozen=True)
class Recipe:
    """One round of the loop. The configs are those of the methods; `questions` of the corpus are ranked, each by `overlap` annotators."""

    tales: int = 2000
    dialogues: int = 6000
    answers: int = 2
    questions: int = 800
    outputs: int = 4
    overlap: int = 2
    max_tokens: int = 48
    pretrain: dict[str, Any] = field(default_factory=lambda: PRETRAIN)
    finetune: dict[str, Any] = field(default_factory=lambda: FINETUNE)
    reward: dict[str, Any] = field(default_factory=lambda: REWARD)
    ppo: dict[str, Any] = field(default_factory=lambda: PPO)


FULL = Recipe()
