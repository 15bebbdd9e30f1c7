"""Agreement of a judge with the given order of preference pairs, overall and by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prom_reward.evaluation.agreement import Estimate, estimate, pairwise_accuracy
from prom_reward.reports.judgments import JudgedPair


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """The share of a group's pairs in which the judge prefers the chosen response, ties as half."""

    group: str
    """The group's name, "all" for all pairs."""
    num_pairs: int
    """Scored pairs."""
    judge: Estimate
    """By the judge's margin."""
    integer: Estimate | None
    """By its integers alone; None without them."""
    length: Estimate
    """By the longer response, which needs no judge."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        parts = {"expected": self.judge, "integer": self.integer, "length": self.length}
        return {"n": self.num_pairs, **{name: part.to_dict() for name, part in parts.items() if part is not None}}


def agreement_rows(pairs: Sequence[JudgedPair]) -> list[AgreementRow]:
    """Return the agreement of all pairs, then of each group, with 95 % bootstrap intervals over prompts."""
    if not pairs:
        return []
    names = sorted({pair.part for pair in pairs} - {""})
    parts = {name: [pair for pair in pairs if pair.part == name] for name in names}
    return [_agreement("all", pairs), *(_agreement(name, part) for name, part in parts.items() if len(parts) > 1)]


def _agreement(name: str, pairs: Sequence[JudgedPair]) -> AgreementRow:
    clusters = [pair.cluster for pair in pairs]
    resamples = 1000 if len(pairs) <= 5000 else 200

    def share(values: Sequence[float]) -> Estimate:
        gaps = np.array(values, dtype=float)
        return estimate(lambda at: pairwise_accuracy(gaps[at]), clusters, resamples=resamples)

    gaps = [pair.score_gap for pair in pairs if pair.score_gap is not None]
    return AgreementRow(
        group=name,
        num_pairs=len(pairs),
        judge=share([pair.margin for pair in pairs]),
        integer=share(gaps) if len(gaps) == len(pairs) else None,
        length=share([pair.length_gap for pair in pairs]),
    )
