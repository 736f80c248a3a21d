"""What judges the answers: any function from prompts and completions to scores."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models_registry.lm.text import Prompt

RewardFunction = Callable[[Sequence[Prompt], Sequence[str]], Sequence[float]]


def scored(reward: RewardFunction, prompts: Sequence[Prompt], texts: Sequence[str], device: torch.device) -> Tensor:
    """The reward function's scores, (n,). ValueError unless there is one finite number for each text."""
    scores = torch.tensor([float(score) for score in reward(prompts, texts)], device=device)
    if scores.shape != (len(texts),) or not bool(scores.isfinite().all()):
        raise ValueError(f"the reward function must give one finite number for each of {len(texts)} texts")
    return scores
