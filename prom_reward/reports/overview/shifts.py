"""Finds the step at which a rubric's scores change their level at once, by themselves or against another rubric's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prom_reward.reports.overview.rubric_rows import RubricRow

_MIN_STEPS = 20
_JUMP = 0.1  # of the scale
_MIN_T = 6.0

ValueByStep = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Level:
    """The mean scores of a rubric before and after a step, on its own scale."""

    name: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Shift:
    """A step at which a rubric's level changes."""

    step: int
    own: Level
    beside: Level | None = None
    """The rubric against which it shows: prompts of different difficulty move both alike."""


def rubric_shifts(rows: Sequence[RubricRow], scores: Mapping[str, Mapping[int, Sequence[float]]]) -> list[Shift]:
    """Return the shifts of rubrics: the rubric's own, else that against the rubric that goes with it most.

    Args:
        rows: The rubrics.
        scores: By rubric and step.
    """
    curves = {row.name: _unit_curve(row, scores.get(row.name, {})) for row in rows}
    by_name = {row.name: row for row in rows}
    shifts: dict[str, Shift] = {}
    for name, curve in curves.items():
        if step := _jump_of(curve):
            shifts[name] = Shift(step, _level(by_name[name], curve, step))
    for name, curve in curves.items():
        other = _companion(name, curves)
        if other is None or name in shifts or other in shifts:
            continue
        if step := _jump_of({at: curve[at] - curves[other][at] for at in sorted(curve.keys() & curves[other].keys())}):
            pair = [_level(by_name[one], curves[one], step) for one in (name, other)]
            own, beside = sorted(pair, key=lambda one: -_moved(one, by_name[one.name]))
            shifts.setdefault(own.name, Shift(step, own, beside))
    return list(shifts.values())


def level_shift(curve: ValueByStep) -> tuple[int, float, float] | None:
    """Return the step at which a curve's level changes at once, with the means before and after.

    The best split into two constant levels must explain the curve clearly better than a straight line does, and the
    levels must differ by six standard errors.
    """
    steps, values = list(curve), np.array(list(curve.values()))
    count = len(values)
    margin = max(5, count // 10)
    if count < _MIN_STEPS:
        return None
    splits = [
        (float(values[:at].var() * at + values[at:].var() * (count - at)), at)
        for at in range(margin, count - margin + 1)
    ]
    rest, at = min(splits)
    line = np.polyval(np.polyfit(np.arange(count), values, 1), np.arange(count))
    before, after = float(values[:at].mean()), float(values[at:].mean())
    error = np.sqrt(rest / count * (1 / at + 1 / (count - at)))
    is_clear = abs(after - before) > _MIN_T * error and rest < 0.7 * float(((values - line) ** 2).sum())
    return (steps[at], before, after) if is_clear else None


def _jump_of(curve: ValueByStep) -> int | None:
    """Return the step of a shift that is large enough to tell."""
    shift = level_shift(curve)
    return shift[0] if shift and abs(shift[2] - shift[1]) >= _JUMP else None


def _unit_curve(row: RubricRow, scores: Mapping[int, Sequence[float]]) -> dict[int, float]:
    low, high = row.scale
    return {step: (float(np.mean(scores[step])) - low) / (high - low or 1) for step in sorted(scores)}


def _companion(name: str, curves: Mapping[str, ValueByStep]) -> str | None:
    """Return the rubric whose means over the steps correlate most with those of another one; None if none does."""
    correlations = {other: _correlation(curves[name], curves[other]) for other in curves if other != name}
    best = max(correlations, key=correlations.__getitem__, default=None)
    return best if best is not None and correlations[best] > 0 else None


def _correlation(one: ValueByStep, other: ValueByStep) -> float:
    shared = sorted(one.keys() & other.keys())
    values = np.array([[curve[at] for at in shared] for curve in (one, other)])
    return float(np.corrcoef(values)[0, 1]) if len(shared) >= _MIN_STEPS and values.std(axis=1).min() > 0 else 0.0


def _level(row: RubricRow, curve: ValueByStep, step: int) -> Level:
    low, high = row.scale
    parts = [[value for at, value in curve.items() if (at < step) == is_before] for is_before in (True, False)]
    before, after = (float(np.mean(part)) for part in parts)
    return Level(row.name, low + before * (high - low), low + after * (high - low))


def _moved(level: Level, row: RubricRow) -> float:
    return abs(level.after - level.before) / (row.scale[1] - row.scale[0] or 1)
