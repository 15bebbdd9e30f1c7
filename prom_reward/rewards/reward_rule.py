"""How a row's judgments become its reward."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from prom_reward.errors import ConfigError
from prom_reward.rewards.normalizers import Normalizer
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import Checklist, GradingRequest, Judgment, ScoreScale

ScoreKind = Literal["expected", "integer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRule:
    """The settings of `PrometheusReward` that turn judgments into rewards; see there."""

    normalizer: Normalizer
    """Maps a score to a reward."""
    score: ScoreKind = "expected"
    """The mean of the score's distribution, or the mean of the sampled integers."""
    on_unscored: Literal["none", "raise"] | float | None = "none"
    """What a row without a score gets; None means "none"."""
    on_unscored_rubric: Literal["unscored", "renormalize"] = "unscored"
    """What a row gets if some of its rubrics have no score."""

    def __post_init__(self) -> None:
        if self.on_unscored is None:
            object.__setattr__(self, "on_unscored", "none")
        number = self.on_unscored
        is_number = isinstance(number, int | float) and not isinstance(number, bool) and isfinite(number)
        if not is_number and self.on_unscored not in ("none", "raise"):
            raise ConfigError(f"got on_unscored={self.on_unscored!r}; expected 'none', 'raise' or a finite number")
        if self.score not in ("expected", "integer"):
            raise ConfigError(f"got score={self.score!r}; expected 'expected' or 'integer'")
        if self.on_unscored_rubric not in ("unscored", "renormalize"):
            raise ConfigError(
                f"got on_unscored_rubric={self.on_unscored_rubric!r}; expected 'unscored' or 'renormalize'"
            )

    def reward(self, requests: Sequence[GradingRequest], judgments: Sequence[Judgment]) -> float | None:
        """Return a row's reward, or None if the row is unscored and `on_unscored` names no number."""
        reward = self._weighted_sum(requests, judgments)
        return float(self.on_unscored) if reward is None and isinstance(self.on_unscored, int | float) else reward

    def normalized(self, score: float | None, scale: ScoreScale) -> float | None:
        """Return one score's reward. Scores are normalized one by one, so that no reward depends on another.

        Raises:
            ConfigError: The normalizer returns several rewards, or one that is not finite.
        """
        rewards = list(self.normalizer([score], scale))
        if len(rewards) != 1:
            raise ConfigError(f"the normalizer gave {len(rewards)} rewards for 1 score; expected as many of each")
        if rewards[0] is None:
            return None
        reward = float(rewards[0])
        if not isfinite(reward):
            raise ConfigError(
                f"the normalizer gave {reward} for the score {score:.4g}; expected a finite number or None"
            )
        return reward

    def _weighted_sum(self, requests: Sequence[GradingRequest], judgments: Sequence[Judgment]) -> float | None:
        """Return the sum of `weight * reward` over a row's rubrics, or None if the row is unscored."""
        pairs = zip(requests, judgments, strict=True)
        scored = [(request.rubric, judgment) for request, judgment in pairs if judgment.is_scored]
        if not scored or (len(scored) < len(requests) and self.on_unscored_rubric == "unscored"):
            return None
        total = 0.0
        for rubric, judgment in scored:
            reward = self.normalized(self._score(rubric, judgment), rubric.scale)
            if reward is None:
                return None
            total += rubric.weight * reward
        full = sum(request.rubric.weight for request in requests)
        return total * full / sum(rubric.weight for rubric, _ in scored)

    def _score(self, rubric: AnyRubric, judgment: Judgment) -> float | None:
        if self.score == "expected":
            return judgment.score if judgment.expected_score is None else judgment.expected_score
        if isinstance(rubric, Checklist) and judgment.parts:
            return rubric.score({part.name: part.value for part in judgment.parts}, hard=True).score
        return judgment.score if judgment.mean_score is None else judgment.mean_score  # a judge may list no samples


def unscored_reason(judgments: Sequence[Judgment]) -> str:
    """Return why a row has no reward."""
    failed = next((judgment for judgment in judgments if not judgment.is_scored), None)
    if failed is None:
        return "a response was scored, but the normalizer gave None for its score"
    reason = f" ({failed.error})" if failed.error else ""
    return f"a response could not be scored: {failed.outcome.value}{reason}"
