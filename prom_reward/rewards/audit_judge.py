"""A second judge that looks over a trainer's reward: where the two curves part, the policy is gaming the first.

It does not know prompts or trainers' classes; `prom_reward.rewards.divergence` stops a run.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prom_reward.errors import ConfigError
from prom_reward.judging.base import Judge
from prom_reward.types import GradingRequest, Judgment


@dataclass(slots=True, kw_only=True)
class AuditJudge:
    """Scores a sample of what the first judge scores, and keeps what both say.

    The second judge should fail in other ways than the first: another model, another prompt, or the same with its
    guards on.
    """

    judge: Judge
    """The second judge."""
    share: float = 0.25
    """Share of responses that it scores, over 0 and at most 1; at least one of a batch."""
    seed: int = 0
    """Of the sample."""
    pairs: list[tuple[float, float]] = field(default_factory=list, init=False)
    """What both judges said of each response since `take` was called, on a scale from 0 to 1."""
    _num_batches: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.judge, Judge):
            raise ConfigError(f"got {self.judge!r:.60} as the audit's judge; expected a judge")
        if not 0 < self.share <= 1:
            raise ConfigError(f"got share={self.share}; expected a share over 0 and up to 1")

    def watch(
        self,
        requests: Sequence[GradingRequest],
        judgments: Sequence[Judgment],
        log_metric: Callable[[str, float], None] | None,
    ) -> list[float | None]:
        """Score a sample of a batch; logs `audit/score` and `audit/gap` on a scale from 0 to 1, and `audit/seconds`.

        The gap is the first judge's mean minus the second's, over the responses that both scored.

        Returns:
            The second judge's expected score of each request, on its rubric's scale; None where it was not asked, or
            could not say.
        """
        start = time.perf_counter()
        self._num_batches += 1
        draw = random.Random(f"{self.seed}:{self._num_batches}")
        scored = [at for at, judgment in enumerate(judgments) if judgment.expected_score is not None]
        chosen = draw.sample(scored, min(len(scored), max(1, round(self.share * len(scored)))))
        second = self.judge.grade([requests[at] for at in chosen])
        scores = {at: judgment.expected_score for at, judgment in zip(chosen, second, strict=True)}
        found = [
            (requests[at].rubric.scale.to_unit(own), requests[at].rubric.scale.to_unit(other))
            for at, other in scores.items()
            if (own := judgments[at].expected_score) is not None and other is not None
        ]
        self.pairs += found
        if found and log_metric is not None:
            own_mean, other_mean = (sum(pair[side] for pair in found) / len(found) for side in (0, 1))
            log_metric("audit/score", other_mean)
            log_metric("audit/gap", own_mean - other_mean)
        if log_metric is not None:
            log_metric("audit/seconds", time.perf_counter() - start)
        return [scores.get(at) for at in range(len(requests))]

    def take(self) -> list[tuple[float, float]]:
        """Return what both judges said since the last call, and forget it."""
        taken, self.pairs = self.pairs, []
        return taken
