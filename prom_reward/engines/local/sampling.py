"""Draws one token from raw logits: repetition penalty, temperature, nucleus."""

import torch
from transformers import RepetitionPenaltyLogitsProcessor

from prom_reward.engines.base import SamplingParams

BROKEN = -1
"""Returned instead of a token if the logits are not finite, as after an overflow in fp16."""
_FIRST_CANDIDATES = 64  # nearly always hold the nucleus, and sorting a whole vocabulary costs as much as a layer


def draw(logits: torch.Tensor, seen: torch.Tensor, sampling: SamplingParams, generator: torch.Generator) -> int:
    """Draw one token.

    Args:
        logits: Raw logits (V,) in fp32.
        seen: The tokens (T,) that the repetition penalty counts; unused if it is off.
        sampling: How tokens are drawn.
        generator: On the logits' device.

    Returns:
        A token id, or `BROKEN`.
    """
    if not logits.max().isfinite():  # NaN or infinity anywhere shows in the maximum
        return BROKEN
    if sampling.repetition_penalty != 1:
        penalty = RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty))
        logits = penalty(seen[None], logits[None].clone())[0]
    if sampling.temperature == 0:
        return int(logits.argmax())
    probs, tokens = nucleus((logits / sampling.temperature).softmax(-1), sampling.top_p)
    return int(tokens[torch.multinomial(probs, 1, generator=generator)])


def nucleus(probs: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the likeliest tokens that together reach `top_p`, as probabilities (K,) and ids (K,), descending."""
    if top_p >= 1:
        return probs, torch.arange(len(probs), device=probs.device)
    size = min(_FIRST_CANDIDATES, len(probs))
    values, tokens = probs.topk(size)
    while size < len(probs) and values.sum() < top_p:
        size = min(8 * size, len(probs))
        values, tokens = probs.topk(size)
    is_inside = values.cumsum(0) - values < top_p
    return values[is_inside], tokens[is_inside]
