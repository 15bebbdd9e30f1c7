"""A second judge that scores a sample of the trained judge's responses. A growing gap shows a policy that games it."""

import random
from dataclasses import dataclass, field
from math import nan

from prom_reward.errors import ConfigError
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import grade_requests
from prom_reward.rewards.batch import JudgedBatch
from prom_reward.rewards.observers.observer import Findings, Observer


@dataclass(frozen=True, slots=True)
class AuditTotals:
    """Sums over the responses that both judges scored, on a scale from 0 to 1."""

    num_pairs: int = 0
    """Number of responses."""
    score: float = 0.0
    """Sum of the first judge's scores."""
    audit_score: float = 0.0
    """Sum of the second judge's scores."""


@dataclass(kw_only=True)
class AuditJudge(Observer):
    """Scores a sample of the first judge's responses, for example in `PrometheusReward(observers=[...])`.

    The second judge should fail in other ways than the first: another model, another prompt, or the same model with
    its guards on. `DivergenceCallback` can stop a run in which the two diverge.

    Metrics, on a scale from 0 to 1: `audit/score` is the second judge's mean, `audit/gap` the first judge's mean minus
    the second's, over the responses that both scored. The judgment log gets `audit_score`, on the rubric's scale.
    """

    judge: Judge
    """The second judge."""
    share: float = 0.25
    """Share of the responses that it scores, over 0 and at most 1; at least one of a batch."""
    seed: int = 0
    """Seed of the sample."""
    name: str = "audit"
    """Prefix of the metrics."""
    metrics = ("score", "gap")
    _totals: AuditTotals = field(default=AuditTotals(), init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.judge, Judge):
            raise ConfigError(f"got {self.judge!r:.60} as the audit's judge; expected a judge")
        if not 0 < self.share <= 1:
            raise ConfigError(f"got share={self.share}; expected a share over 0 and up to 1")

    def observe(self, batch: JudgedBatch) -> Findings:
        """Score a sample of a batch."""
        draw = random.Random(f"{self.seed}:{batch.number}")
        pairs = batch.pairs
        scored = [at for at, (_, judgment) in enumerate(pairs) if judgment.expected_score is not None]
        chosen = draw.sample(scored, min(len(scored), max(1, round(self.share * len(scored)))))
        second = grade_requests(self.judge, [pairs[at][0] for at in chosen])
        scores = {at: judgment.expected_score for at, judgment in zip(chosen, second, strict=True)}
        both = [
            (request.rubric.scale.to_unit(own), request.rubric.scale.to_unit(other))
            for at, (request, judgment) in enumerate(pairs)
            if (own := judgment.expected_score) is not None and (other := scores.get(at)) is not None
        ]
        found = AuditTotals(len(both), sum(own for own, _ in both), sum(other for _, other in both))
        self._totals = AuditTotals(
            self._totals.num_pairs + found.num_pairs,
            self._totals.score + found.score,
            self._totals.audit_score + found.audit_score,
        )
        score = found.audit_score / len(both) if both else nan
        gap = found.score / len(both) - score if both else nan
        return Findings(
            metrics={"score": score, "gap": gap},
            columns={f"{self.name}_score": [scores.get(at) for at in range(len(pairs))]},
        )

    def take(self) -> AuditTotals:
        """Return the totals since the last call, and start again from zero."""
        taken, self._totals = self._totals, AuditTotals()
        return taken
