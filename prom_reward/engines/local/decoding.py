"""Batched decoding of feedback with a key/value cache; a sequence leaves the batch as soon as it is done.

The prefill is not padded, and computes shared beginnings once. `batch_cache` joins the prompts' caches; a cache that
cannot be joined is decoded alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.batch_cache import BatchCache, prefilled
from prom_reward.engines.local.graphed_batch import GraphedBatch
from prom_reward.engines.local.sampling import BROKEN, Sampler
from prom_reward.engines.model.forward import forward_last, token_logprobs
from prom_reward.engines.prefix.prefill import SharedPrefill, rotary_boundary
from prom_reward.engines.prefix.tree_attention import keeps_all_states
from prom_reward.engines.tokens.label_probs import LogprobsAt

_MAX_CLOSING_TOKENS = 64  # more than any closing has
_KEPT_ROWS = 8  # at most so many steps lie between the first token of a verdict and the end of decoding


DecodeMode = Literal["graphed", "batched", "single", "uncached"]
"""Several sequences together, by a CUDA graph or not; one at a time; or one at a time without a cache."""


@dataclass(slots=True)
class Decoding:
    """One sequence during decoding."""

    prompt_ids: list[int]
    """The prompt."""
    max_new_tokens: int
    """Decoding ends here at the latest."""
    seed: int
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

    def row(self, index: int) -> LogprobsAt | None:
        """Return the distribution from which the token at an index was drawn; None if it is not kept."""
        logits = self.last_rows.get(index)
        return None if logits is None else partial(token_logprobs, logits)

    def closing_row(self) -> LogprobsAt | None:
        """Return the distribution after the closing tokens; None if none were run."""
        return None if self.last_row is None else partial(token_logprobs, self.last_row)

    def release(self) -> None:
        """Copy the rows that are kept: as views they hold those of the whole batch."""
        self.last_rows = {index: row.clone() for index, row in self.last_rows.items()}


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
        num_steps = max(sequence.max_new_tokens for sequence in group) + _MAX_CLOSING_TOKENS
        prompts = [sequence.prompt_ids for sequence in group]
        num_graphed = num_steps if mode == "graphed" else None
        logits, cache, computed = prefilled(model, prompts, prefill, num_graphed=num_graphed)
        for sequence, num_tokens in zip(group, computed, strict=True):
            sequence.computed_tokens += num_tokens
        _decode_batch(model, group, sampling, eos_ids, logits, cache)


def _groups(model: Any, sequences: Sequence[Decoding], mode: DecodeMode) -> list[list[Decoding]]:
    """Return the batches to decode: alone if caches cannot be joined, or if a rotary boundary is crossed."""
    boundary = rotary_boundary(model)
    if mode in ("single", "uncached") or not keeps_all_states(model):
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
    cache: BatchCache | GraphedBatch,
) -> None:
    """Run the decoding loop.

    Args:
        model: The causal LM.
        active: B sequences.
        sampling: How tokens are drawn.
        eos_ids: Tokens that end a sequence.
        logits: (B, V), raw, after the prompts.
        cache: The prompts' keys and values.
    """
    boundary, written = rotary_boundary(model), list(active[0].prompt_ids)
    sampler = _sampler(active, sampling, logits.device)
    while True:
        tokens = _next_tokens(active, sampler, logits, eos_ids)
        keep = [index for index, token in enumerate(tokens) if token is not None]
        if not keep:
            return
        if len(keep) < len(active):
            active = [active[index] for index in keep]
            cache.select(keep)
            sampler.select(keep)
        step = [token for token in tokens if token is not None]
        sampler.add(step)
        if boundary is not None and len(active) == 1 and isinstance(cache, BatchCache):
            written += step
            if len(written) == boundary + 1:  # the cache was rotated otherwise, as transformers' generate sees too
                logits = cache.restart(written)
                continue
        logits = cache.step(step)


def _decode_uncached(model: Any, sequence: Decoding, sampling: SamplingParams, eos_ids: frozenset[int]) -> None:
    """Decode one sequence with a forward pass over all of its tokens for every new one."""
    written = list(sequence.prompt_ids)
    sampler = _sampler([sequence], sampling, model.device)
    while True:
        logits, _ = forward_last(model, torch.tensor([written], device=model.device), keeps_cache=False)
        [token] = _next_tokens([sequence], sampler, logits, eos_ids)
        if token is None:
            return
        sampler.add([token])
        written.append(token)


def _sampler(sequences: Sequence[Decoding], sampling: SamplingParams, device: torch.device) -> Sampler:
    prompts, seeds = [one.prompt_ids for one in sequences], [one.seed for one in sequences]
    return Sampler(prompts, seeds, sampling, num_steps=max(one.max_new_tokens for one in sequences), device=device)


def _next_tokens(
    sequences: Sequence[Decoding], sampler: Sampler, logits: torch.Tensor, eos_ids: frozenset[int]
) -> list[int | None]:
    """Return the next token of every sequence, given raw logits (B, V); None for one that has ended."""
    is_drawing = any(sequence.forced is None for sequence in sequences)
    drawn = sampler.draw(logits) if is_drawing else [BROKEN] * len(sequences)
    tokens = [
        _next_token(sequence, row, token, eos_ids)
        for sequence, row, token in zip(sequences, logits, drawn, strict=True)
    ]
    for sequence, token in zip(sequences, tokens, strict=True):
        if token is None:
            sequence.release()
    return tokens


def _next_token(sequence: Decoding, row: torch.Tensor, token: int, eos_ids: frozenset[int]) -> int | None:
    """Return the next token of a sequence, given raw logits (V,) and the drawn token; None if it has ended."""
    if sequence.forced is not None:
        return _next_forced(sequence, row)
    if token == BROKEN:
        return None
    if token in eos_ids:
        return _close(sequence, row, [])
    sequence.last_rows[len(sequence.new_ids)] = row
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
