"""A judge on preference pairs: how often it scores the preferred response higher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from prom_reward.data.doubts.placeholders import is_placeholder
from prom_reward.data.labels.labeled_rows import LabeledPair
from prom_reward.evaluation.agreement import LEVEL, Estimate, Floats, difference, estimate, pairwise_accuracy
from prom_reward.types import Judgment


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPair:
    """A preference pair with a judge's judgments."""

    labeled: LabeledPair
    """The pair."""
    chosen: Judgment
    """The judgment on the preferred response."""
    rejected: Judgment
    """The judgment on the rejected response."""

    @property
    def is_scored(self) -> bool:
        """Whether both sides have a score."""
        return self.chosen.is_scored and self.rejected.is_scored

    @property
    def gives_integers(self) -> bool:
        """Whether both sides have an integer; a checklist's judgment has none."""
        return self.chosen.mean_score is not None and self.rejected.mean_score is not None

    @property
    def has_answers(self) -> bool:
        """Whether neither response is empty or a placeholder."""
        sides = (self.labeled.chosen, self.labeled.rejected)
        return not any(is_placeholder(side.response) for side in sides)

    def margin(self, kind: str) -> float:
        """Return how much higher the preferred response scores: by "expected" or "integer" score, or by "length"."""
        if kind == "length":
            return float(len(self.labeled.chosen.response) - len(self.labeled.rejected.response))
        if kind == "expected":
            return (self.chosen.expected_score or 0.0) - (self.rejected.expected_score or 0.0)
        return (self.chosen.mean_score or 0.0) - (self.rejected.mean_score or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvaluation:
    """A judge's figures on preference pairs."""

    num_pairs: int
    """Pairs with two scored sides."""
    num_unscored: int
    """The other pairs."""
    accuracy: Mapping[str, Estimate]
    """Share of pairs in the right order, ties as half: by "expected" score, by "integer" if the judge gives one, and by
    "length"."""
    groups: Mapping[str, "PairEvaluation"] = field(default_factory=dict)
    """The same for every group of pairs."""
    without_answer: "PairEvaluation | None" = None
    """The same for pairs with an empty or placeholder response, which no other figure counts."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        accuracy = {name: one.to_dict() for name, one in self.accuracy.items()}
        figures: dict[str, Any] = {"n": self.num_pairs, "unscored": self.num_unscored, "pairwise_accuracy": accuracy}
        if self.groups:
            figures["groups"] = {name: one.to_dict() for name, one in self.groups.items()}
        if self.without_answer:
            figures["without_answer"] = self.without_answer.to_dict()
        return figures


def evaluate_pairs(scored: Sequence[ScoredPair], *, resamples: int = 1000, seed: int = 0) -> PairEvaluation:
    """Measure a judge on preference pairs.

    An unscored pair is counted and left out; a pair with an empty or placeholder response is measured apart.

    Args:
        scored: The pairs with their judgments.
        resamples: Number of resamples; see `prom_reward.evaluation.agreement.estimate`.
        seed: Seed of the bootstrap over prompts.
    """
    answered = [pair for pair in scored if pair.has_answers]
    rest = [pair for pair in scored if not pair.has_answers]
    parts: dict[str, list[ScoredPair]] = {}
    for pair in answered:
        parts.setdefault(pair.labeled.group, []).append(pair)
    return replace(
        _evaluate(answered, resamples, seed),
        groups={name: _evaluate(parts[name], resamples, seed) for name in sorted(parts) if name},
        without_answer=_evaluate(rest, resamples, seed) if rest else None,
    )


def compare_judges_on_pairs(
    first: Sequence[ScoredPair],
    second: Sequence[ScoredPair],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Return the difference first - second in accuracy by expected score, on answered pairs that both judges scored."""
    matched = zip(first, second, strict=True)
    both = [(one, two) for one, two in matched if one.has_answers and one.is_scored and two.is_scored]
    own, other = (_margins([pair[side] for pair in both], "expected") for side in (0, 1))
    gap = difference(
        lambda at: pairwise_accuracy(own[at]),
        lambda at: pairwise_accuracy(other[at]),
        [one.labeled.cluster for one, _ in both],
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return {"pairwise_accuracy": gap}


def _evaluate(scored: Sequence[ScoredPair], resamples: int, seed: int) -> PairEvaluation:
    pairs = [pair for pair in scored if pair.is_scored]
    clusters = [pair.labeled.cluster for pair in pairs]

    def measured(margins: Floats) -> Estimate:
        return estimate(lambda at: pairwise_accuracy(margins[at]), clusters, resamples=resamples, seed=seed)

    kinds = ("expected", *(["integer"] if all(pair.gives_integers for pair in pairs) else []), "length")
    accuracy = {kind: measured(_margins(pairs, kind)) for kind in kinds}
    return PairEvaluation(num_pairs=len(pairs), num_unscored=len(scored) - len(pairs), accuracy=accuracy)


def _margins(pairs: Sequence[ScoredPair], kind: str) -> Floats:
    return np.array([pair.margin(kind) for pair in pairs])
