"""The models in memory: one loaded base for all that stands on it, with adapters, prefixes and soft prompts added by name.

When the memory is full, the longest unused links go first, then the longest unused bases.
"""

import gc
import logging
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import torch

from models_registry.lm import hard_prompt, inspect
from models_registry.lm.chain import Loaded, add_adapter, load, use
from models_registry.lm.forget import forget
from models_registry.lm.sharing import share

logger = logging.getLogger("models_registry.serving")

# A base is loaded once for each head that chains over it have: (root folder, head, outputs of the head that a link brings).
Key = tuple[Path, str, int | None]


class Full(Exception):
    """There is no room until a request that is being answered has ended."""


@lru_cache(maxsize=4096)
def _about(folder: Path) -> inspect.Facts:
    """Folders of the store never change."""
    return inspect.describe(folder)


def key_of(folders: Sequence[Path]) -> Key:
    """Which base a chain of folders is loaded on, by the rules of lm.chain.load."""
    facts = [_about(folder) for folder in folders]
    weights = [about for about in facts if about.kind != "hard_prompt"]
    head = next((about.head for about in reversed(weights) if about.head), "lm")
    return folders[0], head, next((about.outputs for about in reversed(weights[1:]) if about.outputs), None)


@dataclass
class _Base:
    """`names`: the links in it, by folder, longest unused first. `views`: the chains over it, as Loaded of the one model."""

    loaded: Loaded
    names: OrderedDict[Path, str] = field(default_factory=OrderedDict)
    views: dict[tuple[Path, ...], Loaded] = field(default_factory=dict)
    on: Loaded | None = None


class Pool:
    """Used by the one computing thread alone. `budget` is in bytes of weights."""

    def __init__(self, *, budget: int, device: str) -> None:
        self.budget = budget
        self.device = device
        self._bases: OrderedDict[Key, _Base] = OrderedDict()

    def get(self, folders: Sequence[Path], busy: Collection[tuple[Path, ...]] = ()) -> Loaded:
        """The chain, loaded if need be; call `switch_to` before it computes.

        `busy`: chains that are being computed with; they stay. Raises Full when they leave no room, and what lm.chain.load raises.
        """
        chain = tuple(folders)
        key = key_of(chain)
        links = [folder for folder in chain[1:] if _about(folder).kind != "hard_prompt"]
        held = self._bases.get(key)
        lacking = [folder for folder in links if held is None or folder not in held.names]
        lacking += [chain[0]] if held is None else []
        if lacking:
            self._make_room(key, sum(_about(folder).parameters for folder in lacking), {chain, *busy})
        base = self._bases.get(key) or self._loaded(key, chain)
        self._bases.move_to_end(key)
        for folder in links:
            if folder not in base.names:
                base.names[folder] = add_adapter(base.loaded, folder, f"v{folder.name[:40]}".replace(".", "_"))
                base.on = None
                logger.info("Added %s; %.1f MB of weights in memory.", folder.name[:12], self.used / 1e6)
            base.names.move_to_end(folder)
        if chain not in base.views:
            base.views[chain] = _view(base, chain, links)
        return base.views[chain]

    def switch_to(self, view: Loaded) -> None:
        """Put exactly the links of this chain on. Cheap where they are on already."""
        base = next(base for base in self._bases.values() if base.loaded.model is view.model)
        if base.on is not view:
            use(view, view.adapters)
            base.on = view

    @property
    def used(self) -> int:
        """Bytes of all weights, shared ones once."""
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for base in self._bases.values()
            for model in (base.loaded.model, *base.loaded.others)
            for tensor in [*model.parameters(), *model.buffers()]
        }
        return sum(storages.values())

    def __len__(self) -> int:
        """How many bases are loaded."""
        return len(self._bases)

    @property
    def links(self) -> int:
        """How many adapters, prefixes and soft prompts lie in them."""
        return sum(len(base.names) for base in self._bases.values())

    def _loaded(self, key: Key, chain: tuple[Path, ...]) -> _Base:
        loaded = load(chain, device=self.device, dtype=self._dtype(key[0]))
        if relative := next((base for held, base in self._bases.items() if held[0] == key[0]), None):
            share(loaded.model, relative.loaded.model)
        links = [folder for folder in chain[1:] if _about(folder).kind != "hard_prompt"]
        self._bases[key] = _Base(loaded, OrderedDict(zip(links, loaded.adapters, strict=True)))
        logger.info("Loaded %s; %.1f MB of weights in memory.", key[0].name[:12], self.used / 1e6)
        return self._bases[key]

    def _dtype(self, root: Path) -> torch.dtype:
        """Half precision only where the hardware is made for it and the weights are no finer."""
        fine = self.device == "cpu" or _about(root).dtype not in ("BF16", "F16")
        return torch.float32 if fine else torch.bfloat16

    def _make_room(self, key: Key, parameters: int, busy: Collection[tuple[Path, ...]]) -> None:
        """Let go of the longest unused until so many parameters fit; a base whose weights will be shared goes last."""
        need = parameters * self._dtype(key[0]).itemsize
        if self.used + need <= self.budget:
            return
        needed = {folder for chain in busy for folder in chain}
        for base in self._bases.values():
            for folder in [folder for folder in base.names if folder not in needed]:
                self._forget(base, folder)
                if self.used + need <= self.budget:
                    return
        roots = {key_of(chain) for chain in busy}
        for held in sorted(self._bases, key=lambda held: held[0] == key[0]):
            if held in roots:
                continue
            del self._bases[held]
            gc.collect()
            logger.info("Let go of %s.", held[0].name[:12])
            if self.used + need <= self.budget:
                return
        if len(busy) > 1:
            raise Full

    def _forget(self, base: _Base, folder: Path) -> None:
        use(base.loaded, ())
        base.on = None
        forget(base.loaded, base.names.pop(folder))
        base.views = {chain: view for chain, view in base.views.items() if folder not in chain}


def _view(base: _Base, chain: tuple[Path, ...], links: Sequence[Path]) -> Loaded:
    """The one model, as a chain of its own: its links and the hard prompt that lies uppermost."""
    names = tuple(base.names[folder] for folder in links)
    prompts = [folder for folder in chain if _about(folder).kind == "hard_prompt"]
    words = hard_prompt.read(prompts[-1]) if prompts else None
    view = replace(base.loaded, folders=chain, adapters=names, on=names, hard_prompt=words, shortened=0)
    view.__dict__["continuation"] = base.loaded.continuation  # made from the tokenizer, which is the same
    return view
