"""Turns next-token log-probabilities into the log-probability of every label at a verdict.

It does not know models: it says behind which tokens it needs to know what, and is told.
"""

from collections.abc import Mapping, Sequence
from math import exp, fsum, log
from sys import float_info

import torch

Tokens = tuple[int, ...]


def next_tokens(tails: Mapping[str, Tokens]) -> dict[Tokens, tuple[int, ...]]:
    """Return for every beginning of a label, the empty one first, the tokens with which labels go on.

    Labels of one token need the empty beginning alone; "10" beside "1" needs what follows "1", too.
    """
    found: dict[Tokens, set[int]] = {}
    for tail in tails.values():
        for length, token in enumerate(tail):
            found.setdefault(tail[:length], set()).add(token)
    return {prefix: tuple(sorted(found[prefix])) for prefix in sorted(found, key=len)}


def token_logprobs(logits: torch.Tensor, tokens: Sequence[int]) -> dict[int, float]:
    """Return the log-probability in nats of some tokens from raw logits (V,)."""
    chosen: list[float] = logits.float().log_softmax(-1)[list(tokens)].tolist()
    return dict(zip(tokens, chosen, strict=True))


def label_logprobs(known: Mapping[Tokens, Mapping[int, float]], tails: Mapping[str, Tokens]) -> dict[str, float]:
    """Return the raw log-probability in nats of each label, not normalised over the labels.

    A label of several tokens is the product of its tokens' probabilities. Where one label begins another
    ("1" and "10"), the shorter one is counted without the longer ones that it could have become.

    Args:
        known: For every beginning that `next_tokens` names, the log-probabilities of the tokens behind it.
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
