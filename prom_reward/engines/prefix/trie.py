"""The token trie of a call: its segments, and their places in the sequences that a model runs.

A segment is a run of tokens that all prompts below it share. Segments stand in depth-first order, parents first.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Tokens that are computed once, after those of their parents."""

    prompt: int
    """Index of a prompt that holds these tokens."""
    start: int
    """First token, counted in that prompt."""
    end: int
    """Exclusive end in that prompt; also the number of tokens that its cache holds."""
    ends: tuple[int, ...]
    """Indices of the prompts that are complete with this segment; identical prompts share one."""
    parent: int | None
    """The segment that this one continues; None at the beginning of a prompt."""
    num_children: int
    """Number of segments that continue this one."""

    @property
    def num_tokens(self) -> int:
        """Tokens to compute."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRun:
    """A segment at its place in a sequence of segments."""

    segment: int
    """The segment's number."""
    start: int
    """First token, counted in the sequence."""
    end: int
    """Exclusive end in the sequence."""
    ancestors: tuple[int, ...] = ()
    """The segments that it continues, from the root."""


@dataclass(frozen=True, slots=True)
class Trie:
    """The segments of some prompts."""

    segments: tuple[Segment, ...]
    """Parents first, in depth-first order."""

    def path(self, number: int) -> tuple[int, ...]:
        """Return a segment and those that it continues, from the root."""
        path = [number]
        while (parent := self.segments[path[-1]].parent) is not None:
            path.append(parent)
        return tuple(reversed(path))

    def runs(self, start: int = 0, end: int | None = None) -> list[SegmentRun]:
        """Lay segments out as one sequence, in order."""
        runs: list[SegmentRun] = []
        at = 0
        for number in range(start, len(self.segments) if end is None else end):
            length = self.segments[number].num_tokens
            runs.append(SegmentRun(segment=number, start=at, end=at + length, ancestors=self.path(number)[:-1]))
            at += length
        return runs

    def tokens(self, prompts: Sequence[Sequence[int]], runs: Sequence[SegmentRun]) -> tuple[list[int], list[int]]:
        """Return the token ids (T) of a sequence, and each token's position in its prompts (T)."""
        ids: list[int] = []
        positions: list[int] = []
        for segment in (self.segments[run.segment] for run in runs):
            ids += prompts[segment.prompt][segment.start : segment.end]
            positions += range(segment.start, segment.end)
        return ids, positions

    def pass_end(self, start: int, limit: int) -> int:
        """Return the exclusive end of the next pass: as many segments as fit into `limit` tokens, at least one."""
        used, end = self.segments[start].num_tokens, start + 1
        while end < len(self.segments) and used + self.segments[end].num_tokens <= limit:
            used += self.segments[end].num_tokens
            end += 1
        return end

    def last_descendants(self) -> list[int]:
        """Return the last descendant of every segment, or the segment itself if it has none."""
        last = list(range(len(self.segments)))
        for number in reversed(range(len(self.segments))):
            parent = self.segments[number].parent
            if parent is not None:
                last[parent] = max(last[parent], last[number])
        return last

    def spans(self) -> list[tuple[int, int]]:
        """Return where each segment starts and where all that continues it ends, counted over all tokens in order."""
        starts = [0, *accumulate(segment.num_tokens for segment in self.segments)]
        return [(start, starts[last + 1]) for start, last in zip(starts, self.last_descendants(), strict=False)]

    def computed_tokens(self) -> Counter[int]:
        """Return the tokens to compute by prompt; a shared segment counts for the first prompt that has it."""
        computed: Counter[int] = Counter()
        for segment in self.segments:
            computed[segment.prompt] += segment.num_tokens
        return computed


def visible_ranges(runs: Sequence[SegmentRun], run: SegmentRun) -> list[tuple[int, int]]:
    """Return the ranges of a whole trie's sequence that hold a run's prompts up to its end, neighbors joined."""
    ranges: list[tuple[int, int]] = []
    for one in (*(runs[number] for number in run.ancestors), run):
        if ranges and ranges[-1][1] == one.start:
            ranges[-1] = (ranges[-1][0], one.end)
        else:
            ranges.append((one.start, one.end))
    return ranges
