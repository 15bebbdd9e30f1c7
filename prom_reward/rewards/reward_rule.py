"""The rule by which a row's judgments become its reward."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from prom_reward.errors import ConfigError, UnscoredError
from prom_reward.rewards.normalizers import Normalizer, UnitInterval, reward_number
from prom_reward.rubrics.formats import is_number
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import Checklist, GradingRequest, Judgment, ScoreScale

logger = logging.getLogger(__name__)

ScoreKind = Literal["expected", "integer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRule:
    """The settings of `PrometheusReward` that turn judgments into rewards; see there."""

    normalizer: Normalizer = field(default_factory=UnitInterval)
    """Maps a score to a reward."""
    score: ScoreKind = "expected"
    """The mean of the score's distribution, or the mean of the sampled integers."""
    on_unscored: Literal["none", "raise"] | float | None = "none"
    """The reward of a row without a score; None means "none"."""
    on_unscored_rubric: Literal["unscored", "renormalize"] = "unscored"
    """The rule for a row of which some rubrics have no score."""

    def __post_init__(self) -> None:
        if self.on_unscored is None:
            object.__setattr__(self, "on_unscored", "none")
        if not is_number(self.on_unscored) and self.on_unscored not in ("none", "raise"):
            raise ConfigError(f"got on_unscored={self.on_unscored!r}; expected 'none', 'raise' or a finite number")
        if self.score not in ("expected", "integer"):
            raise ConfigError(f"got score={self.score!r}; expected 'expected' or 'integer'")
        if self.on_unscored_rubric not in ("unscored", "renormalize"):
            raise ConfigError(
                f"got on_unscored_rubric={self.on_unscored_rubric!r}; expected 'unscored' or 'renormalize'"
            )

    def reward(self, requests: Sequence[GradingRequest], judgments: Sequence[Judgment]) -> float | None:
        """Return a row's reward, or None if the row is unscored and `on_unscored` names no number."""
        rewards = [
            self.normalized(self._score(request.rubric, judgment), request.rubric.scale) if judgment.is_scored else None
            for request, judgment in zip(requests, judgments, strict=True)
        ]
        return self.combined([request.rubric for request in requests], rewards)

    def combined(self, rubrics: Sequence[AnyRubric], rewards: Sequence[float | None]) -> float | None:
        """Return the reward of a row from those of its rubrics: the sum of `weight * reward`.

        Args:
            rubrics: The row's rubrics.
            rewards: A reward for each; None if it is unscored.
        """
        known = [(rubric.weight, reward) for rubric, reward in zip(rubrics, rewards, strict=True) if reward is not None]
        if not known or (len(known) < len(rewards) and self.on_unscored_rubric == "unscored"):
            return float(self.on_unscored) if isinstance(self.on_unscored, int | float) else None
        total = sum(weight * reward for weight, reward in known)
        return total * sum(rubric.weight for rubric in rubrics) / sum(weight for weight, _ in known)

    def checked(self, rewards: Sequence[float | None], judgments: Sequence[Sequence[Judgment]]) -> list[float | None]:
        """Return a batch's rewards; raise UnscoredError if one is missing and `on_unscored` is "raise"."""
        if self.on_unscored == "raise" and None in rewards:
            raise UnscoredError(unscored_reason(judgments[rewards.index(None)]))
        return list(rewards)

    def normalized(self, score: float | None, scale: ScoreScale) -> float | None:
        """Return one score's reward. Scores are normalized one by one, so that no reward depends on another.

        Raises:
            ConfigError: The normalizer fails, or returns several rewards or one that is not finite.
        """
        try:
            rewards = [reward_number(one) for one in self.normalizer([score], scale)]
        except Exception as error:  # a user's code
            raise ConfigError(
                f"the normalizer failed for the score {score}: {type(error).__name__}: {error}; expected a finite "
                "number or None"
            ) from error
        if len(rewards) != 1:
            raise ConfigError(f"the normalizer gave {len(rewards)} rewards for 1 score; expected as many of each")
        return rewards[0]

    def _score(self, rubric: AnyRubric, judgment: Judgment) -> float | None:
        if self.score == "expected":
            return judgment.expected_score
        if not isinstance(rubric, Checklist):
            if judgment.mean_score is None:
                _warn_of_no_integer()
            return judgment.mean_score
        if not judgment.parts:  # flagged: the lowest score, whatever the criteria are
            return judgment.expected_score
        return rubric.score({part.name: part.value for part in judgment.parts}, hard=True).score


@cache
def _warn_of_no_integer() -> None:
    """Say, once in a process, that a judge gives no integers."""
    logger.warning(
        "a judgment has an expected score and no integer: with score='integer' it has no reward; take score='expected'"
    )


def unscored_reason(judgments: Sequence[Judgment]) -> str:
    """Return why a row has no reward."""
    failed = next((judgment for judgment in judgments if not judgment.is_scored), None)
    if failed is None:
        return (
            "a response was graded, but its normalizer gave None for its score, its comparisons failed, or the rest of "
            "its group did not come"
        )
    reason = f" ({failed.error})" if failed.error else ""
    return f"a response could not be scored: {failed.outcome.value}{reason}"
