"""What bench.ppo has both sides do, and how either is measured: model, prompts, the scripted reward, clocks and memory.

Knows nothing of this product: the peer's process, in an environment of its own, uses the same.
"""

import json
import random
import resource
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PROMPT, ANSWER = 32, 48  # tokens
EPISODES, EPOCHS = 32, 4
KL_COEF = 0.05
RANK, ALPHA = 16, 32
EPSILON = 1e-5


@dataclass(frozen=True)
class Size:
    hidden: int
    layers: int
    vocabulary: int

    @property
    def wanted(self) -> int:
        """Tokens below this are what the reward counts: a quarter of the vocabulary."""
        return self.vocabulary // 4


SIZES = {"0.5M": Size(128, 2, 512), "7.3M": Size(256, 6, 4096), "29.3M": Size(512, 6, 8192)}


@dataclass(frozen=True)
class Task:
    """One process's work. `tune`: full or lora; `precision`: no or bf16 (mixed); `at_once`: answers in one forward pass of learning.
    Updates up to `warm` are not timed."""

    size: str
    tune: str
    precision: str = "no"
    at_once: int = EPISODES
    minibatches: int = 1
    updates: int = 3
    warm: int = 1
    lr: float = 1e-4
    seed: int = 1
    threads: int = 2

    @classmethod
    def read(cls, text: str) -> "Task":
        return cls(**json.loads(text))

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def make_model(size: Size, **more: Any) -> Any:
    """Random weights, the same ones on both sides; nothing ends an answer, so that all have their full length."""
    from transformers import LlamaConfig

    torch.manual_seed(0)
    kind = more.pop("kind")
    return kind(
        LlamaConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.hidden,
            intermediate_size=4 * size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.hidden // 64,
            num_key_value_heads=size.hidden // 64,
            max_position_embeddings=PROMPT + ANSWER,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
            dtype=torch.float32,
            **more,
        )
    )


def make_tokenizer(size: Size) -> Any:
    """A word a token: `7` is token 7. The pad token is none of the model's."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = {str(number): number for number in range(size.vocabulary)} | {"<pad>": size.vocabulary}
    tokenizer = Tokenizer(WordLevel(words, unk_token="0"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")


def prompts(size: Size, count: int) -> list[list[int]]:
    draw = random.Random(1)
    return [[draw.randrange(size.vocabulary) for _ in range(PROMPT)] for _ in range(count)]


def megabytes() -> float:
    """The most that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@dataclass
class Meter:
    """Made in the process once everything is imported, before there is a model. `mark` after every update."""

    warm: int
    empty: float = field(default_factory=megabytes)
    marks: list[tuple[float, float]] = field(default_factory=list)

    def mark(self) -> None:
        self.marks.append((time.perf_counter(), time.process_time()))

    def report(self, **figures: Any) -> None:
        """The last line of what the process prints."""
        first, last = self.marks[self.warm - 1], self.marks[-1]
        episodes = EPISODES * (len(self.marks) - self.warm)
        timed = {"wall": episodes / (last[0] - first[0]), "cpu": episodes / (last[1] - first[1])} if episodes else {}
        print(json.dumps({**timed, "peak": megabytes() - self.empty, **figures}))


def static_megabytes(weights: list[Tensor], optimizer: torch.optim.Optimizer) -> float:
    """Weights, a gradient of all that moves, and the optimizer's state; what shares memory counts once."""
    moving = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = [one for entry in optimizer.state.values() for one in entry.values() if isinstance(one, Tensor)]
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in [*weights, *state]}
    return (sum(storages.values()) + sum(one.numel() * one.element_size() for one in moving)) / 2**20


def write_inputs(folder: Path, size: Size) -> None:
    """The model in a folder, and prompts as rows of text."""
    from transformers import LlamaForCausalLM

    make_model(size, kind=LlamaForCausalLM).save_pretrained(folder / "model")
    make_tokenizer(size).save_pretrained(folder / "model")
    rows = ({"prompt": " ".join(map(str, ids))} for ids in prompts(size, 8 * EPISODES))
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
