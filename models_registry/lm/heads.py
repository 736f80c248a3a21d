"""The reward head: one scalar per text, read at its last real token.

A reward model is a decoder with a `ForSequenceClassification` head of one output. Texts are pooled by the attention mask, never by
looking for the pad token: it may equal EOS, and then the last token of every finished text would be taken for padding.
"""

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, PreTrainedModel

if TYPE_CHECKING:
    from .chain import Loaded

SCALE_FILE = "reward.json"


@dataclass(frozen=True)
class Scale:
    """What makes raw scores comparable: `(raw - mean) / std` has mean 0 and standard deviation 1 on the texts it was measured on."""

    mean: float = 0.0
    std: float = 1.0

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
    """The linear layer hidden → 1. Raises ValueError if the model has none."""
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
    architecture = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    if architecture is None:
        raise ValueError(f"no reward model can be made of the architecture {config.model_type}")
    with torch.device("meta"):
        reward = architecture(config)
    if not isinstance(getattr(reward, "score", None), nn.Linear):
        raise ValueError(f"no reward model can be made of the architecture {config.model_type}")
    setattr(reward, reward.base_model_prefix, model.base_model)
    hidden = reward.score.in_features
    like = next(model.parameters())
    noise = torch.randn(1, hidden, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    reward.score = nn.Linear(hidden, 1, bias=False, device=like.device, dtype=like.dtype)
    with torch.no_grad():
        reward.score.weight.copy_(noise / (hidden + 1) ** 0.5)
    return reward.train(model.training)


def into_reward(loaded: "Loaded", *, seed: int) -> None:
    """Turn a loaded language model into a reward model with a fresh head; the adapters of its chain stay in its layers."""
    loaded.model = to_reward(loaded.model, seed=seed)
    loaded.head = "reward"
    if loaded.peft is not None:
        loaded.peft.base_model.model = loaded.model


def last_real(mask: Tensor) -> Tensor:
    """(batch, T) of 0/1, padding on either side → (batch,) index of each row's last real token."""
    return mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
