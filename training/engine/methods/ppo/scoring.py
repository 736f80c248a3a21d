"""What judges the answers: any function from prompts and completions to scores."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from models_registry.lm.chain import Loaded
from models_registry.lm.score import rewards
from models_registry.lm.sharing import share
from models_registry.lm.text import Prompt, encode_prompt

RewardFunction = Callable[[Sequence[Prompt], Sequence[str]], Sequence[float]]


class ByModel:
    """A reward model as a reward function. `answer`: the longest answer in tokens."""

    def __init__(self, judge: Loaded, *, answer: int) -> None:
        self.judge, self.answer = judge, answer

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return rewards(self.judge, list(zip(prompts, completions, strict=True)))

    def share(self, model: PreTrainedModel) -> int:
        """Use this model's tensors where they are the same: a reward model of the same root then has no copy of its own. Returns how many
        parameters are still its own."""
        share(self.judge.model, model)
        theirs = {parameter.data_ptr() for parameter in model.parameters()}
        return sum(one.numel() for one in self.judge.model.parameters() if one.data_ptr() not in theirs)

    def fits(self, prompt: Prompt) -> bool:
        """Whether the model can see this prompt whole, with an answer and its EOS."""
        limit = self.judge.context_length
        return limit is None or len(encode_prompt(self.judge, prompt)) + self.answer + 1 <= limit


def scored(reward: RewardFunction, prompts: Sequence[Prompt], texts: Sequence[str], device: torch.device) -> Tensor:
    """The reward function's scores, (n,). ValueError unless there is one finite number for each text."""
    scores = torch.tensor([float(score) for score in reward(prompts, texts)], device=device)
    if scores.shape != (len(texts),) or not bool(scores.isfinite().all()):
        raise ValueError(f"the reward function must give one finite number for each of {len(texts)} texts")
    return scores
