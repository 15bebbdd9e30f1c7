"""Turns next-token log-probabilities into the log-probability of every label at a verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log
from sys import float_info

Tokens = tuple[int, ...]
LogprobsAt = Callable[[Sequence[int]], Mapping[int, float] | None]
"""Returns the log-probabilities in nats of some tokens at one place; None if it does not know them all."""
LookUp = Callable[[Sequence[list[int]], Sequence[Tokens]], tuple[list[dict[int, float]], list[int]]]
"""Returns for every context the log-probabilities of the given next tokens, and how many tokens were computed."""


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """A place at which the labels' distribution is to be read."""

    context: list[int]
    """Token ids up to the verdict."""
    tails: Mapping[str, Tokens]
    """Each label's tokens after the context."""
    first: LogprobsAt | None = None
    """The known distribution after `context`, if there is one."""


def read_labels(queries: Sequence[LabelQuery], look_up: LookUp) -> tuple[list[dict[str, float]], list[int]]:
    """Return every query's label log-probabilities, and the tokens that were computed for it."""
    wanted = [next_tokens(query.tails) for query in queries]
    known: list[dict[Tokens, Mapping[int, float]]] = [{} for _ in queries]
    unknown: list[tuple[int, Tokens]] = []
    for index, (query, prefixes) in enumerate(zip(queries, wanted, strict=True)):
        for prefix, tokens in prefixes.items():
            row = query.first(tokens) if query.first is not None and not prefix else None
            if row is None:
                unknown.append((index, prefix))
            else:
                known[index][prefix] = row
    contexts = [[*queries[index].context, *prefix] for index, prefix in unknown]
    rows, counts = look_up(contexts, [wanted[index][prefix] for index, prefix in unknown])
    computed = [0] * len(queries)
    for (index, prefix), found, count in zip(unknown, rows, counts, strict=True):
        known[index][prefix] = found
        computed[index] += count
    return [label_logprobs(one, query.tails) for one, query in zip(known, queries, strict=True)], computed


def likeliest(logprobs: Mapping[str, float]) -> str:
    """Return the label with the largest log-probability."""
    return max(logprobs, key=logprobs.__getitem__)


def next_tokens(tails: Mapping[str, Tokens]) -> dict[Tokens, tuple[int, ...]]:
    """Return for every beginning of a label, the empty one first, the tokens with which labels go on.

    Labels of one token need the empty beginning alone; "10" beside "1" needs what follows "1", too.
    """
    found: dict[Tokens, set[int]] = {}
    for tail in tails.values():
        for length, token in enumerate(tail):
            found.setdefault(tail[:length], set()).add(token)
    return {prefix: tuple(sorted(found[prefix])) for prefix in sorted(found, key=len)}


def label_logprobs(known: Mapping[Tokens, Mapping[int, float]], tails: Mapping[str, Tokens]) -> dict[str, float]:
    """Return the raw log-probability in nats of each label, not normalized over the labels.

    A label of several tokens is the product of its tokens' probabilities. If one label begins another
    ("1" and "10"), the shorter one is counted without the longer ones that it could have become.

    Args:
        known: For every beginning that `next_tokens` names, the log-probabilities of the tokens after it.
        tails: Each label's tokens.
    """
    logprobs = {}
    for label, tail in tails.items():
        total = fsum(known[tail[:length]][token] for length, token in enumerate(tail))
        if tail in known:
            stays = 1 - fsum(exp(value) for value in known[tail].values())
            total += log(max(stays, float_info.min))
        logprobs[label] = total
    return logprobs
