"""The training loss: cross-entropy and order at the score, order of answers to one question, the feedback's words."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from prom_reward.training.examples import TrainingExample
from prom_reward.training.packing import Pack

_SAME = 0.5  # labels
_MARGIN = 1.0  # labels


@dataclass(frozen=True, slots=True)
class LossWeights:
    """The weights of an example's loss; the cross-entropy at the score has weight 1."""

    expected_score: float = 0.5
    """Weight of the squared error of the expected score, in labels."""
    feedback: float = 0.3
    """Weight of the mean cross-entropy of the feedback's tokens."""
    ordinal: float = 0.0
    """Weight of the squared earth mover's distance between the distributions (Hou et al., arXiv:1611.05916)."""
    pairs: float = 0.0
    """Weight of the order of an example's expected score among the pack's answers to the same question."""


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
    scored: dict[Hashable, list[tuple[torch.Tensor, float]]] = {}
    for example, places in zip(pack.examples, pack.places, strict=True):
        rows = logits[[row_of[place] for place in _read(example, places)]].float()
        score_row, targets = rows[-1], torch.tensor(example.label_probs, device=logits.device)
        logprobs = score_row.log_softmax(-1)[list(example.label_ids)]  # (S)
        total = total - (targets * logprobs).sum()
        expected = expected_index(score_row, example.label_ids)
        scored.setdefault(example.family, []).append((expected, example.target))
        total = total + weights.expected_score * (expected - example.target) ** 2
        total = total + weights.ordinal * movers_distance(score_row[list(example.label_ids)].softmax(-1), targets)
        if example.has_feedback:
            words = torch.tensor(example.ids[example.prompt_length :], device=logits.device)
            total = total + weights.feedback * torch.nn.functional.cross_entropy(rows[:-1], words)
    for family in scored.values() if weights.pairs else ():
        expected_scores, target_scores = zip(*family, strict=True)
        total = total + weights.pairs * order_loss(torch.stack(expected_scores), total.new_tensor(target_scores))
    return total


def movers_distance(probs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the squared earth mover's distance () between two distributions over the labels (S)."""
    return ((probs - targets).cumsum(-1) ** 2).sum()


def order_loss(expected: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return by how much expected scores (N) of answers to one question miss the order and distance of targets (N).

    Each answer counts its mean logistic loss over the answers that are at least half a label worse or better.
    """
    wanted = targets[:, None] - targets[None, :]  # (N, N)
    is_ordered = wanted.abs() >= _SAME
    gaps = (expected[:, None] - expected[None, :]) * wanted.sign()
    losses = torch.nn.functional.softplus(wanted.abs().clamp(max=_MARGIN) - gaps) * is_ordered
    return (losses.sum(-1) / is_ordered.sum(-1).clamp(min=1)).sum()


def expected_index(logits: torch.Tensor, label_ids: Sequence[int]) -> torch.Tensor:
    """Return the expected label (), counted from 0, from raw logits (V)."""
    probs = logits[list(label_ids)].float().softmax(-1)
    return (probs * torch.arange(len(label_ids), device=logits.device)).sum()


def _read(example: TrainingExample, places: Sequence[int]) -> Sequence[int]:
    """Return the positions where an example's logits are read: before each feedback token, and at the score."""
    return places[example.prompt_length - 1 :]
