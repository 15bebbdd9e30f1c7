"""One decoding step's attention: a batch attends to the beginning that its prompts share, once, and to its own tokens.

A step of a batch is bound by reading keys and values from memory. The two parts are merged by their log-sum-exp, as in
`tree_attention`. All query heads of one key head are one call's queries, so that no key is repeated.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from prom_reward.engines.prefix.tree_attention import KeyValues, attention_by, flash, no_mask

_NAME = "prom_reward_step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The keys and values that a step sees beside the batch's cache."""

    shared: Sequence[KeyValues] = field(repr=False)
    """Keys and values of the shared beginning, (1, K, P, D) each, by layer; P may be 0."""
    bias: torch.Tensor = field(repr=False)
    """(B, 1, 1, T), added to the scores of the batch's own T tokens: 0, or minus infinity at padding."""


def step_attention(model: Any) -> AbstractContextManager[None]:
    """Let the model take a `step=` in its forward; restore its own attention afterwards."""
    return attention_by(model, _NAME)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    step: Step | None = None,
    **other: Any,
) -> tuple[torch.Tensor, None]:
    """Return attention (B, 1, H, D) of one query a sequence (B, H, 1, D) to keys (B, K, T, D), H a multiple of K."""
    if step is None:
        raise NotImplementedError("got attention without a step; expected a decoding step of a batch")
    batch, heads, _, width = query.shape
    groups = heads // key.shape[1]
    packed = query.view(batch, -1, groups, width)  # (B, K, G, D)
    bias = step.bias.expand(-1, packed.shape[1], groups, -1)
    output, lse = flash(packed, (key, value), is_causal=False, scaling=scaling, bias=bias)
    before = step.shared[module.layer_idx]
    if before[0].shape[2]:
        together = packed.transpose(0, 1).reshape(1, -1, batch * groups, width)
        prefix, prefix_lse = (_by_sequence(part, batch) for part in flash(together, before, False, scaling))
        own_share = torch.sigmoid(lse - prefix_lse)  # (B, K, G)
        output = torch.lerp(prefix, output, own_share.unsqueeze(-1).to(output.dtype))
    return output.reshape(batch, 1, heads, width), None


def _by_sequence(part: torch.Tensor, batch: int) -> torch.Tensor:
    """Return (1, K, B * G, ...) as (B, K, G, ...)."""
    return part[0].reshape(part.shape[1], batch, -1, *part.shape[3:]).transpose(0, 1)


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, no_mask)
