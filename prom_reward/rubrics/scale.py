"""The integers that a judge may give."""

from dataclasses import dataclass

from prom_reward.errors import RubricError

_MAX_STEPS = 100  # a scale of percentages


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """The integers `low` to `high`, both included, that a judge may give."""

    low: int = 1
    """The worst score."""
    high: int = 5
    """The best score."""

    def __post_init__(self) -> None:
        if self.low < 0 or self.high <= self.low:
            raise RubricError(f"scale {self.low} to {self.high}: expected 0 <= low < high; give the worst score first")
        if self.high - self.low > _MAX_STEPS:
            raise RubricError(f"scale {self.low} to {self.high}: expected at most {_MAX_STEPS + 1} scores")

    @property
    def labels(self) -> tuple[int, ...]:
        """All scores of the scale, ascending."""
        return tuple(range(self.low, self.high + 1))

    def __contains__(self, score: object) -> bool:
        return isinstance(score, int) and self.low <= score <= self.high

    def to_unit(self, score: float) -> float:
        """Map a score on this scale linearly to [0, 1]."""
        return (score - self.low) / (self.high - self.low)
