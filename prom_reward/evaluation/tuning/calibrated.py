"""Fits a calibration, and keeps it if it lowers the error of questions that it was not fitted on."""

from collections.abc import Sequence

import numpy as np

from prom_reward.errors import ConfigError
from prom_reward.evaluation.agreement import Estimate, difference, mean_absolute_error
from prom_reward.evaluation.calibration_check import fit_rows
from prom_reward.evaluation.scores import ScoredRow
from prom_reward.evaluation.tuning.halves import CONFIRMING_LEVEL, Halves
from prom_reward.judging.calibration import Calibration


def calibrated(rows: Sequence[ScoredRow], halves: Halves) -> tuple[Calibration | None, Estimate | None]:
    """Return a calibration fitted on all rows, if one of the choosing half helps, and its change of the error."""
    scored = [row for row in rows if row.judgment.is_scored]
    if not scored:
        return None, None
    choosing, held_out = (
        [row for row in halves.taken(rows, chooses=chooses) if row.judgment.is_scored] for chooses in (True, False)
    )
    try:
        half, whole = fit_rows(choosing), fit_rows(scored)
    except ConfigError:  # too few rows, or one score for all
        return None, None
    before = np.array([row.prediction("expected") for row in held_out])
    after = np.array([half.score(value) for value in before])
    labels = np.array([row.labeled.mean_score for row in held_out])
    change = difference(
        lambda at: mean_absolute_error(after[at], labels[at]),
        lambda at: mean_absolute_error(before[at], labels[at]),
        [row.labeled.cluster for row in held_out],
        resamples=halves.resamples,
        seed=halves.seed,
        level=CONFIRMING_LEVEL,
    )
    return (whole if change.high is not None and change.high < 0 else None), change
