"""The models in memory: least recently used goes first, and chains over one base hold its weights once."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from models_registry.lm import inspect
from models_registry.lm.chain import Loaded, load

logger = logging.getLogger("models_registry.serving")


class Pool:
    """Used by the one generation thread alone. `budget` is in bytes of weights."""

    def __init__(self, *, budget: int, device: str) -> None:
        self.budget = budget
        self.device = device
        self._loaded: OrderedDict[tuple[Path, ...], Loaded] = OrderedDict()

    def get(self, folders: Sequence[Path]) -> Loaded:
        """The chain, loaded if need be. Raises what lm.chain.load raises."""
        key = tuple(folders)
        if key not in self._loaded:
            self._make_room(key)
            loaded = load(key, device=self.device, dtype=self._dtype(key[0]))
            if relative := next((other for held, other in self._loaded.items() if held[0] == key[0]), None):
                share(loaded, relative)
            self._loaded[key] = loaded
            logger.info("Loaded %s; %.1f MB of weights in memory.", key[-1].name[:12], self.used / 1e6)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    @property
    def used(self) -> int:
        """Bytes of all weights, shared ones once."""
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for loaded in self._loaded.values()
            for tensor in [*loaded.model.parameters(), *loaded.model.buffers()]
        }
        return sum(storages.values())

    def __len__(self) -> int:
        return len(self._loaded)

    def _dtype(self, root: Path) -> torch.dtype:
        """Half precision only where the hardware is made for it and the weights are no finer."""
        fine = self.device == "cpu" or inspect.describe(root).dtype not in ("BF16", "F16")
        return torch.float32 if fine else torch.bfloat16

    def _make_room(self, key: tuple[Path, ...]) -> None:
        """Let go of the longest unused until the new chain fits; a relative, whose base it will share, goes last."""
        need = sum(inspect.describe(folder).parameters for folder in key) * self._dtype(key[0]).itemsize
        order = sorted(self._loaded, key=lambda held: held[0] == key[0])
        while order and self.used + need > self.budget:
            gone = order.pop(0)
            del self._loaded[gone]
            gc.collect()
            logger.info("Let go of %s.", gone[-1].name[:12])


def share(loaded: Loaded, other: Loaded) -> None:
    """Let `loaded` use the tensors of `other` wherever they hold the same numbers under the same name: one base in memory.

    Each keeps modules and adapters of its own, so neither can change what the other computes. Adapters wrap a layer and call it
    `base_layer`; that is looked through.
    """
    theirs = {_plain(name): parameter for name, parameter in other.model.named_parameters()}
    for name, parameter in loaded.model.named_parameters():
        twin = theirs.get(_plain(name))
        if twin is not None and twin.dtype == parameter.dtype and torch.equal(twin, parameter):
            parameter.data = twin.data


def _plain(name: str) -> str:
    return name.replace(".base_layer.", ".")
