"""An ensemble of score heads over one trunk: how far its members stand apart says how sure a reward model may be.

A head is linear, so the mean of the members' scores is the score of their mean: that one is the model's own `score` layer, and whoever reads
one score (transformers, peft, PPO) reads the mean without knowing of members. The members lie beside the weights, in a file of their own.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .inspect import MEMBERS_FILE

if TYPE_CHECKING:
    from .chain import Loaded


class Members(nn.Module):
    """`weight` (members, hidden), at least two; `offset` (members,), with mean 0: what each member scores above the others throughout. It is
    taken away, since a constant orders nothing, and would pass for disagreement."""

    offset: Tensor

    def __init__(self, weight: Tensor, offset: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.float())
        self.register_buffer("offset", self.weight.new_zeros(len(weight)) if offset is None else offset.float())

    def __len__(self) -> int:
        return len(self.weight)

    @classmethod
    def around(cls, head: nn.Linear, number: int, *, seed: int) -> "Members":
        """Each with a start of its own, their mean being the head: N(0, 1/(hidden + 1)) is added as in heads.to_reward, from seed, seed + 1, …
        What the rankings say nothing about stays as it was drawn, and there the members differ (Osband et al. 2018, randomized priors)."""
        size = head.weight.shape[1]
        draws = [torch.randn(size, generator=torch.Generator().manual_seed(seed + n)) for n in range(number)]
        noise = torch.stack(draws) * (size + 1) ** -0.5
        return cls(head.weight.detach() + (noise - noise.mean(0)).to(head.weight))

    def forward(self, hidden: Tensor, bias: Tensor | None = None) -> Tensor:
        """Raw scores (N, members) of pooled states (N, hidden); `bias` is the head's, where it has one. Their mean is what the head says."""
        with torch.autocast(hidden.device.type, enabled=False):  # see packed.read
            values = hidden.to(self.weight.dtype) @ self.weight.T - self.offset
            return values if bias is None else values + bias

    @torch.no_grad()
    def center(self, means: Tensor) -> Tensor:
        """Take each member's mean score (members,) away, as far as it differs from the mean of all; (members,) what was taken."""
        taken = (means - means.mean()).to(self.offset)
        self.offset += taken
        return taken

    @torch.no_grad()
    def into(self, head: nn.Linear) -> None:
        """Make the head their mean."""
        head.weight.copy_(self.weight.mean(0, keepdim=True))

    def save(self, folder: Path) -> None:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, folder / MEMBERS_FILE)


def read_members(folder: Path) -> Members | None:
    """The ensemble that lies beside the weights of a folder, on the processor and frozen; None where the model is one head alone."""
    path = folder / MEMBERS_FILE
    return Members(**load_file(path)).requires_grad_(False) if path.is_file() else None


def members_of(loaded: "Loaded") -> Members | None:
    """Those of the chain's uppermost link, whose head is on, beside the model."""
    found = read_members(loaded.folders[-1]) if loaded.folders else None
    return found if found is None else found.to(loaded.device)


def spread(scores: Tensor) -> Tensor:
    """Standard deviation between the members: (N, members) → (N,). With members − 1 in the denominator: they are a sample of what could have
    been learned."""
    return scores.std(-1)
