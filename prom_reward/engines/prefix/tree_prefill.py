"""Runs a planned trie through a model in forward passes of many segments: nothing is padded, nothing computed twice.

It does not know labels or judgments, nor whether a model can do it: `prefix.prefill` finds that out.

Large passes keep the matrix products large. Between passes only the states of the path to the next segment are held,
so memory is bounded by one pass and the longest prompt, however many prompts there are.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from prom_reward.engines.model.memory import unless_out_of_memory
from prom_reward.engines.prefix.plan import Segment
from prom_reward.engines.prefix.tree_attention import States, TreeRun, TreeSequence, tree_attention

logger = logging.getLogger(__name__)

OnRow = Callable[[int, torch.Tensor], None]
"""Told a prompt's index and the raw logits (V,) behind it."""
OnStates = Callable[[int, list[States]], None]
"""Told a prompt's index and its keys and values, layer by layer."""

CPU_PASS_TOKENS = 2048
"""Enough for the full rate of a CPU's matrix products; more would only fall out of its caches."""
GPU_PASS_TOKENS = 16384
"""Enough to fill a GPU with any model that fits it."""


class TreePrefill:
    """Computes tries with one model.

    Args:
        model: A causal LM in eval mode for which `tree_attention.is_available`.
        pass_tokens: Tokens of one forward pass; a longer segment has one of its own. None chooses by device. Where
            memory runs out, a call goes on with half of it.
    """

    def __init__(self, model: Any, *, pass_tokens: int | None = None) -> None:
        self._model = model
        self._given_tokens = pass_tokens

    @property
    def pass_tokens(self) -> int:
        """Tokens of one forward pass."""
        default = CPU_PASS_TOKENS if self._model.device.type == "cpu" else GPU_PASS_TOKENS
        return self._given_tokens or default

    def run(
        self,
        plan: Sequence[Segment],
        prompts: Sequence[Sequence[int]],
        on_row: OnRow,
        on_states: OnStates | None = None,
    ) -> None:
        """Compute a plan.

        Args:
            plan: Segments in depth-first order.
            prompts: The token ids that it was made of.
            on_row: Called for every prompt.
            on_states: Called for every prompt, too, where its keys and values are wanted.
        """
        paths, last_uses = _paths(plan), _last_uses(plan)
        states: dict[tuple[int, int], States] = {}
        at, limit = 0, self.pass_tokens
        with tree_attention(self._model):
            while at < len(plan):
                end = _pass_end(plan, at, limit)
                wanted = range(at, end) if on_states else (one for one in range(at, end) if last_uses[one] >= end)
                runs, kept = list(_runs(plan, paths, range(at, end))), frozenset(wanted)
                found = unless_out_of_memory(partial(self._pass, plan, prompts, runs, kept, states), self._model.device)
                if found is None:
                    limit = _halved(_num_tokens(plan, at, end), end - at)
                    continue
                sequence, rows = found
                self._hand_out(plan, paths, sequence, rows, on_row, on_states)
                at, states = end, sequence.states
                for layer, segment in [key for key in states if last_uses[key[1]] < at]:
                    del states[layer, segment]

    def _pass(
        self,
        plan: Sequence[Segment],
        prompts: Sequence[Sequence[int]],
        runs: Sequence[TreeRun],
        kept: frozenset[int],
        states: dict[tuple[int, int], States],
    ) -> tuple[TreeSequence, torch.Tensor]:
        """Return one pass with its logits; the states before it are left alone, should it fail halfway."""
        sequence = TreeSequence(runs=runs, kept=kept, states=dict(states))
        return sequence, self._forward(plan, prompts, sequence)

    def _forward(
        self, plan: Sequence[Segment], prompts: Sequence[Sequence[int]], sequence: TreeSequence
    ) -> torch.Tensor:
        """Return the raw logits (N, V) behind every run at whose end a prompt ends, in order."""
        ids: list[int] = []
        positions: list[int] = []
        for run in sequence.runs:
            segment = plan[run.segment]
            ids += prompts[segment.prompt][segment.start : segment.end]
            positions += range(segment.start, segment.end)
        device = self._model.device
        ends = [run.end - 1 for run in sequence.runs if plan[run.segment].ends]
        output = self._model(
            input_ids=torch.tensor([ids], device=device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=False,
            logits_to_keep=torch.tensor(ends, dtype=torch.long),  # on the CPU: the last layer may lie elsewhere
            tree=sequence,
        )
        logits: torch.Tensor = output.logits[0]
        return logits

    def _hand_out(
        self,
        plan: Sequence[Segment],
        paths: Sequence[tuple[int, ...]],
        sequence: TreeSequence,
        rows: torch.Tensor,
        on_row: OnRow,
        on_states: OnStates | None,
    ) -> None:
        ending = [run.segment for run in sequence.runs if plan[run.segment].ends]
        for segment, row in zip(ending, rows, strict=True):
            for index in plan[segment].ends:
                on_row(index, row.float())
                if on_states is not None:
                    on_states(index, _path_states(sequence.states, (*paths[segment], segment)))


def _pass_end(plan: Sequence[Segment], start: int, limit: int) -> int:
    """Return the segment behind those that a pass of so many tokens takes from `start` on: at least one."""
    used, end = 0, start
    while end < len(plan):
        used += plan[end].end - plan[end].start
        if used > limit and end > start:
            break
        end += 1
    return end


def _halved(num_tokens: int, num_segments: int) -> int:
    """Return how many tokens to go on with after a pass for which memory ran out: in the end, one segment's."""
    if num_segments == 1:
        raise torch.OutOfMemoryError(f"out of memory in a forward pass of one segment of {num_tokens} tokens")
    logger.warning("out of memory: going on with %d tokens a forward pass", num_tokens // 2)
    return num_tokens // 2


def _num_tokens(plan: Sequence[Segment], start: int, end: int) -> int:
    """Return the tokens of some segments."""
    return sum(segment.end - segment.start for segment in plan[start:end])


def _paths(plan: Sequence[Segment]) -> list[tuple[int, ...]]:
    """Return every segment's ancestors, from the root."""
    paths: list[tuple[int, ...]] = []
    for segment in plan:
        paths.append(() if segment.parent is None else (*paths[segment.parent], segment.parent))
    return paths


def _last_uses(plan: Sequence[Segment]) -> list[int]:
    """Return for every segment its last descendant, or itself."""
    last = list(range(len(plan)))
    for number in reversed(range(len(plan))):
        parent = plan[number].parent
        if parent is not None:
            last[parent] = max(last[parent], last[number])
    return last


def _runs(plan: Sequence[Segment], paths: Sequence[tuple[int, ...]], numbers: range) -> Iterator[TreeRun]:
    start = 0
    for number in numbers:
        end = start + plan[number].end - plan[number].start
        yield TreeRun(segment=number, start=start, end=end, ancestors=paths[number])
        start = end


def _path_states(states: dict[tuple[int, int], States], path: tuple[int, ...]) -> list[States]:
    """Return the keys and values along a path, layer by layer."""
    layers = sorted({layer for layer, segment in states if segment == path[-1]})
    joined = []
    for layer in layers:
        keys, values = zip(*(states[layer, segment] for segment in path), strict=True)
        joined.append((torch.cat(keys, dim=2), torch.cat(values, dim=2)))
    return joined
