"""Plans a call so that tokens that prompts share at their beginning are computed once.

The plan is a compressed token trie in depth-first order. At a branch the cache of a segment is copied for every child
but the last, which takes it over.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prom_reward.engines.prefix.trie import Segment, Trie

MIN_SHARED_TOKENS = 16
"""A shared run shorter than this is computed again for every branch: its forward pass costs more than it saves."""


@dataclass(slots=True)
class _Node:
    """A node of the trie under construction."""

    prompt: int
    end: int
    ends: list[int] = field(default_factory=list)
    children: list["_Node"] = field(default_factory=list)
    peak: int = 0


def plan_prefixes(
    prompts: Sequence[Sequence[int]],
    *,
    token_budget: int,
    rotary_boundary: int | None = None,
    min_shared_tokens: int = MIN_SHARED_TOKENS,
) -> Trie:
    """Return the segments to compute, in an order that keeps shared beginnings together.

    Args:
        prompts: Token ids of each prompt, at least one token each.
        token_budget: Tokens of cache that may be held at once; branches that need more are not shared. A single
            prompt is planned however long it is.
        rotary_boundary: Length above which a model rotates all positions differently (longrope, dynamic scaling);
            of longer prompts only identical ones are shared.
        min_shared_tokens: Shared runs shorter than this are not shared.
    """
    order = sorted(range(len(prompts)), key=lambda index: tuple(prompts[index]))
    boundary = sys.maxsize if rotary_boundary is None else rotary_boundary
    short = [index for index in order if len(prompts[index]) <= boundary]
    long = [index for index in order if len(prompts[index]) > boundary]
    root = _build(prompts, short)
    _drop_short_runs(root, min_shared_tokens)
    _fit(root, token_budget)
    whole = _build(prompts, long)
    _drop_short_runs(whole, sys.maxsize)
    whole.children.sort(key=lambda node: node.end)  # dynamic scaling remembers the longest length: short ones first
    shared = list(_segments(root, 0))
    return Trie((*shared, *_segments(whole, len(shared))))


def _build(prompts: Sequence[Sequence[int]], order: Sequence[int]) -> _Node:
    """Return the compressed trie of prompts that are sorted by their tokens; its root is empty."""
    root = _Node(prompt=-1, end=0)
    path = [root]
    previous: Sequence[int] = ()
    for index in order:
        prompt = prompts[index]
        shared = _common_length(previous, prompt)
        last = path[-1]
        while path[-1].end > shared:
            last = path.pop()
        if path[-1].end < shared:  # the branch is inside the run of `last`
            middle = _Node(prompt=last.prompt, end=shared, children=[last])
            path[-1].children[-1] = middle
            path.append(middle)
        if path[-1].end < len(prompt):
            leaf = _Node(prompt=index, end=len(prompt))
            path[-1].children.append(leaf)
            path.append(leaf)
        path[-1].ends.append(index)
        previous = prompt
    return root


def _drop_short_runs(root: _Node, min_shared: int) -> None:
    """Dissolve every branch whose own run of tokens is too short to pay."""
    todo = [root]
    while todo:
        node = todo.pop()
        waiting, node.children = node.children[::-1], []
        while waiting:
            child = waiting.pop()
            if child.children and child.end - node.end < min_shared:
                waiting += _dissolved(child)[::-1]
            else:
                node.children.append(child)
        todo += node.children


def _fit(root: _Node, budget: int) -> None:
    """Dissolve every branch that needs more than `budget` tokens of cache, from the leaves up."""
    for node in reversed(list(_preorder(root))):
        kept: list[_Node] = []
        for child in node.children:
            kept += _dissolved(child) if child.children and child.peak > budget else [child]
        node.children = kept
        *others, last = [child.peak for child in kept] or [node.end]
        node.peak = max([last, *(node.end + peak for peak in others)])


def _dissolved(node: _Node) -> list[_Node]:
    """Return a branch as separate nodes: the prompts that end in it, and its children."""
    own = [_Node(prompt=node.ends[0], end=node.end, ends=node.ends, peak=node.end)] if node.ends else []
    return [*own, *node.children]


def _preorder(root: _Node) -> Iterator[_Node]:
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        todo += reversed(node.children)


def _segments(root: _Node, offset: int) -> Iterator[Segment]:
    """Yield the segments below a root, numbered from `offset`."""
    todo: list[tuple[_Node, int | None, int]] = [(child, None, 0) for child in reversed(root.children)]
    number = offset
    while todo:
        node, parent, start = todo.pop()
        yield Segment(
            prompt=node.prompt,
            start=start,
            end=node.end,
            ends=tuple(node.ends),
            parent=parent,
            num_children=len(node.children),
        )
        todo += [(child, number, node.end) for child in reversed(node.children)]
        number += 1


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the common beginning."""
    limit = min(len(first), len(second))
    return next((at for at in range(limit) if first[at] != second[at]), limit)
