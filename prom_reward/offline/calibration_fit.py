"""Fits a calibration on scored rows, and tells its effect on rows that it was not fitted on.

It does not know files or the command line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prom_reward.errors import InputError
from prom_reward.judging.calibration import Calibration, fit_calibration
from prom_reward.offline.evaluation import ScoredRow
from prom_reward.types import ScoreScale

_NUM_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFit:
    """A calibration and what it is worth."""

    calibration: Calibration
    """Fitted on all rows."""
    mae_before: float
    """Mean absolute error of the uncalibrated expected score, in points of the scale."""
    mae_after: float
    """The same with calibrations that were each fitted on the other folds' questions."""
    rmse_before: float
    """Root mean square error of the uncalibrated expected score, in points of the scale."""
    rmse_after: float
    """The same with those calibrations. It may rise: what is fitted is the absolute error."""


def fit_on_rows(scored: Sequence[ScoredRow]) -> CalibrationFit:
    """Fit a calibration on all scored rows, and measure it by cross-validation over questions.

    Raises:
        InputError: No row was scored, or the rubrics have several scales.
        ConfigError: There are too few rows, see `prom_reward.judging.calibration.fit_calibration`.
    """
    rows = [row for row in scored if row.judgment.is_scored]
    if not rows:
        raise InputError("got no scored row to calibrate on")
    scales = {row.labelled.request.rubric.scale for row in rows}
    if len(scales) > 1:
        raise InputError("got rubrics on several scales; a calibration needs one")
    scale = scales.pop()
    calibration = _fitted(rows, scale)
    questions = {name: at % _NUM_FOLDS for at, name in enumerate(dict.fromkeys(row.labelled.cluster for row in rows))}
    before, after = [], []
    for fold in set(questions.values()):
        inside = [row for row in rows if questions[row.labelled.cluster] != fold]
        outside = [row for row in rows if questions[row.labelled.cluster] == fold]
        held_out = _fitted(inside, scale) if len(questions) > 1 else calibration
        before += [row.prediction("expected") - row.labelled.mean_score for row in outside]
        after += [held_out.score(row.prediction("expected"), scale) - row.labelled.mean_score for row in outside]
    return CalibrationFit(
        calibration=calibration,
        mae_before=_mae(before),
        mae_after=_mae(after),
        rmse_before=_rmse(before),
        rmse_after=_rmse(after),
    )


def _mae(errors: Sequence[float]) -> float:
    return sum(map(abs, errors)) / len(errors)


def _rmse(errors: Sequence[float]) -> float:
    return math.sqrt(sum(error * error for error in errors) / len(errors))


def _fitted(rows: Sequence[ScoredRow], scale: ScoreScale) -> Calibration:
    return fit_calibration(
        [row.prediction("expected") for row in rows], [row.labelled.mean_score for row in rows], scale
    )
