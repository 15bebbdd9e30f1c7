"""Attention over a token trie as one kernel a layer: FlexAttention, compiled at its first use.

`tree_attention` takes one call a run on a GPU. Here the trie is a mask of blocks that the kernel skips or fills in
(Dong et al. 2024, "Flex Attention"). Compiling takes from seconds to minutes, once a process and kind of model.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import torch
from torch.nn.attention.flex_attention import flex_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from prom_reward.engines.prefix.tree_attention import TreeSequence, attention_by, joined, keep_states, no_mask, the_tree

_NAME = "prom_reward_flex"


def tree_attention(model: Any) -> AbstractContextManager[None]:
    """Let the model take a trie with what is visible (`tree=` of its forward); restore its own attention afterwards."""
    return attention_by(model, _NAME)


@cache
def kernel() -> Callable[..., torch.Tensor]:
    """Return FlexAttention, compiled for passes of any length."""
    compiled: Callable[..., torch.Tensor] = torch.compile(flex_attention, dynamic=True)
    return compiled


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
    tree = the_tree(tree, other)
    if tree.visible is None:
        raise NotImplementedError("got a trie without what is visible; expected one")
    before = [tree.states[module.layer_idx, segment] for segment in tree.visible.earlier]
    keys, values = joined([*before, (key, value)])
    is_grouped = query.shape[1] != key.shape[1]
    output = kernel()(query, keys, values, block_mask=tree.visible.mask, scale=scaling, enable_gqa=is_grouped)
    keep_states(tree, module.layer_idx, (key, value))
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, no_mask)
