"""Draws the next token of every sequence of a batch at once: repetition penalty, temperature, nucleus.

A sequence has random numbers of its own, one for each token, so that its draws do not depend on its batch. A number
picks its token by the inverse of the cumulative distribution.
"""

from collections.abc import Sequence

import torch

from prom_reward.engines.base import SamplingParams

BROKEN = -1
"""Drawn instead of a token if the logits are not finite, as after an overflow in fp16."""
_FIRST_CANDIDATES = 64  # nearly always hold the nucleus, and sorting a whole vocabulary costs as much as a layer


class Sampler:
    """Draws tokens for B sequences.

    Args:
        prompts: The token ids that the repetition penalty counts beside the drawn ones.
        seeds: One seed a sequence; equal seeds draw alike on every device.
        sampling: How tokens are drawn.
        num_steps: The most tokens that are drawn for a sequence.
        device: The logits' device.
    """

    def __init__(
        self,
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        sampling: SamplingParams,
        *,
        num_steps: int,
        device: torch.device,
    ) -> None:
        self._sampling = sampling
        self._step = 0
        draws = [torch.rand(num_steps, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        self._uniforms = torch.stack(draws).to(device)  # (B, num_steps)
        width = max(map(len, prompts))
        seen = [[ids[0]] * (width - len(ids)) + ids for ids in prompts]  # a token that is seen twice counts once
        self._seen = torch.tensor(seen, device=device)  # (B, T)

    def draw(self, logits: torch.Tensor) -> list[int]:
        """Return a token id, or `BROKEN`, for every row of raw logits (B, V) in fp32."""
        is_broken = ~logits.amax(-1).isfinite()  # NaN or infinity anywhere shows in the maximum
        if self._sampling.repetition_penalty != 1:
            logits = penalized(logits, self._seen, self._sampling.repetition_penalty)
        drawn = logits.argmax(-1) if self._sampling.temperature == 0 else self._sampled(logits)
        self._step += 1
        tokens: list[int] = drawn.masked_fill(is_broken, BROKEN).tolist()
        return tokens

    def add(self, tokens: Sequence[int]) -> None:
        """Count a new token of each sequence."""
        if self._sampling.repetition_penalty != 1:
            new = torch.tensor(tokens, device=self._seen.device)[:, None]
            self._seen = torch.cat([self._seen, new], dim=1)

    def select(self, rows: Sequence[int]) -> None:
        """Keep some sequences."""
        chosen = torch.tensor(rows, device=self._seen.device)
        self._seen, self._uniforms = self._seen[chosen], self._uniforms[chosen]

    def _sampled(self, logits: torch.Tensor) -> torch.Tensor:
        probs = (logits / self._sampling.temperature).softmax(-1)
        uniforms = self._uniforms[:, self._step]
        if self._sampling.top_p >= 1:
            return pick(probs, uniforms)
        return _pick_from_nucleus(probs, self._sampling.top_p, uniforms)


def penalized(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Return logits (B, V) with every seen token (B, T) less likely, as transformers' logits processor does."""
    vocab_size = logits.shape[-1]
    seen = seen.clamp_max(vocab_size)  # a model may read tokens that it cannot write
    changed = torch.nn.functional.pad(logits, (0, 1))  # a place for those
    values = changed.gather(-1, seen)
    changed.scatter_(-1, seen, torch.where(values < 0, values * penalty, values / penalty))
    return changed[:, :vocab_size]


def pick(probs: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Return the index (B,) at which each row's share of its mass reaches a number.

    Args:
        probs: (B, K), each row of any mass.
        uniforms: (B,), in [0, 1).
    """
    precise = torch.float32 if probs.device.type == "mps" else torch.float64  # MPS knows no other
    mass = probs.cumsum(-1, dtype=precise)
    reached = mass <= (uniforms.to(precise) * mass[:, -1])[:, None]
    return reached.sum(-1).clamp_max(probs.shape[-1] - 1)


def nucleus(values: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return descending probabilities (B, K) with zeros after the likeliest that together reach `top_p`."""
    before = values.cumsum(-1) - values
    return values.masked_fill(before >= top_p, 0)


def _pick_from_nucleus(
    probs: torch.Tensor, top_p: float, uniforms: torch.Tensor, size: int = _FIRST_CANDIDATES
) -> torch.Tensor:
    """Return a token (B,) of each row's nucleus; a row that needs more than `size` candidates gets them alone."""
    size = min(size, probs.shape[-1])
    values, tokens = probs.topk(size)
    drawn = tokens.gather(-1, pick(nucleus(values, top_p), uniforms)[:, None])[:, 0]
    is_short = values.sum(-1) < top_p
    if size < probs.shape[-1] and is_short.any():
        drawn[is_short] = _pick_from_nucleus(probs[is_short], top_p, uniforms[is_short], 8 * size)
    return drawn
