"""Attention over a pack: every run attends to itself and to its ancestors, and to nothing else.

A dense mask would give the same result at the cost of all pairs of tokens: on a CPU more than half of a training
step. Here each run is one call over the keys that it attends to.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from prom_reward.engines.prefix.tree_attention import attention_by, keeps_all_states, no_mask
from prom_reward.engines.prefix.trie import SegmentRun, visible_ranges

_NAME = "prom_reward_tree"
_BLOCK_TOKENS = 256  # queries computed together; keys after them are left out


def is_available(model: Any) -> bool:
    """Whether every layer of the model is plain full attention through transformers' interface."""
    implementation = getattr(model.config, "_attn_implementation", None)
    return implementation in ("sdpa", _NAME) and keeps_all_states(model)


def tree_attention(model: Any) -> AbstractContextManager[None]:
    """Let the model take packs (`tree_runs=` of its forward), and restore its own attention afterwards."""
    return attention_by(model, _NAME)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    tree_runs: Sequence[SegmentRun] = (),
    **other: Any,
) -> tuple[torch.Tensor, None]:
    """Return attention (B, T, H, D) of queries (B, H, T, D) to keys (B, K, T, D), H a multiple of K."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    runs = tree_runs or (SegmentRun(segment=0, start=0, end=query.shape[2]),)
    blocks = [(start, min(run.end, start + _BLOCK_TOKENS), run) for run in runs for start in _starts(run)]
    # Splits, not slices: the gradient of each slice would be a tensor of the whole sequence.
    lengths = [end - start for start, end, _ in blocks]
    queries, keys, values = (torch.split(states, lengths, dim=2) for states in (query, key, value))
    at = {start: number for number, (start, _, _) in enumerate(blocks)}
    parts = []
    for number, (_, end, run) in enumerate(blocks):
        *before, (first, _) = visible_ranges(runs, run)
        seen = [at[start] for start in at if any(low <= start < high for low, high in [*before, (first, end)])]
        parts.append(_attend_block(queries[number] * scale, _joined(keys, seen), _joined(values, seen)))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _starts(run: SegmentRun) -> range:
    return range(run.start, run.end, _BLOCK_TOKENS)


def _attend_block(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return the attention (B, H, T, D) of the last T of S tokens to all of them, causal.

    With its backward pass this is 1.5 to 2.2 times faster in bf16 on a CPU than torch's fused kernel.
    """
    batch, num_heads, num_queries, width = query.shape
    num_groups, num_keys = key.shape[1:3]
    grouped = query.reshape(batch, num_groups, -1, width)  # (B, K, H / K * T, D)
    scores = (grouped @ key.transpose(-1, -2)).view(batch, num_heads, num_queries, num_keys)
    hidden = torch.full((num_queries, num_keys), float("-inf"), dtype=scores.dtype, device=scores.device)
    weights = torch.softmax(scores + hidden.triu(1 + num_keys - num_queries), dim=-1)
    return (weights.view(batch, num_groups, -1, num_keys) @ value).view(query.shape)


def _joined(pieces: Sequence[torch.Tensor], numbers: Sequence[int]) -> torch.Tensor:
    return pieces[numbers[0]] if len(numbers) == 1 else torch.cat([pieces[number] for number in numbers], dim=2)


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, no_mask)
