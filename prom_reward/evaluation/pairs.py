"""A judge against preference pairs: how often it scores the preferred response higher.

It does not know files or the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from prom_reward.data.human_labels import LabelledPair
from prom_reward.evaluation.agreement import Estimate, Floats, difference, estimate, pairwise_accuracy
from prom_reward.types import Judgment


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPair:
    """A preference pair with a judge's answers."""

    labelled: LabelledPair
    """The pair."""
    chosen: Judgment
    """The judgment on the preferred response."""
    rejected: Judgment
    """The judgment on the other one."""

    @property
    def is_scored(self) -> bool:
        """Whether both sides have a score."""
        return self.chosen.is_scored and self.rejected.is_scored

    def margin(self, kind: str) -> float:
        """Return by how much the preferred response scores higher, in "expected" or "integer" scores."""
        if kind == "length":
            return float(len(self.labelled.chosen.response) - len(self.labelled.rejected.response))
        if kind == "expected":
            return (self.chosen.expected_score or 0.0) - (self.rejected.expected_score or 0.0)
        return (self.chosen.mean_score or 0.0) - (self.rejected.mean_score or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvaluation:
    """What a judge's scores are worth on preference pairs."""

    num_pairs: int
    """Pairs of which both sides were scored."""
    num_unscored: int
    """The others."""
    accuracy: Mapping[str, Estimate]
    """Share of pairs in the right order, ties as half: by "expected" and "integer" score, and by "length"."""
    groups: Mapping[str, "PairEvaluation"] = field(default_factory=dict)
    """The same for every group of pairs."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        accuracy = {name: one.to_dict() for name, one in self.accuracy.items()}
        figures = {"n": self.num_pairs, "unscored": self.num_unscored, "pairwise_accuracy": accuracy}
        groups = {name: one.to_dict() for name, one in self.groups.items()}
        return {**figures, "groups": groups} if groups else figures


def evaluate_pairs(scored: Sequence[ScoredPair], *, resamples: int = 1000, seed: int = 0) -> PairEvaluation:
    """Measure a judge on preference pairs; resamples and seed are those of the bootstrap over prompts."""
    parts: dict[str, list[ScoredPair]] = {}
    for pair in scored:
        parts.setdefault(pair.labelled.group, []).append(pair)
    groups = {name: _evaluate(parts[name], resamples, seed) for name in sorted(parts) if name}
    return replace(_evaluate(scored, resamples, seed), groups=groups)


def compare_judges_on_pairs(
    first: Sequence[ScoredPair], second: Sequence[ScoredPair], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Return the difference first - second in accuracy by expected score, paired on the pairs that both scored."""
    both = [(one, two) for one, two in zip(first, second, strict=True) if one.is_scored and two.is_scored]
    own, other = (_margins([pair[side] for pair in both], "expected") for side in (0, 1))
    gap = difference(
        lambda at: pairwise_accuracy(own[at]),
        lambda at: pairwise_accuracy(other[at]),
        [one.labelled.cluster for one, _ in both],
        resamples=resamples,
        seed=seed,
    )
    return {"pairwise_accuracy": gap}


def _evaluate(scored: Sequence[ScoredPair], resamples: int, seed: int) -> PairEvaluation:
    pairs = [pair for pair in scored if pair.is_scored]
    clusters = [pair.labelled.cluster for pair in pairs]

    def measured(margins: Floats) -> Estimate:
        return estimate(lambda at: pairwise_accuracy(margins[at]), clusters, resamples=resamples, seed=seed)

    kinds = ("expected", "integer", "length")
    accuracy = {kind: measured(_margins(pairs, kind)) for kind in kinds}
    return PairEvaluation(num_pairs=len(pairs), num_unscored=len(scored) - len(pairs), accuracy=accuracy)


def _margins(pairs: Sequence[ScoredPair], kind: str) -> Floats:
    return np.array([pair.margin(kind) for pair in pairs])
