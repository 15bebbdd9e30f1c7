"""Packs examples so that a beginning which several share is computed once, forwards and backwards.

A pack is a token trie written out depth first. All that follows a shared run attends to the same keys and values, so
loss and gradients are exactly those of the examples computed one by one.
"""

import random
from bisect import bisect
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from prom_reward.engines.prefix.plan import plan_prefixes
from prom_reward.engines.prefix.trie import SegmentRun, visible_ranges
from prom_reward.engines.tokens.encoding import num_shared
from prom_reward.training.examples import TrainingExample

_UNLIMITED = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Some examples as one sequence of T tokens."""

    examples: list[TrainingExample]
    """The examples."""
    ids: list[int]
    """Token ids (T)."""
    positions: list[int]
    """Each token's position in its examples (T)."""
    runs: list[SegmentRun]
    """The runs that the sequence is made of."""
    places: list[list[int]]
    """For each example where its tokens stand in the pack."""


def make_pack(examples: Sequence[TrainingExample]) -> Pack:
    """Write the trie of some examples out as one sequence."""
    prompts = [example.ids for example in examples]
    trie = plan_prefixes(prompts, token_budget=_UNLIMITED)
    runs = trie.runs()
    ids, positions = trie.tokens(prompts, runs)
    places: list[list[int]] = [[] for _ in examples]
    for run in runs:
        for index in trie.segments[run.segment].ends:
            places[index] = [at for start, end in visible_ranges(runs, run) for at in range(start, end)]
    return Pack(examples=list(examples), ids=ids, positions=positions, runs=runs, places=places)


def pack_examples(
    examples: Iterable[TrainingExample], *, max_tokens: int, seed: int, shares: bool = True, apart: bool = False
) -> list[Pack]:
    """Return packs of at most `max_tokens` tokens (a longer example stands alone), in random order.

    Examples come together by family and by their beginnings: by rubric, then by question.

    Args:
        examples: In any order.
        max_tokens: Unique tokens a pack.
        seed: Of the order.
        shares: False puts every example into a pack of its own, for models that cannot attend in runs.
        apart: The repetitions of an example go to packs of their own: each costs its tokens again, and makes steps of
            its own.
    """
    walks = _walks(examples) if apart else [examples]
    budget = max_tokens if shares else 0
    parts = [part for walk in walks for part in _parts(_by_family(walk), budget)]
    random.Random(seed).shuffle(parts)
    return [make_pack(part) for part in parts]


def _walks(examples: Iterable[TrainingExample]) -> list[list[TrainingExample]]:
    """Return lists without repetitions: the first has every example, the second those that occur twice, and so on."""
    walks: list[list[TrainingExample]] = []
    times = Counter[tuple[int, ...]]()
    for example in examples:
        time = times[tuple(example.ids)]
        times[tuple(example.ids)] += 1
        walks += [[]] if time == len(walks) else []
        walks[time].append(example)
    return walks


def _by_family(examples: Iterable[TrainingExample]) -> Iterator[TrainingExample]:
    families: dict[Hashable, list[TrainingExample]] = {}
    for example in sorted(examples, key=lambda example: example.ids):
        families.setdefault(example.family, []).append(example)
    return chain.from_iterable(families.values())


def _parts(examples: Iterable[TrainingExample], max_tokens: int) -> Iterator[list[TrainingExample]]:
    part: list[TrainingExample] = []
    ordered: list[list[int]] = []  # the part's ids, sorted: of all of them a neighbor shares the longest beginning
    used = 0
    for example in examples:
        at = bisect(ordered, example.ids)
        shared = max((num_shared(one, example.ids) for one in ordered[max(0, at - 1) : at + 1]), default=0)
        if part and used + len(example.ids) - shared > max_tokens:
            yield part
            part, ordered, used, at, shared = [], [], 0, 0, 0
        part.append(example)
        ordered.insert(at, example.ids)
        used += len(example.ids) - shared
    if part:
        yield part
