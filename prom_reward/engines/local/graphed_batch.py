"""A batch's decoding steps in memory that stays in place, so that a GPU can replay them as a CUDA graph.

A step of a small model is hundreds of short kernels, and Python takes longer to start them than they run. A graph
starts them all at once, but on the same addresses and shapes. So the cache has room for all tokens that may come, a
mask hides what is not written yet, and finished sequences stay in the batch until only half of them are left.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

from prom_reward.engines.model.forward import forward_last
from prom_reward.engines.prefix.prefill import rotary_boundary
from prom_reward.engines.prefix.tree_attention import is_available

_SPARE_TOKENS = 64  # a full cache is copied once, with room for as many more
_WARM_UPS = 2  # before recording, libraries choose their kernels and take their memory

Step = Callable[[], torch.Tensor]


class FixedLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
    """One layer's keys and values (B, K, L, D); a step writes them at the place that a tensor (1,) holds.

    Args:
        keys: The keys so far, (B, K, T, D).
        values: The values so far.
        place: The index of the next token, the same tensor for all layers.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, place: torch.Tensor) -> None:
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self.keys, self.values = keys, values
        self._place = place

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the states (B, K, 1, D) of one token and return all, (B, K, L, D)."""
        self.keys.index_copy_(2, self._place, key_states)
        self.values.index_copy_(2, self._place, value_states)
        return self.keys, self.values

    def hold(self, rows: torch.Tensor, num_places: int) -> None:
        """Move some rows to memory with `num_places` places each."""
        self.keys, self.values = (_with_room(states[rows], num_places) for states in (self.keys, self.values))


class GraphedBatch:
    """What a batch has been through, extended by a token a sequence at every step.

    Args:
        model: A causal LM in eval mode.
        cache: Keys and values of B prompts, padded on the left.
        lengths: The tokens of each prompt.
        num_steps: The steps that the memory has room for; it is enlarged if more are made.

    Raises:
        NotImplementedError: The model does not attend to all earlier tokens by torch's kernels, rotates positions by
            the length of the text, or is spread over devices.
    """

    def __init__(self, model: Any, cache: Any, lengths: Sequence[int], *, num_steps: int) -> None:
        if not is_available(model) or rotary_boundary(model) is not None:
            raise NotImplementedError("got attention or positions of another kind; expected those of plain sdpa")
        if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
            raise NotImplementedError("got a model on several devices; expected one")
        width, device = max(lengths), model.device
        self._replay: Step | None = None
        self._model = model
        self._num_written = width
        self._place = torch.tensor([width], device=device)
        self._cache = cache
        self._cache.layers = [FixedLayer(layer.keys, layer.values, self._place) for layer in cache.layers]
        seen = [[False] * (width - length) + [True] * length for length in lengths]
        self._mask = torch.tensor(seen, device=device)[:, None, None]  # (B, 1, 1, L)
        self._positions = torch.tensor(lengths, device=device)[:, None]
        self._active = torch.arange(len(lengths), device=device)
        self._hold(self._active, width + num_steps)

    def select(self, rows: Sequence[int]) -> None:
        """Keep some sequences; the others leave the memory if half of its rows are free."""
        self._active = self._active[torch.tensor(rows, device=self._active.device)]
        if 2 * len(rows) <= len(self._ids):
            self._hold(self._active, self._mask.shape[-1])

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Run the next token of each sequence; return raw logits (B, V)."""
        if self._num_written == self._mask.shape[-1]:
            self._hold(self._active, self._num_written + _SPARE_TOKENS)
        self._ids[self._active, 0] = torch.tensor(tokens, device=self._ids.device)
        self._place.fill_(self._num_written)
        self._mask[..., self._num_written] = True
        if self._replay is None:
            self._replay = recorded(self._forward, self._model.device)
        logits = self._replay()[self._active]  # a copy: the next step writes to the same memory
        self._positions[self._active] += 1  # those of finished sequences may be the model's last ones
        self._num_written += 1
        return logits

    def _hold(self, rows: torch.Tensor, num_places: int) -> None:
        """Move some rows to new memory; the next step is recorded anew."""
        self._replay = None  # its memory is freed before more is taken
        for layer in self._cache.layers:
            layer.hold(rows, num_places)
        self._mask = torch.nn.functional.pad(self._mask[rows], (0, num_places - self._mask.shape[-1]))
        self._positions = self._positions[rows]
        self._ids = torch.zeros_like(self._positions)
        self._active = torch.arange(len(rows), device=rows.device)

    def _forward(self) -> torch.Tensor:
        """Run a step; it may be run again, as it changes only the place of its own token."""
        inputs = {"position_ids": self._positions, "attention_mask": self._mask, "cache": self._cache}
        return forward_last(self._model, self._ids, **inputs)[0]


def recorded(work: Step, device: torch.device) -> Step:
    """Return what does the same work on the same memory again: a CUDA graph, or elsewhere the work itself."""
    if device.type != "cuda":
        return work
    with torch.cuda.device(device):
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # a policy may train in another thread
            output = work()

    def replay() -> torch.Tensor:
        graph.replay()
        return output

    return replay


def _with_room(states: torch.Tensor, num_places: int) -> torch.Tensor:
    """Return states (B, K, T, D) with zeros up to (B, K, L, D): what is hidden must be a number."""
    return torch.nn.functional.pad(states, (0, 0, 0, num_places - states.shape[2]))
