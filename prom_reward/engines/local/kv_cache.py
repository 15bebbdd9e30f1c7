"""A key/value cache layer for decoding that writes each step's tokens into preallocated memory.

transformers' own layer copies everything that it holds at every step, which for a batch of long prompts costs more than
the step itself.
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

_SPARE_TOKENS = 64  # a full layer is copied once, with as many more


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
    """One layer's keys and values (B, K, T, D), with spare memory after them.

    Args:
        keys: The keys so far.
        values: The values so far.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._hold(_allocated(keys), _allocated(values), keys.shape[2])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add states (B, K, N, D) and return all, (B, K, T + N, D)."""
        start = self.keys.shape[2]
        end = start + key_states.shape[2]
        if end > self._all_keys.shape[2]:
            self._hold(_allocated(self.keys, end), _allocated(self.values, end), start)
        self._all_keys[:, :, start:end] = key_states
        self._all_values[:, :, start:end] = value_states
        self._hold(self._all_keys, self._all_values, end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep some rows of the batch."""
        self._hold(self._all_keys[indices], self._all_values[indices], self.keys.shape[2])

    def _hold(self, all_keys: torch.Tensor, all_values: torch.Tensor, length: int) -> None:
        self._all_keys, self._all_values = all_keys, all_values
        self.keys, self.values = all_keys[:, :, :length], all_values[:, :, :length]


def _allocated(states: torch.Tensor, length: int = 0) -> torch.Tensor:
    """Return the states at the start of a tensor for at least `length` tokens, with some to spare."""
    batch, heads, used, width = states.shape
    memory = states.new_empty(batch, heads, max(used, length) + _SPARE_TOKENS, width)
    memory[:, :, :used] = states
    return memory
