"""The policy's moving average: smoother than its last weights, and what the run then saves (Ouyang et al. 2022, appendix C.4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

FILE = "average.safetensors"


class Average:
    """average ← decay · average + (1 - decay) · policy after every optimizer step, of `parameters` alone; it starts as they are now.

    What is frozen has no copy here, and the critic, which is not saved, has none either.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float, optimizer: torch.optim.Optimizer) -> None:
        self._parameters, self._decay = parameters, decay
        self._average = {name: p.detach().clone() for name, p in parameters.items()}
        optimizer.register_step_post_hook(lambda *_arguments: self._follow())

    @torch.no_grad()
    def _follow(self) -> None:
        for name, parameter in self._parameters.items():
            self._average[name].lerp_(parameter, 1 - self._decay)

    def save(self, folder: Path) -> None:
        """Into a checkpoint."""
        save_file({name: tensor.contiguous() for name, tensor in self._average.items()}, folder / FILE)

    def load(self, folder: Path) -> None:
        """Put back what save() wrote."""
        for name, tensor in load_file(folder / FILE).items():
            self._average[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the policy is its average. Between forward and backward as well: what is kept for backward is not written to."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, parameter in self._parameters.items():
            self._average[name], parameter.data = parameter.data, self._average[name]
