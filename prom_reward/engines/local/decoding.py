"""Batched decoding of feedback with a key/value cache; a sequence leaves the batch as soon as it is done.

The prefill is not padded, and computes shared beginnings once. The prompts' caches are then joined with padding on the
left, which the attention mask hides. A cache that cannot be joined (sliding window, recurrent state) is decoded alone.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.kv_cache import PreallocatedLayer
from prom_reward.engines.local.sampling import BROKEN, draw
from prom_reward.engines.model.forward import forward_last, token_logprobs
from prom_reward.engines.prefix.prefill import SharedPrefill, rotary_boundary
from prom_reward.engines.prefix.tree_attention import States, keeps_all_states
from prom_reward.engines.tokens.label_probs import Row

_MAX_CLOSING_TOKENS = 64  # more than any closing has
_KEPT_ROWS = 8  # at most so many steps lie between the first token of a verdict and the end of decoding


DecodeMode = Literal["batched", "single", "uncached"]
"""Several sequences together, one at a time, or one at a time without a cache."""


@dataclass(slots=True)
class Decoding:
    """One sequence during decoding."""

    prompt_ids: list[int]
    """The prompt."""
    max_new_tokens: int
    """Decoding ends here at the latest."""
    generator: torch.Generator
    """Draws the tokens of this sequence alone."""
    is_done: Callable[[list[int]], bool]
    """Called with the new ids after every token; True ends the sequence."""
    closing: Callable[[list[int]], Sequence[int] | None] = lambda _: None
    """Called with the new ids of a sequence that ended otherwise; returns the closing tokens to run next, or None."""
    new_ids: list[int] = field(default_factory=list)
    """Decoded tokens, without the end-of-sequence token."""
    last_rows: dict[int, torch.Tensor] = field(default_factory=dict)
    """Raw logits (V,) of the last steps by index into `new_ids`, before temperature, penalty and top-p."""
    last_row: torch.Tensor | None = None
    """Raw logits (V,) after the closing tokens."""
    computed_tokens: int = 0
    """Prompt and closing tokens that were run through the model for this sequence."""
    forced: list[int] | None = None
    """Closing tokens that are still to be run; None before closing begins."""

    _seen: torch.Tensor | None = None

    def seen(self, device: torch.device) -> torch.Tensor:
        """Return all tokens so far (T,); only new ones are copied to the device."""
        known = torch.tensor(self.prompt_ids, device=device) if self._seen is None else self._seen
        new = self.new_ids[len(known) - len(self.prompt_ids) :]
        self._seen = torch.cat([known, torch.tensor(new, dtype=known.dtype, device=device)]) if new else known
        return self._seen

    def row(self, index: int) -> Row | None:
        """Return the distribution from which the token at an index was drawn; None if it is not kept."""
        logits = self.last_rows.get(index)
        return None if logits is None else partial(token_logprobs, logits)

    def closing_row(self) -> Row | None:
        """Return the distribution after the closing tokens; None if none were run."""
        return None if self.last_row is None else partial(token_logprobs, self.last_row)


def decode(
    model: Any,
    sequences: Sequence[Decoding],
    sampling: SamplingParams,
    eos_ids: frozenset[int],
    prefill: SharedPrefill | None = None,
    *,
    mode: DecodeMode = "batched",
) -> None:
    """Decode all sequences to their end, in place.

    Args:
        model: A causal LM in eval mode.
        sequences: The batch; identical prompts are prefilled once.
        sampling: How tokens are drawn.
        eos_ids: Tokens with which the model ends a sequence.
        prefill: Computes shared beginnings once, if the model can; None prefills each prompt alone.
        mode: The fastest in which the model is exact, see `decode_probe.probe_decoding`.
    """
    for group in _groups(model, sequences, mode):
        if mode == "uncached":
            _decode_uncached(model, group[0], sampling, eos_ids)
            continue
        if prefill is not None and len(group) > 1 and prefill.strategy == "tree":
            logits, caches = _shared_prefill(model, prefill, group)
        else:
            logits, caches = _prefill(model, group)
        cache, mask = _join(caches, [len(sequence.prompt_ids) for sequence in group], model.device)
        del caches
        _decode_batch(model, group, sampling, eos_ids, logits, cache, mask)


def _groups(model: Any, sequences: Sequence[Decoding], mode: DecodeMode) -> list[list[Decoding]]:
    """Return the batches to decode: alone if caches cannot be joined, or if a rotary boundary is crossed."""
    boundary = rotary_boundary(model)
    if mode != "batched" or not keeps_all_states(model):
        return [[sequence] for sequence in sequences]
    if boundary is None:
        return [list(sequences)]
    ends = [len(one.prompt_ids) + one.max_new_tokens + _MAX_CLOSING_TOKENS for one in sequences]
    short = [one for one, end in zip(sequences, ends, strict=True) if end <= boundary]
    others = [[one] for one, end in zip(sequences, ends, strict=True) if end > boundary]
    return [short, *others] if short else others


def _decode_batch(
    model: Any,
    active: list[Decoding],
    sampling: SamplingParams,
    eos_ids: frozenset[int],
    logits: torch.Tensor,
    cache: Any,
    mask: torch.Tensor,
) -> None:
    """Run the decoding loop.

    Args:
        model: The causal LM.
        active: B sequences.
        sampling: How tokens are drawn.
        eos_ids: Tokens that end a sequence.
        logits: (B, V), raw, after the prompts.
        cache: The joined cache of the prompts.
        mask: (B, T), 0 at padding.
    """
    boundary, written = rotary_boundary(model), list(active[0].prompt_ids)
    width = mask.shape[1]
    while True:
        tokens = [_next_token(sequence, row, sampling, eos_ids) for sequence, row in zip(active, logits, strict=True)]
        keep = [index for index, token in enumerate(tokens) if token is not None]
        if not keep:
            return
        if len(keep) < len(active):
            active = [active[index] for index in keep]
            chosen = torch.tensor(keep)  # on the CPU: it indexes layers on any device
            cache.batch_select_indices(chosen)
            mask = mask[chosen]
        step_ids = torch.tensor([[tokens[index]] for index in keep], device=model.device)  # (B, 1)
        mask = torch.nn.functional.pad(mask, (0, 1), value=1)  # (B, T + 1)
        positions = mask.sum(dim=1, keepdim=True) - 1
        if boundary is not None and len(active) == 1:
            written += step_ids[0].tolist()
            if (
                len(written) == boundary + 1
            ):  # the cache was rotated otherwise: start again, as transformers' generate does
                logits, cache = forward_last(model, torch.tensor([written], device=model.device))
                continue
        hidden = mask if any(len(one.prompt_ids) < width for one in active) else None
        logits, cache = forward_last(model, step_ids, cache=cache, position_ids=positions, attention_mask=hidden)


def _decode_uncached(model: Any, sequence: Decoding, sampling: SamplingParams, eos_ids: frozenset[int]) -> None:
    """Decode one sequence with a forward pass over all of its tokens for every new one."""
    written = list(sequence.prompt_ids)
    token: int | None = 0
    while token is not None:
        logits, _ = forward_last(model, torch.tensor([written], device=model.device), keeps_cache=False)
        token = _next_token(sequence, logits[0], sampling, eos_ids)
        written += [] if token is None else [token]


def _prefill(model: Any, sequences: Sequence[Decoding]) -> tuple[torch.Tensor, list[Any]]:
    """Return raw logits (B, V) after each prompt, and the prompts' caches."""
    done: dict[tuple[int, ...], tuple[torch.Tensor, Any]] = {}
    rows, caches = [], []
    for sequence in sequences:
        key = tuple(sequence.prompt_ids)
        if key not in done:
            input_ids = torch.tensor([sequence.prompt_ids], device=model.device)
            logits, cache = forward_last(model, input_ids)
            done[key] = (logits[0], cache)
            sequence.computed_tokens += len(key)
        row, cache = done[key]
        rows.append(row)
        caches.append(cache)
    return torch.stack(rows), caches


def _shared_prefill(
    model: Any, prefill: SharedPrefill, sequences: Sequence[Decoding]
) -> tuple[torch.Tensor, list[Any]]:
    """Return the same as `_prefill`, with every shared beginning computed once."""
    rows: dict[int, torch.Tensor] = {}
    caches: dict[int, Any] = {}
    for one in prefill.run_tree([sequence.prompt_ids for sequence in sequences], keeps_states=True):
        rows[one.index] = one.logits
        caches[one.index] = _cache_of(model, one.states)
        sequences[one.index].computed_tokens += one.num_computed_tokens
    order = range(len(sequences))
    return torch.stack([rows[at] for at in order]), [caches[at] for at in order]


def _cache_of(model: Any, states: Sequence[States]) -> Any:
    cache = DynamicCache(config=model.config.get_text_config())
    for layer, (keys, values) in enumerate(states):
        cache.update(keys, values, layer)
    return cache


def _join(caches: list[Any], lengths: list[int], device: Any) -> tuple[Any, torch.Tensor]:
    """Return one cache of all rows, padded on the left, and its mask (B, T)."""
    width = max(lengths)
    mask = torch.tensor([[0] * (width - length) + [1] * length for length in lengths], device=device)
    layers = getattr(caches[0], "layers", ())
    if not layers or not all(type(layer) is DynamicLayer and layer.keys is not None for layer in layers):
        if len(caches) > 1:
            raise ValueError(f"{type(caches[0]).__name__} cannot be joined")
        return caches[0], mask
    joined = copy.copy(caches[0])
    joined.layers = []
    for index in range(len(caches[0].layers)):
        layers = [cache.layers[index] for cache in caches]
        keys = _padded([layer.keys for layer in layers], width)
        joined.layers.append(PreallocatedLayer(keys, _padded([layer.values for layer in layers], width)))
        for layer in layers:  # hold no more than one layer twice
            layer.keys = layer.values = None
    return joined, mask


def _padded(states: list[torch.Tensor], width: int) -> torch.Tensor:
    """Join states (1, H, T_i, D) to (B, H, width, D) with zeros on the left."""
    return torch.cat([torch.nn.functional.pad(state, (0, 0, width - state.shape[2], 0)) for state in states])


def _next_token(sequence: Decoding, row: torch.Tensor, sampling: SamplingParams, eos_ids: frozenset[int]) -> int | None:
    """Return the next token of a sequence, given raw logits (V,); None if it has ended."""
    if sequence.forced is not None:
        return _next_forced(sequence, row)
    token = draw(row, sequence.seen(row.device), sampling, sequence.generator)
    if token == BROKEN:
        return None
    if token in eos_ids:
        return _close(sequence, row, [])
    sequence.last_rows[len(sequence.new_ids)] = row.clone()  # a view would hold the rows of the whole batch
    sequence.last_rows.pop(len(sequence.new_ids) - _KEPT_ROWS, None)
    sequence.new_ids.append(token)
    if sequence.is_done(sequence.new_ids):
        return None
    return token if len(sequence.new_ids) < sequence.max_new_tokens else _close(sequence, row, [token])


def _close(sequence: Decoding, row: torch.Tensor, waiting: list[int]) -> int | None:
    """Begin to close a sequence, after the tokens that the model has not seen yet."""
    closing = sequence.closing(sequence.new_ids)
    if closing is None:
        return None
    sequence.computed_tokens += len(closing)
    sequence.forced = [*waiting, *closing]
    return _next_forced(sequence, row)


def _next_forced(sequence: Decoding, row: torch.Tensor) -> int | None:
    if sequence.forced:
        return sequence.forced.pop(0)
    sequence.last_row = row.clone()
    return None
