"""Scores become rewards.

A normalizer does not know the batch, the group or the process that it runs in: groups are split across ranks,
and TRL's GRPO scales by the group's own deviation anyway.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

from prom_reward.errors import ConfigError, near_miss
from prom_reward.types import ScoreScale


class Normalizer(Protocol):
    """Maps scores on a scale to rewards, one by one; None stays None."""

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return one reward a score, in order."""
        ...


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
    """`(score - mean) / std` with constants that were measured beforehand, the same on every rank."""

    mean: float
    """Mean of the scores, on the rubric's scale."""
    std: float
    """Standard deviation of the scores, over 0."""

    def __post_init__(self) -> None:
        if not (isfinite(self.mean) and isfinite(self.std) and self.std > 0):
            raise ConfigError(f"got mean={self.mean}, std={self.std}; expected finite numbers and std over 0")

    def __call__(self, scores: Sequence[float | None], scale: ScoreScale) -> list[float | None]:
        """Return standardized scores."""
        return [None if score is None else (score - self.mean) / self.std for score in scores]


_BY_NAME: dict[str, Normalizer] = {"unit": UnitInterval(), "centered": Centered(), "identity": Identity()}


def resolve_normalizer(normalizer: str | Normalizer | Callable[..., list[float | None]]) -> Normalizer:
    """Return the normalizer of a name ("unit", "centered", "identity"), or the callable itself.

    Raises:
        ConfigError: The name is unknown or the value cannot be called.
    """
    if isinstance(normalizer, str) and normalizer in _BY_NAME:
        return _BY_NAME[normalizer]
    if not isinstance(normalizer, str) and callable(normalizer):
        return normalizer
    hint = near_miss(normalizer, _BY_NAME) if isinstance(normalizer, str) else ""
    raise ConfigError(f"got normalizer={normalizer!r:.40}; expected one of {', '.join(_BY_NAME)} or a callable.{hint}")
