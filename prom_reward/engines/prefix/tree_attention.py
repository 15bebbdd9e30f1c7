"""Attention over a token trie that is laid out as one sequence: every run attends to itself and to its ancestors.

There is no dense mask. On a CPU a run attends to its own keys (causal) and to its ancestors' keys (all of them) in
separate calls, whose results are merged by their log-sum-exp, as in FlashAttention-2 (Dao 2023, section 2.3). Runs with
the same ancestors, such as the responses of a group, share such a call (`groups.py`).

A GPU takes one call a run, or with `TreeSequence.visible` one FlexAttention kernel for all of them, as a CPU may, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.masking_utils import AttentionMaskInterface

from prom_reward.engines.prefix import flex_attention
from prom_reward.engines.prefix.groups import RunGroup
from prom_reward.engines.prefix.trie import SegmentRun
from prom_reward.engines.prefix.visibility import Visible

_NAME = "prom_reward_trie"

KeyValues = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one segment in one layer, (1, K, T, D) each."""

Attended = tuple[torch.Tensor, torch.Tensor]
"""Attention (B, H, T, D) and its log-sum-exp (B, H, T)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSequence:
    """One forward pass, with the states that it reads from earlier passes and writes for later ones."""

    runs: Sequence[SegmentRun]
    """The runs of the sequence, in order."""
    num_tokens: int
    """Tokens of the pass; those after the last run only fill it up."""
    groups: Sequence[RunGroup] = field(repr=False)
    """The runs in groups, on a CPU; empty on other devices, which take them one by one, and with `visible`."""
    kept: frozenset[int]
    """Segments of this pass whose states are written to `states`."""
    states: dict[tuple[int, int], KeyValues] = field(repr=False)
    """By layer and segment."""
    visible: Visible | None = field(default=None, repr=False)
    """FlexAttention's mask."""


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
    seen = {number: states for (layer, number), states in tree.states.items() if layer == module.layer_idx} | own
    if tree.visible is not None:
        keys, values = joined([*(seen[segment] for segment in tree.visible.earlier), (key, value)])
        output = flex_attention.attend(query, keys, values, tree.visible.mask, scaling)
    else:
        output = _attend_runs(query, (key, value), seen, tree, scaling)
    for segment in tree.kept:  # a copy: a view would hold the whole pass
        keys, values = own[segment]
        tree.states[module.layer_idx, segment] = keys.clone(), values.clone()
    return output.transpose(1, 2).contiguous(), None


def _attend_runs(
    query: torch.Tensor,
    states: KeyValues,
    seen: Mapping[int, KeyValues],
    tree: TreeSequence,
    scaling: float | None,
) -> torch.Tensor:
    """Return the attention (B, H, T, D) of all runs, in calls of torch's own kernels; arguments as `_attend_group`."""
    output = torch.empty_like(query)
    output[:, :, tree.runs[-1].end :] = 0
    if query.device.type == "cpu":
        for group in tree.groups:
            output[:, :, group.start : group.end] = _attend_group(query, states, seen, group, scaling)
        return output
    for run in tree.runs:
        keys, values = joined([seen[segment] for segment in (*run.ancestors, run.segment)])
        output[:, :, run.start : run.end] = _lower_right(query[:, :, run.start : run.end], keys, values, scaling)
    return output


def _attend_group(
    query: torch.Tensor, states: KeyValues, seen: Mapping[int, KeyValues], group: RunGroup, scaling: float | None
) -> torch.Tensor:
    """Return the attention (B, H, T, D) of a group's tokens.

    Args:
        query: Queries (B, H, T, D) of the whole sequence.
        states: Keys and values of the whole sequence.
        seen: Keys and values of each segment of this pass, and of those kept from earlier ones.
        group: The group.
        scaling: The factor of the scores.
    """
    found, lse = _attend_inside(query, states, seen, group, scaling)
    for one in group.earlier:
        before = joined([seen[segment] for segment in one.segments])
        other, other_lse = flash(query[:, :, one.start : one.end], before, False, scaling)
        tokens = slice(one.start - group.start, one.end - group.start)
        part, part_lse = found[:, :, tokens], lse[:, :, tokens]
        share = torch.sigmoid(part_lse - other_lse).unsqueeze(-1).to(part.dtype)
        torch.lerp(other, part, share, out=part)
        torch.logaddexp(part_lse, other_lse, out=part_lse)
    return found


def _attend_inside(
    query: torch.Tensor, states: KeyValues, seen: Mapping[int, KeyValues], group: RunGroup, scaling: float | None
) -> Attended:
    """Return the attention of each run of a group to itself."""
    if group.padded is None or group.kept is None:
        parts = [flash(query[:, :, run.start : run.end], seen[run.segment], True, scaling) for run in group.runs]
        outputs, sums = zip(*parts, strict=True)
        return torch.cat(outputs, dim=2), torch.cat(sums, dim=2)
    queries, keys, values = (_rows(part, group.padded) for part in (query, *states))
    output, lse = flash(queries, (keys, values), True, scaling)  # (R, H, L, D), (R, H, L)
    kept = group.kept
    output, lse = (part.transpose(0, 1).flatten(1, 2).index_select(1, kept)[None] for part in (output, lse))
    return output, lse


def _rows(part: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the tokens (1, H, T, D) at places (R, L) as a batch (R, H, L, D)."""
    rows = part[0].index_select(1, places.flatten())
    return rows.view(part.shape[1], *places.shape, part.shape[3]).transpose(0, 1)


def flash(
    query: torch.Tensor, states: KeyValues, is_causal: bool, scaling: float | None, bias: torch.Tensor | None = None
) -> Attended:
    """Return attention and its log-sum-exp by torch's kernel for CPUs, grouped heads too."""
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


def joined(parts: Sequence[KeyValues]) -> KeyValues:
    """Join states along the tokens."""
    if len(parts) == 1:
        return parts[0]
    keys, values = zip(*parts, strict=True)
    return torch.cat(keys, dim=2), torch.cat(values, dim=2)


def no_mask(*args: Any, **kwargs: Any) -> None:
    """Make no mask: the runs define what is visible."""


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, no_mask)
