"""Plans a call so that every token which prompts share at their beginning is computed once.

It does not know models: it sees token ids and says in which order segments are computed, what each continues,
and how many tokens of key/value cache that takes at most.

The plan is a forest of token tries, compressed: a segment is a run of tokens that all prompts below it share.
Segments are computed depth first; at a branch the cache of the segment is copied for every child but the last.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MIN_SHARED_TOKENS = 16
"""A shared run shorter than this is computed again for every branch: its forward pass costs more than it saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of tokens that is computed in one forward pass, behind its parents' tokens."""

    prompt: int
    """Index of a prompt that holds these tokens."""
    start: int
    """First token, counted in that prompt."""
    end: int
    """Behind the last token."""
    ends: tuple[int, ...] = ()
    """Indices of the prompts that are complete with this segment: identical ones stand together."""
    children: tuple["Segment", ...] = ()
    """Segments that continue this one."""

    @property
    def num_computed_tokens(self) -> int:
        """Tokens that are run through the model for this segment and all below it."""
        return self.end - self.start + sum(child.num_computed_tokens for child in self.children)

    @property
    def peak_cache_tokens(self) -> int:
        """Tokens of cache that are held at once at most while this segment and all below it are computed."""
        if not self.children:
            return self.end
        *kept, last = [child.peak_cache_tokens for child in self.children]
        return max([last, *(self.end + peak for peak in kept)])

    def walk(self) -> Iterator["Segment"]:
        """Yield this segment and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def plan_prefixes(
    prompts: Sequence[Sequence[int]],
    *,
    token_budget: int,
    rotary_boundary: int | None = None,
    min_shared_tokens: int = MIN_SHARED_TOKENS,
) -> tuple[Segment, ...]:
    """Return the segments to compute, as trees, in an order that keeps prompts with a shared beginning together.

    Args:
        prompts: Token ids of each prompt, at least one token each.
        token_budget: Tokens of cache that may be held at once. A tree that would need more shares less; a single
            prompt is planned however long it is.
        rotary_boundary: A length beyond which a model turns all positions differently (longrope, dynamic scaling):
            only identical prompts are shared among longer ones.
        min_shared_tokens: Shared runs shorter than this are not shared.
    """
    order = sorted(range(len(prompts)), key=lambda index: tuple(prompts[index]))
    boundary = sys.maxsize if rotary_boundary is None else rotary_boundary
    short = [index for index in order if len(prompts[index]) <= boundary]
    long = [index for index in order if len(prompts[index]) > boundary]
    whole = _trees(prompts, long, 0, sys.maxsize, token_budget)
    # Dynamic scaling remembers the longest length that it has seen: short ones first.
    by_length = sorted(whole, key=lambda tree: tree.end)
    return (*_trees(prompts, short, 0, min_shared_tokens, token_budget), *by_length)


def _trees(
    prompts: Sequence[Sequence[int]], order: list[int], depth: int, min_shared: int, budget: int
) -> Iterator[Segment]:
    """Yield the trees of prompts that agree up to `depth`, sorted, and start to be computed there."""
    for group in _groups(prompts, order, depth):
        yield from _tree(prompts, group, depth, depth, min_shared, budget)


def _tree(
    prompts: Sequence[Sequence[int]], group: list[int], start: int, depth: int, min_shared: int, budget: int
) -> Iterator[Segment]:
    """Yield one segment for a group that agrees beyond `depth`, or several where sharing does not pay or fit."""
    first, last = prompts[group[0]], prompts[group[-1]]
    end = _common_length(first, last, depth)
    ends = tuple(index for index in group if len(prompts[index]) == end)
    rest = group[len(ends) :]  # a prompt that ends here sorts before those that go on
    if not rest:
        yield Segment(prompt=group[0], start=start, end=end, ends=ends)
        return
    if end - start >= min_shared:
        children = tuple(_trees(prompts, rest, end, min_shared, budget))
        shared = Segment(prompt=group[0], start=start, end=end, ends=ends, children=children)
        if shared.peak_cache_tokens <= budget:
            yield shared
            return
    if ends:
        yield Segment(prompt=ends[0], start=start, end=end, ends=ends)
    for part in _groups(prompts, rest, end):
        yield from _tree(prompts, part, start, end, min_shared, budget)


def _groups(prompts: Sequence[Sequence[int]], order: list[int], depth: int) -> Iterator[list[int]]:
    """Yield runs of sorted prompts with the same token at `depth`."""
    group: list[int] = []
    for index in order:
        if group and prompts[group[0]][depth] != prompts[index][depth]:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _common_length(first: Sequence[int], last: Sequence[int], depth: int) -> int:
    """Return how far two prompts that agree up to `depth` agree."""
    limit = min(len(first), len(last))
    while depth < limit and first[depth] == last[depth]:
        depth += 1
    return depth
