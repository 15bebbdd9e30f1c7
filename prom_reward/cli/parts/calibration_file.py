"""The calibration that `prom-reward evaluate --fit-calibration` writes."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prom_reward.cli.parts.console import stderr, stdout
from prom_reward.data.labels.labeled_rows import LabeledRequest, common_scale
from prom_reward.errors import InputError
from prom_reward.evaluation.calibration_check import fit_on_rows
from prom_reward.evaluation.scores import ScoredRow
from prom_reward.judging.base import Judge
from prom_reward.judging.calibration import check_labels
from prom_reward.judging.judge import PrometheusJudge


def check_can_be_fitted(judge: Judge, rows: Sequence[LabeledRequest]) -> None:
    """Raise InputError for a judge of several models, one that has a calibration, and rows that no curve fits."""
    if not isinstance(judge, PrometheusJudge):
        raise InputError(
            f"got --fit-calibration and the judge {judge.name!r}; expected a judge of one model itself, "
            "not a server's or several"
        )
    if judge.calibration is not None:
        raise InputError("got a judge with a calibration; expected one without, whose own scores can be fitted")
    common_scale(rows)
    check_labels([row.mean_score for row in rows])


def fit_calibration_file(scored: Sequence[ScoredRow], judge: Judge, path: Path, *, shows: bool) -> dict[str, Any]:
    """Fit and write a calibration. If that fails, return the problem, so that the other figures are not lost."""
    assert isinstance(judge, PrometheusJudge)  # checked before its weights were loaded
    try:
        fitted = fit_on_rows(scored)
    except InputError as error:
        return {"problem": str(error)}
    replace(fitted.calibration, judge=judge.scores_identity).save(path)
    if shows:
        absolute = f"mean absolute error {fitted.mae_before:.3f} -> {_points(fitted.mae_after)}"
        square = f"root mean square error {fitted.rmse_before:.3f} -> {_points(fitted.rmse_after)}"
        stdout.print(f"{path}: on held-out questions {absolute}, {square}", soft_wrap=True)
        if fitted.rmse_after is not None and fitted.rmse_after > fitted.rmse_before:
            text = "the calibration makes large errors larger: more labels would tell whether it helps"
            stderr.print(text, soft_wrap=True)
    errors = {key: value for key, value in asdict(fitted).items() if key != "calibration"}
    return {"path": str(path), **errors}


def _points(error: float | None) -> str:
    return "undefined (too few questions)" if error is None else f"{error:.3f}"
