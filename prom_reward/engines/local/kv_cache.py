"""A key/value cache for decoding that has room: a step writes its tokens in place.

It does not know sequences. transformers' own layer copies all that it holds at every step, which for a batch of long
prompts costs more than the step itself.
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

_ROOM = 64  # tokens; a layer that is full is copied once, with as many more


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
    """One layer's keys and values (B, K, T, D), with room behind them.

    Args:
        keys: The keys so far.
        values: The values so far.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._hold(_with_room(keys), _with_room(values), keys.shape[2])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add states (B, K, N, D) and return all, (B, K, T + N, D)."""
        start = self.keys.shape[2]
        end = start + key_states.shape[2]
        if end > self._key_room.shape[2]:
            self._hold(_with_room(self.keys, end), _with_room(self.values, end), start)
        self._key_room[:, :, start:end] = key_states
        self._value_room[:, :, start:end] = value_states
        self._hold(self._key_room, self._value_room, end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep some rows of the batch."""
        self._hold(self._key_room[indices], self._value_room[indices], self.keys.shape[2])

    def _hold(self, key_room: torch.Tensor, value_room: torch.Tensor, length: int) -> None:
        self._key_room, self._value_room = key_room, value_room
        self.keys, self.values = key_room[:, :, :length], value_room[:, :, :length]


def _with_room(states: torch.Tensor, length: int = 0) -> torch.Tensor:
    """Return the states in a tensor that has room for at least `length` tokens, and for more."""
    batch, heads, used, width = states.shape
    room = states.new_empty(batch, heads, max(used, length) + _ROOM, width)
    room[:, :, :used] = states
    return room
