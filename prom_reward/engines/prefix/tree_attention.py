"""Attention over a token trie that is laid out as one sequence: every run attends to itself and to its ancestors.

There is no padding and no dense mask. On a CPU a run attends to its own keys (causal) and to its ancestors' keys (all
of them) in two calls, whose results are merged by their log-sum-exp, as in FlashAttention-2 (Dao 2023, section 2.3).
Runs with the same ancestors, such as the responses of a group, share the second call.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.masking_utils import AttentionMaskInterface

from prom_reward.engines.prefix.trie import Run

_NAME = "prom_reward_trie"

States = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one segment in one layer, (1, K, T, D) each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSequence:
    """One forward pass, with the states that it reads from earlier passes and writes for later ones."""

    runs: Sequence[Run]
    """The runs of the sequence, in order; tokens after the last one only fill the pass up."""
    kept: frozenset[int]
    """Segments of this pass whose states are written to `states`."""
    states: dict[tuple[int, int], States] = field(repr=False)
    """By layer and segment."""


def keeps_all_states(model: Any) -> bool:
    """Whether every layer attends to all earlier tokens: no sliding window, no recurrent state."""
    try:
        cache = DynamicCache(config=model.config.get_text_config())
    except AttributeError:  # the config counts no layers, as BLT's, which is made of several models
        return False
    return bool(cache.layers) and all(type(layer) is DynamicLayer for layer in cache.layers)


def is_available(model: Any) -> bool:
    """Whether the model runs full scaled-dot-product attention through transformers' interface."""
    return getattr(model.config, "_attn_implementation", None) == "sdpa" and keeps_all_states(model)


def tree_attention(model: Any) -> AbstractContextManager[None]:
    """Let the model take a trie (`tree=` of its forward); restore its own attention afterwards."""
    return attention_by(model, _NAME)


@contextmanager
def attention_by(model: Any, name: str) -> Iterator[None]:
    """Let the model use a registered attention; restore its own afterwards."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
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
    tree: TreeSequence | None = None,
    **other: Any,
) -> tuple[torch.Tensor, None]:
    """Return attention (B, T, H, D) of queries (B, H, T, D) to keys (B, K, T, D), H a multiple of K."""
    unknown = [name for name in ("softcap", "s_aux", "sliding_window", "position_bias") if other.get(name) is not None]
    if unknown or tree is None:
        raise NotImplementedError(f"got attention with {', '.join(unknown) or 'no trie'}; expected plain attention")
    own = {run.segment: (key[:, :, run.start : run.end], value[:, :, run.start : run.end]) for run in tree.runs}
    output = torch.empty_like(query)
    output[:, :, tree.runs[-1].end :] = 0
    for ancestors, group in groupby(tree.runs, key=lambda run: run.ancestors):
        runs = list(group)
        before = [own.get(segment) or tree.states[module.layer_idx, segment] for segment in ancestors]
        _attend_runs(query, own, runs, joined(before) if before else None, scaling, output)
    for segment in tree.kept:  # a copy: a view would hold the whole pass
        keys, values = own[segment]
        tree.states[module.layer_idx, segment] = keys.clone(), values.clone()
    return output.transpose(1, 2).contiguous(), None


def _attend_runs(
    query: torch.Tensor,
    own: dict[int, States],
    runs: Sequence[Run],
    before: States | None,
    scaling: float | None,
    output: torch.Tensor,
) -> None:
    """Write the attention of runs with the same ancestors into `output` (B, H, T, D)."""
    start, end = runs[0].start, runs[-1].end
    if query.device.type != "cpu":
        for run in runs:
            keys, values = own[run.segment] if before is None else joined([before, own[run.segment]])
            output[:, :, run.start : run.end] = _lower_right(query[:, :, run.start : run.end], keys, values, scaling)
        return
    inside = [flash(query[:, :, run.start : run.end], own[run.segment], True, scaling) for run in runs]
    merged = torch.cat([one for one, _ in inside], dim=2)
    if before is not None:
        prefix, prefix_lse = flash(query[:, :, start:end], before, False, scaling)
        own_share = torch.sigmoid(torch.cat([lse for _, lse in inside], dim=2) - prefix_lse)  # (B, H, T)
        merged = torch.lerp(prefix, merged, own_share.unsqueeze(-1).to(merged.dtype))
    output[:, :, start:end] = merged


def flash(
    query: torch.Tensor, states: States, is_causal: bool, scaling: float | None, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return attention (B, H, T, D) and its log-sum-exp (B, H, T) by torch's kernel for CPUs, grouped heads too."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    output, lse = kernel(query, *states, 0.0, is_causal, attn_mask=bias, scale=scaling)
    return output, lse


def _lower_right(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None) -> torch.Tensor:
    """Return the attention (B, H, T, D) of the last T of S tokens to all of them, causal, by torch's fused kernels."""
    bias: Any = causal_lower_right(query.shape[2], key.shape[2])
    is_grouped = query.shape[1] != key.shape[1]
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, scale=scaling, enable_gqa=is_grouped
    )


def joined(parts: Sequence[States]) -> States:
    """Join states along the tokens."""
    if len(parts) == 1:
        return parts[0]
    keys, values = zip(*parts, strict=True)
    return torch.cat(keys, dim=2), torch.cat(values, dim=2)


def no_mask(*args: Any, **kwargs: Any) -> None:
    """Make no mask: the runs define what is visible."""


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, no_mask)
