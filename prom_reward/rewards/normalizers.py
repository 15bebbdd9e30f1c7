"""Normalizers map scores to rewards.

They see one score at a time and no batch, because groups are split across ranks and TRL's GRPO scales by the group's
deviation anyway.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol, cast

from prom_reward.errors import ConfigError, near_miss
from prom_reward.types import ScoreScale


class Normalizer(Protocol):
    """Maps scores on a scale to rewards, each by itself; None stays None."""

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return one reward per score, in order."""
        ...


RewardOfScore = Callable[[float, ScoreScale], float | None]
NormalizerLike = str | Normalizer | RewardOfScore


@dataclass(frozen=True, slots=True)
class UnitInterval:
    """The scale's lowest score becomes 0, its highest 1."""

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return rewards in [0, 1]."""
        return [None if score is None else scale.to_unit(score) for score in scores]


@dataclass(frozen=True, slots=True)
class Centered:
    """The scale's lowest score becomes -1, its middle 0, its highest 1."""

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return rewards in [-1, 1]."""
        return [None if score is None else 2 * scale.to_unit(score) - 1 for score in scores]


@dataclass(frozen=True, slots=True)
class Identity:
    """The score itself is the reward."""

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return the scores."""
        return list(scores)


@dataclass(frozen=True, slots=True)
class FixedStandardization:
    """`(score - mean) / std` with constants that were measured before the training, the same on every rank.

    Raises:
        ConfigError: A constant is none, or, when it is called, the scores are on another scale.
    """

    mean: float
    """Mean of the scores."""
    std: float
    """Standard deviation of the scores, over 0."""
    scale: ScoreScale = field(default_factory=ScoreScale)
    """The scale that both were measured on; a checklist's is `ScoreScale(0, 1)`."""

    def __post_init__(self) -> None:
        if not (isfinite(self.mean) and isfinite(self.std) and self.std > 0):
            raise ConfigError(f"got mean={self.mean}, std={self.std}; expected finite numbers and std over 0")

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return standardized scores."""
        if scale != self.scale:
            own, got = (f"{one.low} to {one.high}" for one in (self.scale, scale))
            raise ConfigError(
                f"got a score on the scale {got} and a mean and deviation of scores from {own}; expected one scale: "
                f"measure them on it, and give scale=ScoreScale({scale.low}, {scale.high}) to FixedStandardization"
            )
        return [None if score is None else (score - self.mean) / self.std for score in scores]


@dataclass(frozen=True, slots=True)
class PerScore:
    """A function of one score, as a normalizer."""

    function: RewardOfScore
    """Maps a score and its scale to a reward."""

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return the function's rewards."""
        return [None if score is None else self.function(score, scale) for score in scores]


_BY_NAME: dict[str, Normalizer] = {"unit": UnitInterval(), "centered": Centered(), "identity": Identity()}


def resolve_normalizer(normalizer: NormalizerLike, *scales: ScoreScale) -> Normalizer:
    """Return the normalizer of a name ("unit", "centered", "identity"), or of a function.

    A function is tried on every label of the scales, first as `(score, scale) -> reward`, then as
    `(scores, scale) -> rewards`.

    Args:
        normalizer: A name or a function.
        scales: The scales to try a function on; without one, 1 to 5.

    Raises:
        ConfigError: The name is unknown, or the function takes other arguments or returns no reward.
    """
    if isinstance(normalizer, str) and normalizer in _BY_NAME:
        return _BY_NAME[normalizer]
    if isinstance(normalizer, str) or not callable(normalizer):
        hint = near_miss(normalizer, _BY_NAME) if isinstance(normalizer, str) else ""
        known = ", ".join(_BY_NAME)
        raise ConfigError(f"got normalizer={normalizer!r:.40}; expected one of {known} or a callable.{hint}")
    return _of_function(normalizer, scales or (ScoreScale(),))


def _of_function(function: Any, scales: Sequence[ScoreScale]) -> Normalizer:
    labels = [(label, scale) for scale in scales for label in scale.labels]
    reasons = []
    for candidate in (PerScore(function), function):
        try:
            rewards = [_trial(candidate, label, scale) for label, scale in labels]
        except ConfigError:
            raise
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {error}")
        else:
            if all(reward is None or isfinite(reward) for reward in rewards):
                return cast(Normalizer, candidate)
            reasons.append(f"the rewards of {[label for label, _ in labels]} are {rewards}")
    raise ConfigError(
        f"the normalizer fails ({reasons[0]}; with a list: {reasons[1]}); expected (score, scale) -> reward or "
        "(scores, scale) -> rewards, with a finite number or None for each score"
    )


def _trial(normalizer: Normalizer, score: float, scale: ScoreScale) -> float | None:
    (reward,) = normalizer([float(score)], scale)
    return None if reward is None else float(reward)
