"""One seed for every sequence of a batch."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Hashable, Sequence


def sequence_seeds(prompts: Sequence[Hashable], seed: int | None, *, bits: int = 63) -> list[int]:
    """Return one seed per sequence, made of the prompt and its count: the order in a batch does not matter.

    Args:
        prompts: What each sequence continues; equal prompts get different seeds.
        seed: The base; None draws a fresh one.
        bits: The size of a seed.
    """
    base = secrets.randbits(63) if seed is None else seed
    counts: Counter[Hashable] = Counter()
    seeds = []
    for prompt in prompts:
        digest = hashlib.sha256(repr((base, counts[prompt], prompt)).encode("utf-8", "surrogatepass")).digest()
        seeds.append(int.from_bytes(digest[:8], "big") >> (64 - bits))
        counts[prompt] += 1
    return seeds
