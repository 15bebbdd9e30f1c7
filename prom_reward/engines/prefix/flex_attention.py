"""FlexAttention over a token trie: one kernel a layer, compiled at its first use.

The trie is a mask of blocks (`visibility.py`) that the kernel skips, takes whole or fills in (Dong et al. 2024, "Flex
Attention"). Compiling takes from seconds to minutes, once a process and kind of model.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention


@cache
def kernel() -> Callable[..., torch.Tensor]:
    """Return FlexAttention, compiled for passes of any length."""
    compiled: Callable[..., torch.Tensor] = torch.compile(flex_attention, dynamic=True)
    return compiled


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: BlockMask, scaling: float | None
) -> torch.Tensor:
    """Return attention (B, H, T, D) of queries (B, H, T, D) to the keys (B, K, S, D) that the mask shows them."""
    is_grouped = query.shape[1] != key.shape[1]
    return kernel()(query, key, value, block_mask=mask, scale=scaling, enable_gqa=is_grouped)
