"""Reads the log-probability of every label at a verdict from a causal LM.

It does not know prompts: it is given the ids up to the verdict and the tokens of each label.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

Tokens = tuple[int, ...]


def label_logprobs(
    model: Any, context: Sequence[int], tails: Mapping[str, Tokens], first_row: torch.Tensor | None = None
) -> dict[str, float]:
    """Return the raw log-probability in nats of each label behind `context`, not normalised over the labels.

    A label of several tokens is the product of its tokens' probabilities. Where one label begins another
    ("1" and "10"), the shorter one is counted without the longer ones that it could have become.

    Args:
        model: A causal LM in eval mode.
        context: Token ids up to the verdict.
        tails: Each label's tokens behind `context`.
        first_row: Raw logits (V,) behind `context`, where they are known already.
    """
    prefixes = {tail[:length] for tail in tails.values() for length in range(len(tail))}
    rows: dict[Tokens, torch.Tensor] = {}
    for prefix in sorted(prefixes, key=len):
        row = first_row if not prefix and first_row is not None else next_token_logits(model, [*context, *prefix])
        rows[prefix] = row.float().log_softmax(-1)
    logprobs = {}
    for label, tail in tails.items():
        total = sum((rows[tail[:length]][token] for length, token in enumerate(tail)), torch.zeros(()))
        if tail in prefixes:
            longer = {
                other[len(tail)] for other in tails.values() if len(other) > len(tail) and other[: len(tail)] == tail
            }
            stays = 1 - rows[tail][sorted(longer)].exp().sum()
            total = total + stays.clamp_min(torch.finfo(torch.float32).tiny).log()
        logprobs[label] = float(total)
    return logprobs


def next_token_logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return the raw logits (V,) behind `ids`, from one unpadded forward pass."""
    input_ids = torch.tensor([list(ids)], device=model.device)
    output = model(input_ids=input_ids, use_cache=False, logits_to_keep=1)
    logits: torch.Tensor = output.logits[0, -1].float()
    return logits
