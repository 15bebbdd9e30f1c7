"""Normalizers map scores to rewards.

They see one score at a time and no batch, because groups are split across ranks and TRL's GRPO scales by the group's
deviation anyway.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isclose, isfinite, nan
from typing import Any, Protocol, cast

from prom_reward.errors import ConfigError, near_miss, number_of
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

    A function is tried on every label of the scales, one by one and together, first as `(score, scale) -> reward`, then
    as `(scores, scale) -> rewards`.

    Args:
        normalizer: A name or a function.
        scales: The scales to try a function on; without one, 1 to 5.

    Raises:
        ConfigError: The name is unknown, or the function takes other arguments, returns something else than a reward
            for each score, gives all scores of a scale the same, or makes a reward depend on other scores.
    """
    if isinstance(normalizer, str) and normalizer in _BY_NAME:
        return _BY_NAME[normalizer]
    if isinstance(normalizer, str) or not callable(normalizer):
        hint = near_miss(normalizer, _BY_NAME) if isinstance(normalizer, str) else ""
        known = ", ".join(_BY_NAME)
        raise ConfigError(f"got normalizer={normalizer!r:.40}; expected one of {known} or a callable.{hint}")
    return _of_function(normalizer, scales or (ScoreScale(),))


def reward_number(value: Any) -> float | None:
    """Return a normalizer's reward, a number of any kind or None.

    Raises:
        ValueError: It is another value, or not finite.
    """
    if value is None:
        return None
    number = nan if isinstance(value, str) else float(value)
    if not isfinite(number):
        raise ValueError(f"got {value!r:.40} as a reward")
    return number


def _of_function(function: Any, scales: Sequence[ScoreScale]) -> Normalizer:
    reasons = []
    for candidate in (PerScore(function), function):
        try:
            for scale in scales:
                _try(candidate, scale)
        except ConfigError:
            raise
        except Exception as error:
            name = "" if isinstance(error, _UnfitError) else f"{type(error).__name__}: "
            reasons.append(f"{name}{error}")
        else:
            return cast(Normalizer, candidate)
    raise ConfigError(
        f"the normalizer fails ({reasons[0]}; with a list: {reasons[1]}); expected (score, scale) -> reward or "
        "(scores, scale) -> rewards, with a finite number or None for each score, from this score alone"
    )


class _UnfitError(Exception):
    """A normalizer's rewards are numbers, and of no use."""


def _try(normalizer: Normalizer, scale: ScoreScale) -> None:
    """Raise an error if a normalizer does not map each label by itself; the second look goes from the top down."""
    labels = [float(label) for label in scale.labels]
    alone = [reward for label in labels for reward in _rewards(normalizer, [label], scale)]
    together = _rewards(normalizer, labels[::-1], scale)[::-1]
    if not all(map(_is_same, alone, together)):
        shown, others = (", ".join(map(_shown, rewards)) for rewards in (alone, together))
        raise _UnfitError(f"the scores {scale.low} to {scale.high} get {shown:.60} alone and {others:.60} together")
    if all(_is_same(reward, alone[0]) for reward in alone):
        raise _UnfitError(f"all scores from {scale.low} to {scale.high} get {_shown(alone[0])}")


def _rewards(normalizer: Normalizer, scores: list[float], scale: ScoreScale) -> list[float | None]:
    rewards = [reward_number(one) for one in normalizer(scores, scale)]
    if len(rewards) != len(scores):
        raise _UnfitError(f"{number_of(len(rewards), 'reward')} for {number_of(len(scores), 'score')}")
    return rewards


def _is_same(one: float | None, other: float | None) -> bool:
    """Whether two rewards are the same but for rounding."""
    if one is None or other is None:
        return one is other
    return isclose(one, other, rel_tol=1e-5, abs_tol=1e-9)


def _shown(reward: float | None) -> str:
    return "None" if reward is None else f"{reward:.4g}"
