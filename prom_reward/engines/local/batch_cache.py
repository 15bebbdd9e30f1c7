"""The keys and values of a batch's prompts, joined with padding on the left, and one step of decoding on them.

On a CPU the beginning that all prompts share is held once and read once a step. A cache that cannot be joined (sliding
window, recurrent state) takes one prompt.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from prom_reward.engines.local.graphed_batch import GraphedBatch
from prom_reward.engines.local.kv_cache import PreallocatedLayer
from prom_reward.engines.model.forward import forward_last
from prom_reward.engines.prefix.prefill import SharedPrefill
from prom_reward.engines.prefix.step_attention import Step, step_attention
from prom_reward.engines.prefix.tree_attention import KeyValues
from prom_reward.engines.tokens.encoding import num_shared


class BatchCache:
    """What a batch has been through, extended by a token a sequence at every step.

    Args:
        model: A causal LM in eval mode.
        caches: The caches of B sequences, without what `shared` holds.
        lengths: The tokens in each of them.
        shared: Keys and values of a beginning of P tokens that all sequences share, by layer; None lets the model's own
            attention run.
    """

    def __init__(
        self, model: Any, caches: list[Any], lengths: Sequence[int], shared: Sequence[KeyValues] | None = None
    ) -> None:
        width = max(lengths)
        self._model = model
        self._cache = _joined(caches, width)
        self._padding = [width - length for length in lengths]
        rows = [[0] * (width - length) + [1] * length for length in lengths]
        self._mask = torch.tensor(rows, dtype=torch.long, device=model.device)  # of no tokens it would be float
        self._shared = shared
        self._num_shared = shared[0][0].shape[2] if shared else 0

    def select(self, rows: Sequence[int]) -> None:
        """Keep some sequences."""
        chosen = torch.tensor(rows)  # on the CPU: it indexes layers on any device
        self._cache.batch_select_indices(chosen)
        self._mask = self._mask[chosen]
        self._padding = [self._padding[row] for row in rows]

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Run the next token of each sequence; return raw logits (B, V)."""
        step_ids = torch.tensor(tokens, device=self._model.device)[:, None]
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        positions = self._mask.sum(dim=1, keepdim=True) - 1 + self._num_shared
        inputs: dict[str, Any] = {"position_ids": positions, "cache": self._cache}
        if self._shared is None:
            return self._run(step_ids, attention_mask=self._mask if any(self._padding) else None, **inputs)
        with step_attention(self._model):
            return self._run(step_ids, step=Step(shared=self._shared, bias=self._bias()), **inputs)

    def restart(self, tokens: Sequence[int]) -> torch.Tensor:
        """Run one sequence again from its first token; return raw logits (1, V)."""
        self._mask = torch.ones_like(self._mask[:, :1]).expand(1, len(tokens))
        self._padding = [0]
        return self._run(torch.tensor([tokens], device=self._model.device))

    def _run(self, input_ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
        logits, self._cache = forward_last(self._model, input_ids, **inputs)
        return logits

    def _bias(self) -> torch.Tensor:
        """Return what hides the padding, (B, 1, 1, T)."""
        hidden = (self._mask == 0)[:, None, None]
        return torch.zeros_like(hidden, dtype=self._model.dtype).masked_fill(hidden, -torch.inf)


def prefilled(
    model: Any, prompts: Sequence[list[int]], prefill: SharedPrefill | None, *, num_graphed: int | None = None
) -> tuple[torch.Tensor, BatchCache | GraphedBatch, list[int]]:
    """Run prompts.

    Args:
        model: A causal LM in eval mode.
        prompts: Token ids; identical prompts are computed once.
        prefill: Computes shared beginnings once, if the model can; None computes each prompt alone.
        num_graphed: The steps of a `GraphedBatch` to make room for; None makes a `BatchCache`.

    Returns:
        Raw logits (B, V) after each prompt, the cache, and the tokens that were computed for each.
    """
    lengths = [len(ids) for ids in prompts]
    is_shared = prefill is not None and len(prompts) > 1 and prefill.strategy == "tree"
    logits, caches, computed = (
        _all_together(model, prompts, prefill) if prefill and is_shared else _each_alone(model, prompts)
    )
    if num_graphed is not None:
        joined = _joined(caches, max(lengths))
        return logits, GraphedBatch(model, joined, lengths, num_steps=num_graphed), computed
    if not is_shared or model.device.type != "cpu":
        return logits, BatchCache(model, caches, lengths), computed
    size = num_shared(*prompts)
    shared = [_split(caches, layer, size) for layer in range(len(caches[0].layers))]
    return logits, BatchCache(model, caches, [length - size for length in lengths], shared), computed


def _each_alone(model: Any, prompts: Sequence[list[int]]) -> tuple[torch.Tensor, list[Any], list[int]]:
    """Return logits (B, V), caches, and computed tokens, without sharing."""
    done: dict[tuple[int, ...], tuple[torch.Tensor, Any]] = {}
    computed = []
    for ids in prompts:
        key = tuple(ids)
        computed.append(0 if key in done else len(ids))
        if key not in done:
            logits, cache = forward_last(model, torch.tensor([ids], device=model.device))
            done[key] = (logits[0], cache)
    rows, caches = zip(*(done[tuple(ids)] for ids in prompts), strict=True)
    return torch.stack(rows), list(caches), computed


def _all_together(
    model: Any, prompts: Sequence[list[int]], prefill: SharedPrefill
) -> tuple[torch.Tensor, list[Any], list[int]]:
    """Return the same as `_each_alone`, with every shared beginning computed once."""
    done = sorted(prefill.run_tree(prompts, keeps_states=True), key=lambda one: one.index)
    caches = [_cache_of(model, one.states) for one in done]
    return torch.stack([one.logits for one in done]), caches, [one.num_computed_tokens for one in done]


def _cache_of(model: Any, states: Sequence[KeyValues]) -> Any:
    cache = DynamicCache(config=model.config.get_text_config())
    for layer, (keys, values) in enumerate(states):
        cache.update(keys, values, layer)
    return cache


def _split(caches: Sequence[Any], layer: int, size: int) -> KeyValues:
    """Take the first tokens out of a layer of all caches; return the states of one, a copy."""
    first = caches[0].layers[layer]
    shared = (first.keys[:, :, :size].clone(), first.values[:, :, :size].clone())
    for cache in caches:
        one = cache.layers[layer]
        one.keys, one.values = one.keys[:, :, size:], one.values[:, :, size:]
    return shared


def _joined(caches: list[Any], width: int) -> Any:
    """Return one cache of all rows, padded to `width` tokens on the left."""
    layers = getattr(caches[0], "layers", ())
    if not layers or not all(type(layer) is DynamicLayer and layer.keys is not None for layer in layers):
        if len(caches) > 1:
            raise ValueError(f"{type(caches[0]).__name__} cannot be joined")
        return caches[0]
    joined = copy.copy(caches[0])
    joined.layers = []
    for index in range(len(caches[0].layers)):
        layers = [cache.layers[index] for cache in caches]
        keys = _padded([layer.keys for layer in layers], width)
        joined.layers.append(PreallocatedLayer(keys, _padded([layer.values for layer in layers], width)))
        for layer in layers:  # hold no more than one layer twice
            layer.keys = layer.values = None
    return joined


def _padded(states: list[torch.Tensor], width: int) -> torch.Tensor:
    """Join states (1, H, T_i, D) to (B, H, width, D) with zeros on the left."""
    return torch.cat([torch.nn.functional.pad(state, (0, 0, width - state.shape[2], 0)) for state in states])
