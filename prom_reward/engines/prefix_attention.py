"""Attention of a suffix to its cached prefix on a CPU without a dense mask.

It does not know plans or prompts.

With a cache, transformers hands scaled-dot-product attention a dense mask, and the kernel loses its causal
shortcut. Here the suffix attends to itself (causal) and to the prefix (unmasked) separately, and the two results
are merged by their log-sum-exp, as in FlashAttention-2 (Dao 2023, section 2.3). Only plain full attention is
computed this way; `prom_reward.engines.prefill` checks a model before it trusts it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.masking_utils import AttentionMaskInterface

_NAME = "prom_reward_prefix"


def keeps_all_states(model: Any) -> bool:
    """Whether every layer attends to all tokens before: no sliding window, no recurrent state."""
    cache = DynamicCache(config=model.config.get_text_config())
    return bool(cache.layers) and all(type(layer) is DynamicLayer for layer in cache.layers)


def is_available(model: Any) -> bool:
    """Whether this torch has the kernel and the model runs full scaled-dot-product attention on a CPU."""
    has_kernel = hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu")
    is_sdpa = model.device.type == "cpu" and getattr(model.config, "_attn_implementation", None) == "sdpa"
    return has_kernel and is_sdpa and keeps_all_states(model)


@contextmanager
def prefix_attention(model: Any) -> Iterator[None]:
    """Let the model attend to cached prefixes without a mask, and restore its own attention afterwards."""
    before = model.config._attn_implementation
    model.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **other: Any,
) -> tuple[torch.Tensor, None]:
    """Return attention (B, T, H, D) of queries (B, H, T, D) to keys (B, K, P + T, D), H a multiple of K."""
    unknown = [name for name in ("softcap", "s_aux", "sliding_window", "position_bias") if other.get(name) is not None]
    if unknown:
        raise NotImplementedError(f"attention with {', '.join(unknown)} is not computed here")
    groups = query.shape[1] // key.shape[1]
    key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))  # (B, H, P + T, D)
    num_prefix = key.shape[2] - query.shape[2]
    merged, own_lse = _flash(query, key[:, :, num_prefix:], value[:, :, num_prefix:], True, scaling)
    if num_prefix:
        prefix, prefix_lse = _flash(query, key[:, :, :num_prefix], value[:, :, :num_prefix], False, scaling)
        own_share = torch.sigmoid(own_lse - prefix_lse).unsqueeze(-1).to(merged.dtype)  # (B, H, T, 1)
        merged = torch.lerp(prefix, merged, own_share)
    return merged.transpose(1, 2).contiguous(), None


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, is_causal: bool, scaling: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return attention (B, H, T, D) and its log-sum-exp (B, H, T)."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    output, lse = kernel(query, key, value, 0.0, is_causal, scale=scaling)
    return output, lse


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Make no mask: causality is the kernel's, and nothing is padded."""


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, _no_mask)
