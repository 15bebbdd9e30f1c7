"""The training loss: cross-entropy and squared error at the score, cross-entropy of the feedback."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from prom_reward.training.examples import Example
from prom_reward.training.packing import Pack


@dataclass(frozen=True, slots=True)
class LossWeights:
    """The weights of an example's loss; the cross-entropy at the score has weight 1."""

    expected_score: float = 0.5
    """Weight of the squared error of the expected score, in labels."""
    feedback: float = 0.3
    """Weight of the mean cross-entropy of the feedback's tokens."""


def kept_positions(pack: Pack) -> list[int]:
    """Return the positions in a pack whose logits the loss reads, in order."""
    kept = {
        place for example, places in zip(pack.examples, pack.places, strict=True) for place in _read(example, places)
    }
    return sorted(kept)


def pack_loss(logits: torch.Tensor, kept: Sequence[int], pack: Pack, weights: LossWeights) -> torch.Tensor:
    """Return the summed loss of a pack's examples.

    Args:
        logits: Raw logits (N, V) at the kept positions.
        kept: The N positions in the pack, from `kept_positions`.
        pack: The pack.
        weights: The weights of the loss's parts.
    """
    row_of = {place: row for row, place in enumerate(kept)}
    total = logits.new_zeros(())
    for example, places in zip(pack.examples, pack.places, strict=True):
        rows = logits[[row_of[place] for place in _read(example, places)]].float()
        score_row, targets = rows[-1], torch.tensor(example.label_probs, device=logits.device)
        logprobs = score_row.log_softmax(-1)[list(example.label_ids)]  # (S)
        total = total - (targets * logprobs).sum()
        total = total + weights.expected_score * (expected_index(score_row, example.label_ids) - example.target) ** 2
        if example.has_feedback:
            words = torch.tensor(example.ids[example.prompt_length :], device=logits.device)
            total = total + weights.feedback * torch.nn.functional.cross_entropy(rows[:-1], words)
    return total


def expected_index(logits: torch.Tensor, label_ids: Sequence[int]) -> torch.Tensor:
    """Return the expected label (), counted from 0, from raw logits (V)."""
    probs = logits[list(label_ids)].float().softmax(-1)
    return (probs * torch.arange(len(label_ids), device=logits.device)).sum()


def _read(example: Example, places: Sequence[int]) -> Sequence[int]:
    """Return the positions where an example's logits are read: before each feedback token, and at the score."""
    return places[example.prompt_length - 1 :]
