"""Runs a token trie through a model in forward passes of many segments, without padding.

Large passes keep the matrix products large. Between passes only the states on the path to the next segment are held,
so memory is bounded by one pass and the longest prompt, regardless of the number of prompts.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch

from prom_reward.engines.model.hidden_states import caught_states
from prom_reward.engines.model.memory import unless_out_of_memory
from prom_reward.engines.model.packed import filled
from prom_reward.engines.prefix.groups import RunGroup, group_runs
from prom_reward.engines.prefix.tree_attention import KeyValues, TreeSequence, joined, tree_attention
from prom_reward.engines.prefix.trie import SegmentRun, Trie
from prom_reward.engines.prefix.visibility import Visible, visible

logger = logging.getLogger(__name__)

Attention = Literal["sdpa", "flex_attention"]
"""The attention of a pass, as transformers names it: calls of torch's own kernels, or one compiled kernel a layer."""

CPU_PASS_TOKENS = 2048
"""Enough for the full rate of a CPU's matrix products; more would only fall out of its caches."""
GPU_PASS_TOKENS = 16384
"""Enough to fill a GPU with any model that fits it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """A prompt after its prefill."""

    index: int
    """Index of the prompt."""
    logits: torch.Tensor
    """Raw logits (V,) after its last token, in float32."""
    num_computed_tokens: int
    """Tokens computed for it; a shared segment counts for the first prompt that has it."""
    states: Sequence[KeyValues] = ()
    """Its keys and values layer by layer, if asked for."""
    hidden: torch.Tensor | None = None
    """The last hidden state (H,) after its last token, in float32, if asked for."""


class TreePrefill:
    """Computes tries with one model.

    Args:
        model: A causal LM in eval mode for which `tree_attention.is_available`.
        pass_tokens: Tokens of one forward pass; a longer segment has one of its own. None chooses by device. If
            memory runs out, the call continues with half of it.
        attention: How a pass attends.
    """

    def __init__(self, model: Any, *, pass_tokens: int | None = None, attention: Attention = "sdpa") -> None:
        self._model = model
        self._given_tokens = pass_tokens
        self._attention = attention

    @property
    def pass_tokens(self) -> int:
        """Tokens of one forward pass."""
        default = CPU_PASS_TOKENS if self._model.device.type == "cpu" else GPU_PASS_TOKENS
        return self._given_tokens or default

    def run(
        self,
        trie: Trie,
        prompts: Sequence[Sequence[int]],
        *,
        keeps_states: bool = False,
        keeps_hidden: bool = False,
    ) -> Iterator[Prefilled]:
        """Compute a trie and yield every prompt when it is complete.

        Args:
            trie: The segments of the prompts.
            prompts: Token ids of each prompt.
            keeps_states: Whether to return keys and values, too.
            keeps_hidden: Whether to return the last hidden state, too.
        """
        last, num_computed = trie.last_descendants(), trie.computed_tokens()
        states: dict[tuple[int, int], KeyValues] = {}
        start, limit = 0, self.pass_tokens
        while start < len(trie.segments):
            end = trie.pass_end(start, limit)
            kept = frozenset(number for number in range(start, end) if keeps_states or last[number] >= end)
            sequence = self._sequence(trie, trie.runs(start, end), kept, dict(states))
            with caught_states(self._model, is_wanted=keeps_hidden) as caught:
                logits = unless_out_of_memory(partial(self._forward, trie, prompts, sequence), self._model.device)
            if logits is None:  # `states` are as they were: the failed pass wrote into its own copy
                limit = _halved(sequence)
                continue
            for index, number, row in _completed(trie, sequence):
                yield Prefilled(
                    index=index,
                    logits=logits[row].float(),
                    num_computed_tokens=num_computed[index],
                    states=_path_states(sequence.states, trie.path(number)) if keeps_states else (),
                    hidden=caught[-1][row].float() if keeps_hidden else None,
                )
            start, states = end, {key: held for key, held in sequence.states.items() if last[key[1]] >= end}

    def _sequence(
        self, trie: Trie, runs: list[SegmentRun], kept: frozenset[int], states: dict[tuple[int, int], KeyValues]
    ) -> TreeSequence:
        """Return one pass, with what the chosen attention wants to know."""
        device, num_tokens = self._model.device, runs[-1].end
        if device.type == "cpu":
            num_tokens = filled(num_tokens)  # oneDNN keeps megabytes for every length of a product
        groups: list[RunGroup] = []
        seen: Visible | None = None
        if self._attention == "flex_attention":
            seen = visible(trie, runs, sorted({segment for _, segment in states}), num_tokens, device)
        elif device.type == "cpu":
            groups = group_runs(trie, runs)
        return TreeSequence(runs=runs, num_tokens=num_tokens, groups=groups, visible=seen, kept=kept, states=states)

    def _forward(self, trie: Trie, prompts: Sequence[Sequence[int]], sequence: TreeSequence) -> torch.Tensor:
        """Return the raw logits (N, V) after every run that completes a prompt, in order."""
        ids, positions = trie.tokens(prompts, sequence.runs)
        filling = sequence.num_tokens - len(ids)  # tokens that no run holds
        ids, positions = ids + ids[-1:] * filling, positions + positions[-1:] * filling
        ends = [run.end - 1 for run in sequence.runs if trie.segments[run.segment].ends]
        device = self._model.device
        with tree_attention(self._model):
            output = self._model(
                input_ids=torch.tensor([ids], device=device),
                position_ids=torch.tensor([positions], device=device),
                use_cache=False,
                logits_to_keep=torch.tensor(ends, dtype=torch.long),  # on the CPU: the last layer may lie elsewhere
                tree=sequence,
            )
        logits: torch.Tensor = output.logits[0]
        return logits


def _completed(trie: Trie, sequence: TreeSequence) -> Iterator[tuple[int, int, int]]:
    """Yield every prompt that a pass completes: its index, its last segment and its row of the logits."""
    last = [run.segment for run in sequence.runs if trie.segments[run.segment].ends]
    for row, number in enumerate(last):
        for index in trie.segments[number].ends:
            yield index, number, row


def _halved(sequence: TreeSequence) -> int:
    """Return the tokens of a pass to try after one that ran out of memory."""
    num_tokens = sequence.runs[-1].end
    if len(sequence.runs) == 1:
        raise torch.OutOfMemoryError(f"out of memory in a forward pass of one segment of {num_tokens} tokens")
    logger.warning("out of memory: continuing with %d tokens a forward pass", num_tokens // 2)
    return num_tokens // 2


def _path_states(states: dict[tuple[int, int], KeyValues], path: Sequence[int]) -> list[KeyValues]:
    """Return the keys and values along a path, layer by layer."""
    layers = sorted({layer for layer, segment in states if segment == path[-1]})
    return [joined([states[layer, segment] for segment in path]) for layer in layers]
