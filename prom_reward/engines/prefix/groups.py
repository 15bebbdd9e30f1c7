"""Groups the runs of a sequence, so that a layer's attention takes few calls however many short runs there are.

Neighboring runs with the same long ancestors attend to them in one call. A short ancestor, such as the beginning that
some criteria share, is attended to by the tokens below it alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch

from prom_reward.engines.prefix.trie import SegmentRun, Trie

SHORT_TOKENS = 64
"""An ancestor below this length is no reason for a group of its own: it has few keys to attend to."""
PADDED_TOKENS = 128
"""Runs up to this length attend to themselves in one padded call: they have few keys, so padding costs little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """Ancestors, and the tokens that attend to all of them."""

    segments: tuple[int, ...]
    """The ancestors, from the root."""
    start: int
    """First token that sees them, counted in the sequence."""
    end: int
    """Exclusive end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroup:
    """Neighboring runs of a sequence whose attention is computed together."""

    runs: Sequence[SegmentRun]
    """The runs, in order."""
    earlier: Sequence[Earlier]
    """The ancestors of the runs, each of them once."""
    padded: torch.Tensor | None = field(repr=False)
    """(R, L): tokens of each run, counted in the sequence, its last one repeated; None if runs are taken one by one."""
    kept: torch.Tensor | None = field(repr=False)
    """(T): where the group's tokens stand in the flattened `padded`."""

    @property
    def start(self) -> int:
        """First token, counted in the sequence."""
        return self.runs[0].start

    @property
    def end(self) -> int:
        """Exclusive end in the sequence."""
        return self.runs[-1].end


def group_runs(trie: Trie, runs: Sequence[SegmentRun]) -> list[RunGroup]:
    """Return the groups of a sequence's runs, in order."""
    groups = []
    for shared, neighbors in groupby(runs, key=lambda run: _long_ancestors(trie, run)):
        members = list(neighbors)
        padded, kept = _padded(members)
        groups.append(RunGroup(runs=members, earlier=list(_earlier(shared, members)), padded=padded, kept=kept))
    return groups


def _long_ancestors(trie: Trie, run: SegmentRun) -> tuple[int, ...]:
    """Return a run's ancestors without the short ones at the end."""
    number = len(run.ancestors)
    while number and trie.segments[run.ancestors[number - 1]].num_tokens < SHORT_TOKENS:
        number -= 1
    return run.ancestors[:number]


def _earlier(shared: tuple[int, ...], runs: Sequence[SegmentRun]) -> Iterator[Earlier]:
    if len({run.ancestors for run in runs}) == 1:
        shared = runs[0].ancestors
    if shared:
        yield Earlier(segments=shared, start=runs[0].start, end=runs[-1].end)
    below: dict[int, list[SegmentRun]] = {}
    for run in runs:
        for segment in run.ancestors[len(shared) :]:
            below.setdefault(segment, []).append(run)
    for segment, descendants in below.items():  # neighbors, as segments stand in depth-first order
        yield Earlier(segments=(segment,), start=descendants[0].start, end=descendants[-1].end)


def _padded(runs: Sequence[SegmentRun]) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return `padded` and `kept` of a group; None if a run is long or alone."""
    lengths = torch.tensor([run.end - run.start for run in runs])
    longest = int(lengths.max())
    if len(runs) == 1 or longest > PADDED_TOKENS:
        return None, None
    starts = torch.tensor([run.start for run in runs])
    at = torch.arange(longest)
    padded = starts[:, None] + torch.minimum(at, lengths[:, None] - 1)
    kept = (at < lengths[:, None]).flatten().nonzero().flatten()
    return padded, kept
