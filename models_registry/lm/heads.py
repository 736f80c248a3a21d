"""Heads that judge a text as a whole, at its last real token: one scalar (reward), or one number a class.

Both are decoders with a `ForSequenceClassification` head. Texts are pooled by the attention mask, never by looking for the pad token: it
may equal EOS, and then the last token of every finished text would be taken for padding.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from tokenizers import processors
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from . import padding
from .inspect import SCALE_FILE
from .text import bos_id

if TYPE_CHECKING:
    from .chain import Loaded


@dataclass(frozen=True)
class Scale:
    """What makes raw scores comparable: `(raw - mean) / std` has mean 0 and standard deviation 1 on the texts it was measured on.

    `tie_threshold`: scores closer than this are called a tie, as fitted on the training rankings; None where none was fitted.
    """

    mean: float = 0.0
    std: float = 1.0
    tie_threshold: float | None = None

    def apply(self, raw: Tensor) -> Tensor:
        return (raw - self.mean) / self.std


def write_scale(folder: Path, scale: Scale) -> None:
    """Lay the scale beside the weights, of a full model or of an adapter alike."""
    (folder / SCALE_FILE).write_text(json.dumps(asdict(scale), indent=2) + "\n")


def read_scale(folder: Path) -> Scale:
    """The scale that lies beside the weights; the identity if there is none (a reward model made elsewhere)."""
    path = folder / SCALE_FILE
    return Scale(**json.loads(path.read_text())) if path.exists() else Scale()


def score_head(model: PreTrainedModel) -> nn.Module:
    """The linear layer hidden → outputs. Raises ValueError if the model has none."""
    head = getattr(model, "score", None)
    if head is None:
        raise ValueError(f"{type(model).__name__} has no score head")
    return head


def to_reward(model: PreTrainedModel, *, seed: int) -> PreTrainedModel:
    """A reward model over the very same trunk: nothing is copied, `model` should not be used afterwards.

    The head starts as N(0, 1/(hidden + 1)), as in Stiennon et al. (2020), appendix B: scores start small but not equal. Raises
    ValueError if transformers knows no `ForSequenceClassification` of this architecture with a head named `score`.
    """
    config = copy.deepcopy(model.config)
    config.num_labels = 1
    hidden = config.get_text_config().hidden_size
    return _with_score(model, config, std=(hidden + 1) ** -0.5, seed=seed)


def to_classes(model: PreTrainedModel, labels: Sequence[str], *, seed: int) -> PreTrainedModel:
    """A classifier over the very same trunk, one output a label; their names stand in its config (id2label, label2id).

    The head starts as N(0, 0.02²), as transformers starts it: at first all classes are about equally likely. Raises ValueError as
    to_reward does.
    """
    config = copy.deepcopy(model.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    return _with_score(model, config, std=0.02, seed=seed)


def _with_score(model: PreTrainedModel, config: PretrainedConfig, *, std: float, seed: int) -> PreTrainedModel:
    """The trunk of `model` under a fresh score layer of config.num_labels outputs, drawn from `seed`."""
    architecture = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    if architecture is None:
        raise ValueError(f"no head that scores texts can be put on the architecture {config.model_type}")
    with torch.device("meta"):
        scoring = architecture(config)
    if not isinstance(getattr(scoring, "score", None), nn.Linear):
        raise ValueError(f"no head that scores texts can be put on the architecture {config.model_type}")
    setattr(scoring, scoring.base_model_prefix, model.base_model)
    like = next(model.parameters())
    shape = scoring.score.weight.shape
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    scoring.score = nn.Linear(shape[1], shape[0], bias=False, device=like.device, dtype=like.dtype)
    with torch.no_grad():
        scoring.score.weight.copy_(noise * std)
    return scoring.train(model.training)


def can_pad(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it has a pad token, or another special token that could be one."""
    return any(getattr(tokenizer, name, None) is not None for name in padding.NAMES)


def into_reward(loaded: "Loaded", *, seed: int) -> None:
    """Turn a loaded language model into a reward model with a fresh head; the adapters of its chain stay in its layers.

    Where the model has no pad token it gets one, if it can (padding.filler).
    """
    tokenizer = loaded.tokenizer
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = padding.filler({name: getattr(tokenizer, name) for name in padding.NAMES})
    reward = to_reward(loaded.model, seed=seed)
    if tokenizer.pad_token_id is not None and reward.config.get_text_config().pad_token_id is None:
        reward.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    _put(loaded, reward, "reward")


def into_classes(loaded: "Loaded", labels: Sequence[str], *, seed: int) -> None:
    """Turn a loaded model into a classifier with a fresh head, one output a label; the adapters of its chain stay in its layers.

    Also makes sure that what is saved works in transformers by itself: it finds a text's last token by the pad token of the config, so
    there must be one, and the same in the tokenizer; it counts positions from the left, so padding belongs on the right; and its tokenizer
    must begin texts as text.encode_prompt does.
    """
    tokenizer = loaded.tokenizer
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.bos_token
    tokenizer.padding_side = "right"
    _begin_with_bos(loaded)
    classifier = to_classes(loaded.model, labels, seed=seed)
    classifier.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    _put(loaded, classifier, "classes")


def _begin_with_bos(loaded: "Loaded") -> None:
    """Teach the tokenizer itself to put BOS in front, where the rule of encode_prompt does it."""
    tokenizer, start = loaded.tokenizer, bos_id(loaded)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if start is None or backend is None or list(tokenizer("a")["input_ids"])[:1] == [start]:
        return
    begin = processors.TemplateProcessing(
        single=f"{tokenizer.bos_token} $A",
        pair=f"{tokenizer.bos_token} $A $B",
        special_tokens=[(tokenizer.bos_token, start)],
    )
    before = backend.post_processor
    backend.post_processor = begin if before is None else processors.Sequence([before, begin])


def _put(loaded: "Loaded", model: PreTrainedModel, head: Literal["reward", "classes"]) -> None:
    loaded.replace(model)
    loaded.head = head


def last_real(mask: Tensor) -> Tensor:
    """(batch, T) of 0/1, padding on either side → (batch,) index of each row's last real token."""
    return mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
