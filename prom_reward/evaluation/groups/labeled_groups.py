"""Answers to one prompt with their labels, and how well scores order them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import InputError
from prom_reward.types import GradingRequest


@dataclass(frozen=True, slots=True)
class LabeledGroup:
    """Several answers to one prompt under one rubric."""

    requests: Sequence[GradingRequest]
    """The answers, each once."""
    labels: Sequence[float]
    """The label of each: people's mean score, or the share of its pairs that prefer it; the mean over several rows."""

    @property
    def cluster(self) -> str:
        """The prompt."""
        return self.requests[0].instruction


@dataclass(frozen=True, slots=True)
class Order:
    """Measures of how well scores order one group."""

    tau: float
    """Kendall's tau-b with the labels; 0 if all scores are equal."""
    best: float
    """The share of the answers with the best score that have the best label: best-of-n accuracy."""
    pairs: float
    """The share of pairs of different labels in the right order, ties as half."""
    ties: float
    """The share of all pairs with equal scores."""


def labeled_groups(labeled: LabeledFile, size: int | None = None) -> list[LabeledGroup]:
    """Return the groups of a labeled file whose labels differ.

    Args:
        labeled: Rows with scores, of which several have one prompt; or preference pairs.
        size: Answers in a group at most; a prompt with more gives several groups.

    Raises:
        InputError: There is no group with different labels.
    """
    found: dict[GradingRequest, dict[GradingRequest, list[float]]] = {}
    for request, label in _labeled(labeled):
        found.setdefault(replace(request, response=""), {}).setdefault(request, []).append(label)
    means = [[(request, fmean(labels)) for request, labels in answers.items()] for answers in found.values()]
    groups = [part for answers in means for part in _parts(answers, size)]
    if not groups:
        raise InputError("got no prompt with two answers of different labels; expected several answers to each prompt")
    return groups


def measure_order(scores: Sequence[float | None], labels: Sequence[float]) -> Order | None:
    """Return how well scores order a group; None if no two answers with a score have different labels."""
    from scipy import stats

    known = [(score, label) for score, label in zip(scores, labels, strict=True) if score is not None]
    found, wanted = (np.array([one[side] for one in known]) for side in (0, 1))
    if len(known) < 2 or wanted.min() == wanted.max():
        return None
    first, second = np.triu_indices(len(known), k=1)
    gaps, truth = np.sign(found[first] - found[second]), np.sign(wanted[first] - wanted[second])
    tau = 0.0 if found.min() == found.max() else float(stats.kendalltau(found, wanted).statistic)
    right = (gaps * truth)[truth != 0]
    return Order(
        tau=tau,
        best=float((wanted == wanted.max())[found == found.max()].mean()),
        pairs=float((right + 1).mean() / 2),
        ties=float((gaps == 0).mean()),
    )


def _labeled(labeled: LabeledFile) -> Iterable[tuple[GradingRequest, float]]:
    for row in labeled.rows:
        yield row.request, row.mean_score
    for pair in labeled.pairs:
        yield pair.chosen, 1.0
        yield pair.rejected, 0.0


def _parts(answers: Sequence[tuple[GradingRequest, float]], size: int | None) -> list[LabeledGroup]:
    step = size or len(answers)
    parts = [answers[start : start + step] for start in range(0, len(answers), step)]
    groups = [LabeledGroup([one for one, _ in part], [label for _, label in part]) for part in parts]
    return [group for group in groups if len(set(group.labels)) > 1]
