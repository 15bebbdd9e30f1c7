"""FlexAttention's block mask of a pass, built from the trie's segments.

Segments stand in depth-first order, so all that continues a segment follows it without a gap. With tokens counted over
the whole trie, a query at `q` sees a key at `k` if `k <= q`, and if `q` comes before the end of all that continues the
key's segment. Two numbers a key say it all: nothing is as large as the pairs of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn.attention.flex_attention import BlockMask

from prom_reward.engines.prefix.trie import SegmentRun, Trie

BLOCK_TOKENS = 128
"""Queries and keys of one block, FlexAttention's own choice."""
_NEVER = torch.iinfo(torch.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """The visibility of one pass's tokens."""

    earlier: Sequence[int]
    """Segments of earlier passes; their keys come first, in this order."""
    mask: BlockMask = field(repr=False)
    """Which of the keys each of the pass's tokens sees."""


def visible(
    trie: Trie, runs: Sequence[SegmentRun], earlier: Sequence[int], num_tokens: int, device: torch.device
) -> Visible:
    """Return what the tokens of a pass see.

    Args:
        trie: All segments.
        runs: The pass's runs.
        earlier: Segments of earlier passes whose keys are held.
        num_tokens: Tokens of the pass; those after the last run only fill it up.
        device: Where the model is.
    """
    spans = trie.spans()
    first, _ = spans[runs[0].segment]
    query_at = first + torch.arange(num_tokens)
    held = [spans[number][0] + torch.arange(trie.segments[number].num_tokens) for number in earlier]
    key_at = torch.cat([*held, query_at])
    own_end = query_at + 1  # of tokens that fill up: nothing continues them
    for run in runs:
        own_end[run.start : run.end] = spans[run.segment][1]
    key_end = torch.cat(
        [*(torch.full_like(at, spans[number][1]) for number, at in zip(earlier, held, strict=True)), own_end]
    )
    return Visible(earlier=earlier, mask=_block_mask(query_at, key_at, key_end, device))


def _block_mask(query_at: torch.Tensor, key_at: torch.Tensor, key_end: torch.Tensor, device: torch.device) -> BlockMask:
    """Return the mask of T queries and S keys.

    Args:
        query_at: (T,): where the queries stand.
        key_at: (S,): where the keys stand.
        key_end: (S,): where the queries end that see them.
        device: Where the mask is used.
    """
    queries, keys, ends = query_at.to(device), key_at.to(device), key_end.to(device)

    def sees(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (keys[key] <= queries[query]) & (queries[query] < ends[key])

    first, last = _in_blocks(query_at, _NEVER).amin(1)[:, None], _in_blocks(query_at, -1).amax(1)[:, None]
    is_some = (_in_blocks(key_at, _NEVER).amin(1) <= last) & (first < _in_blocks(key_end, -1).amax(1))
    whole_first = _in_blocks(query_at, -1).amin(1)[:, None]  # -1 if a block is not whole: it sees no other wholly
    is_all = (_in_blocks(key_at, _NEVER).amax(1) <= whole_first) & (last < _in_blocks(key_end, -1).amin(1))
    return BlockMask.from_kv_blocks(
        *_listed(is_some & ~is_all, device),
        *_listed(is_all, device),
        BLOCK_SIZE=BLOCK_TOKENS,
        mask_mod=sees,
        seq_lengths=(len(query_at), len(key_at)),
        compute_q_blocks=False,  # they are for gradients
    )


def _in_blocks(places: torch.Tensor, padding: int) -> torch.Tensor:
    """Return (N,) as (blocks, BLOCK_TOKENS)."""
    padded = torch.nn.functional.pad(places, (0, -len(places) % BLOCK_TOKENS), value=padding)
    return padded.view(-1, BLOCK_TOKENS)


def _listed(chosen: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how many blocks of keys each block of queries takes (1, 1, Q), and which come first (1, 1, Q, K)."""
    order = chosen.int().argsort(dim=1, descending=True, stable=True)
    return chosen.sum(1).int()[None, None].to(device), order.int()[None, None].to(device)
