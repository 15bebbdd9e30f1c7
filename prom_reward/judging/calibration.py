"""A strictly monotone map from expected scores to the labels' scale.

Isotonic regression makes ties, and GRPO groups lose their spread. Beta calibration (Kull, Silva Filho and Flach 2017,
"Beta calibration") is smooth and, with both slopes over 0, strictly monotone: ranks never change.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prom_reward.errors import ConfigError, RubricError, number_of
from prom_reward.files import read_text
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.types import Judgment

_MIN_ROWS = 10
_MARGIN = 0.01  # keeps scores at the ends of the scale off the logarithms' poles
_FLAT = 700.0  # beyond it the sigmoid is 0 or 1, and its exponential overflows
_ROUNDED = 0.025  # of the scale: errors below it are squared, so that the fit is smooth
_NUMBERS = ("low_slope", "high_slope", "shift")
_FITTED_ON = {
    "scale": 'the ends of the scale that it was fitted on, as "scale": [1, 5]',
    "rubrics": 'the digests of its rubrics, as "rubrics": [] if they are unknown',
}
"""The keys that say where a calibration holds, each with its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """`sigmoid(shift + low_slope * ln u - high_slope * ln(1 - u))` of the score's place `u` on the scale."""

    low_slope: float
    """Stretches the low end; over 0."""
    high_slope: float
    """Stretches the high end; over 0."""
    shift: float
    """Raises all scores if over 0."""
    fitted_on: FittedOn = field(default_factory=FittedOn)
    """Scale and rubrics; scores on other scales stay the judge's own, as do criteria."""
    judge: str = field(default="", repr=False, compare=False)
    """`PrometheusJudge.scores_identity` of the judge that it was fitted on; empty if unknown."""
    name: str = field(default="calibration", repr=False, compare=False)
    """Its file, for messages."""

    def __post_init__(self) -> None:
        is_monotone = 0 < self.low_slope < math.inf and 0 < self.high_slope < math.inf
        if not (is_monotone and math.isfinite(self.shift)):
            raise ConfigError(
                f"calibration: got the slopes {self.low_slope} and {self.high_slope} and the shift {self.shift}; "
                "expected finite slopes over 0 and a finite shift"
            )

    def score(self, expected_score: float) -> float:
        """Return the calibrated expected score, on the same scale."""
        scale = self.fitted_on.scale
        place = (scale.to_unit(expected_score) + _MARGIN) / (1 + 2 * _MARGIN)
        value = self.shift + self.low_slope * math.log(place) - self.high_slope * math.log1p(-place)
        value = min(max(value, -_FLAT), _FLAT)
        return scale.low + (scale.high - scale.low) / (1 + math.exp(-value))

    def judgment(self, judgment: Judgment, rubric: Rubric) -> Judgment:
        """Return a judgment with its expected score calibrated; distribution and integer stay the judge's own."""
        if not self.fitted_on.covers(rubric, self.name) or judgment.expected_score is None:
            return judgment
        return replace(judgment, expected_score=self.score(judgment.expected_score))

    def save(self, path: str | Path) -> None:
        """Write the calibration as JSON."""
        values = {
            "method": "beta",
            **{key: getattr(self, key) for key in _NUMBERS},
            "scale": [self.fitted_on.scale.low, self.fitted_on.scale.high],
            "rubrics": sorted(self.fitted_on.rubrics),
            "judge": self.judge,
        }
        Path(path).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Read a calibration.

        Raises:
            ConfigError: The file does not exist or holds no calibration.
        """
        keys = ", ".join((*_NUMBERS, *_FITTED_ON))
        expected = f"expected a file that `prom-reward evaluate --fit-calibration` wrote, with {keys}"
        try:
            values: Any = json.loads(read_text(path))
            _check_complete(values, path)
            numbers = {key: float(values[key]) for key in _NUMBERS}
            fitted_on = FittedOn(ScoreScale(*values["scale"]), frozenset(map(str, values["rubrics"])))
            judge = str(values.get("judge") or "")
        except OSError as error:
            raise ConfigError(f"{path}: cannot read the calibration ({error.strerror})") from error
        except (RubricError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise ConfigError(f"{path}: not a calibration; {expected}") from error
        return cls(**numbers, fitted_on=fitted_on, judge=judge, name=str(path))


def _check_complete(values: Any, path: str | Path) -> None:
    """Raise ConfigError if a calibration's numbers stand without the scale or the rubrics that they were fitted on."""
    if not isinstance(values, dict) or not values.keys() >= {*_NUMBERS}:
        return
    if missing := [key for key in _FITTED_ON if values.get(key) is None]:
        raise ConfigError(
            f"{path}: a calibration without {' and '.join(map(repr, missing))}, so that nothing tells where its scores "
            "hold; fit it again with `prom-reward evaluate --fit-calibration`, or add "
            f"{', and '.join(_FITTED_ON[key] for key in missing)}"
        )


def check_labels(labels: Sequence[float]) -> None:
    """Raise ConfigError for fewer than 10 labels, or labels that are all the same."""
    if len(labels) < _MIN_ROWS or len(set(labels)) < 2:
        which = "" if len(set(labels)) > 1 else f" with the label {labels[0]:g} alone" if len(labels) else ""
        raise ConfigError(
            f"got {number_of(len(labels), 'row')}{which} to calibrate on; expected at least {_MIN_ROWS}, with "
            "different labels"
        )


def fit_calibration(expected_scores: Sequence[float], labels: Sequence[float], fitted_on: FittedOn) -> Calibration:
    """Return the calibration with the least absolute error on labeled scores.

    If a judge is often right and sometimes far off, least squares would pull its scores towards the middle: a larger
    absolute error and less spread.

    Args:
        expected_scores: A judge's expected scores (N).
        labels: The labels (N), on the same scale.
        fitted_on: The scale of both, and the rubrics.

    Raises:
        ConfigError: There are fewer than 10 rows, or all scores or labels are the same.
    """
    import numpy as np
    from scipy import optimize

    check_labels(labels)
    if len(set(expected_scores)) < 2:
        raise ConfigError(f"got the score {expected_scores[0]:g} alone to calibrate on; expected different scores")
    scale = fitted_on.scale
    place = (np.array([scale.to_unit(score) for score in expected_scores]) + _MARGIN) / (1 + 2 * _MARGIN)
    wanted = np.array([scale.to_unit(label) for label in labels])

    def errors(parameters: Any) -> Any:
        low_slope, high_slope, shift = parameters
        return 1 / (1 + np.exp(-(shift + low_slope * np.log(place) - high_slope * np.log1p(-place)))) - wanted

    bounds = ([0.1, 0.1, -6], [6, 6, 6])  # flatter or steeper curves map different scores to equal ones
    fit = optimize.least_squares(errors, [1.0, 1.0, 0.0], bounds=bounds, loss="soft_l1", f_scale=_ROUNDED)
    low_slope, high_slope, shift = (float(value) for value in fit.x)
    return Calibration(low_slope=low_slope, high_slope=high_slope, shift=shift, fitted_on=fitted_on)
