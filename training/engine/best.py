"""Early stopping: the weights of the best evaluation so far, kept aside and put back at the end."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class Best:
    """Watches one number of the evaluations, smaller is better. Part of every checkpoint.

    `patience`: evaluations in a row without a new best before training is over; None: never.
    """

    def __init__(self, name: str, parameters: dict[str, nn.Parameter], *, patience: int | None) -> None:
        self.name, self.patience = name, patience
        self._parameters = parameters
        self._weights: dict[str, Tensor] = {}
        self.step, self.waited = 0, 0
        self.numbers: dict[str, float] = {}

    def see(self, step: int, numbers: dict[str, float]) -> None:
        """Take note of an evaluation; keep the weights if it is the best so far."""
        if self.numbers and not numbers[self.name] < self.numbers[self.name]:
            self.waited += 1
            return
        self.step, self.numbers, self.waited = step, numbers, 0
        self._weights = {name: p.detach().clone() for name, p in self._parameters.items()}

    @property
    def is_over(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    @torch.no_grad()
    def put_back(self) -> None:
        """Give the parameters the best weights again."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self._weights[name])

    def save(self, folder: Path) -> None:
        save_file({name: w.contiguous() for name, w in self._weights.items()}, folder / "best.safetensors")
        facts = {"step": self.step, "waited": self.waited, "numbers": self.numbers}
        (folder / "best.json").write_text(json.dumps(facts))

    def load(self, folder: Path) -> None:
        facts = json.loads((folder / "best.json").read_text())
        self.step, self.waited, self.numbers = facts["step"], facts["waited"], facts["numbers"]
        loaded = load_file(folder / "best.safetensors")
        self._weights = {name: w.to(self._parameters[name].device) for name, w in loaded.items()}
