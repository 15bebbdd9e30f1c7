"""Fits a calibration (`judging/calibration.py`) on scored rows and measures what it changes on held-out ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prom_reward.data.labels.labeled_rows import common_scale
from prom_reward.errors import ConfigError, InputError
from prom_reward.evaluation.scores import ScoredRow
from prom_reward.judging.calibration import Calibration, check_labels, fit_calibration
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.rubrics.reading import rubric_digest

_NUM_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFit:
    """A calibration with its errors before and after."""

    calibration: Calibration
    """Fitted on all rows."""
    mae_before: float
    """Mean absolute error of the uncalibrated expected score, in points of the scale."""
    mae_after: float | None
    """The same on held-out questions, in cross-validation; None if there are too few questions."""
    rmse_before: float
    """Root mean square error of the uncalibrated expected score, in points of the scale."""
    rmse_after: float | None
    """The same on held-out questions. It may rise, since the absolute error is fitted."""


def fit_on_rows(scored: Sequence[ScoredRow]) -> CalibrationFit:
    """Fit a calibration on all scored rows, and measure it by cross-validation over questions.

    Raises:
        InputError: No row was scored, or the rubrics have several scales.
        ConfigError: There are too few rows; see `prom_reward.judging.calibration.fit_calibration`.
    """
    rows = [row for row in scored if row.judgment.is_scored]
    if not rows:
        raise InputError("got no scored row to calibrate on")
    calibration = fit_rows(rows)
    before = [row.prediction("expected") - row.labeled.mean_score for row in rows]
    after = _held_out_errors(rows)
    return CalibrationFit(
        calibration=calibration,
        mae_before=_mae(before),
        mae_after=_mae(after) if after else None,
        rmse_before=_rmse(before),
        rmse_after=_rmse(after) if after else None,
    )


def fit_rows(rows: Sequence[ScoredRow]) -> Calibration:
    """Return a calibration fitted on scored rows.

    Raises:
        InputError: The rubrics have several scales.
        ConfigError: As `prom_reward.judging.calibration.fit_calibration`.
    """
    labels = [row.labeled.mean_score for row in rows]
    check_labels(labels)  # there may be no row, and hence no scale
    fitted_on = FittedOn(
        common_scale([row.labeled for row in rows]),
        frozenset(rubric_digest(row.labeled.request.rubric) for row in rows),
    )
    return fit_calibration([row.prediction("expected") for row in rows], labels, fitted_on)


def _held_out_errors(rows: Sequence[ScoredRow]) -> list[float]:
    """Return every row's error under a calibration of the other folds' questions; none if these are too few."""
    questions = {name: at % _NUM_FOLDS for at, name in enumerate(dict.fromkeys(row.labeled.cluster for row in rows))}
    errors = []
    for fold in set(questions.values()):
        inside = [row for row in rows if questions[row.labeled.cluster] != fold]
        try:
            held_out = fit_rows(inside)
        except ConfigError:
            return []
        outside = [row for row in rows if questions[row.labeled.cluster] == fold]
        errors += [held_out.score(row.prediction("expected")) - row.labeled.mean_score for row in outside]
    return errors


def _mae(errors: Sequence[float]) -> float:
    return sum(map(abs, errors)) / len(errors)


def _rmse(errors: Sequence[float]) -> float:
    return math.sqrt(sum(error * error for error in errors) / len(errors))
