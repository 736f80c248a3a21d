"""Proof that nothing moved but what should: hashes of tensors in memory, and of folders on disk, before and after."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Untouched:
    """The tensors of a model that are not to move, as they are now: parameters without gradient, and buffers. A tensor under two names counts once."""

    def __init__(self, model: nn.Module) -> None:
        self._before = {name: _digest(tensor) for name, tensor in _still(model).items()}

    def __len__(self) -> int:
        return len(self._before)

    def changed(self, model: nn.Module) -> list[str]:
        """Names of those that are no longer the same to the last bit, or gone."""
        now = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        return [name for name, digest in self._before.items() if name not in now or _digest(now[name]) != digest]


def _still(model: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if not p.requires_grad} | dict(model.named_buffers())


def _digest(tensor: Tensor) -> bytes:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    bytes_of: Any = flat.view(torch.uint8).numpy()  # read in place, not copied
    return sha256(bytes_of).digest()


def folders_sha256(folders: Sequence[Path]) -> str:
    """One hash over every file of a chain of folders: their names and bytes, folder by folder."""
    whole = sha256()
    for number, folder in enumerate(folders):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            with open(path, "rb") as file:
                content = sha256()
                while block := file.read(1 << 20):
                    content.update(block)
            whole.update(f"{number} {path.relative_to(folder).as_posix()} {content.hexdigest()}\n".encode())
    return whole.hexdigest()
