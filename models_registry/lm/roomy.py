"""A KV cache with room for what is yet to come: a new token is written into its place, where transformers copies all that is there already."""

from torch import Tensor
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer

AHEAD = 64  # places at least, when the room has run out


def roomy_cache(config: PretrainedConfig) -> DynamicCache:
    """Layers of another kind than the plain one, as with a sliding window, stay as they are."""
    cache = DynamicCache(config=config)
    cache.layers = [_Roomy() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class _Roomy(DynamicLayer):
    """`keys` and `values` are what is filled of two rooms. Who puts other tensors there, as when rows are dropped, makes new rooms necessary."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: Tensor
        self.values: Tensor
        self._rooms: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *_args: object, **_others: object) -> tuple[Tensor, Tensor]:  # fmt: skip
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before, length = self.get_seq_length(), self.get_seq_length() + key_states.shape[-2]
        held = (self.keys, self.values)
        if not self._fits(held, length):
            self._rooms = []
            for old, new in zip(held, (key_states, value_states), strict=True):
                room = new.new_empty(*new.shape[:2], length + max(AHEAD, length // 4), new.shape[-1])
                if before:
                    room[:, :, :before] = old
                self._rooms.append(room)
        for room, new in zip(self._rooms, (key_states, value_states), strict=True):
            room[:, :, before:length] = new
        self.keys, self.values = (room[:, :, :length] for room in self._rooms)
        return self.keys, self.values

    def _fits(self, held: tuple[Tensor, Tensor], length: int) -> bool:
        """Whether the rooms hold what is held, and are long enough."""
        return bool(self._rooms) and all(
            room.data_ptr() == old.data_ptr() and room.shape[-2] >= length
            for room, old in zip(self._rooms, held, strict=True)
        )
