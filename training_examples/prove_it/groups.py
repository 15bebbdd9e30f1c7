"""Summarizes the groups of a training's judgment log: their spread, and their agreement with the audit judge.

A group holds the rollouts of one prompt in one step under one rubric; a trainer's advantage is relative to it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from prom_reward.data.rows import read_values
from prom_reward.errors import InputError
from prom_reward.evaluation.agreement import Floats, spearman
from prom_reward.files import replacing
from prom_reward.reports.training_folder import LOG_FILE, load_curves, summarize_curves

_SAME = 1e-9


def summarize_groups(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Summarize a log's groups; groups of one do not count, and figures that no group has are left out.

    Args:
        records: The lines that `PrometheusReward(log_path=...)` writes.

    Returns:
        "expected_sd" and "integer_sd": the mean standard deviation within a group, in points of the scale;
        "expected_same" and "integer_same": the share of groups whose scores are all the same;
        "audit_rank_correlation": the mean over groups of Spearman's rank correlation of the reward with the audit
        judge's score, for groups in which both vary.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["step"], record["instruction"], record["rubric"]), []).append(record)
    figures: dict[str, list[float]] = {}
    for group in groups.values():
        for name, value in _figures(group).items():
            figures.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in figures.items()}


def summarize_training(folder: Path, *, last_step: int | None = None) -> dict[str, float]:
    """Summarize a training's curves and the groups of its judgment log.

    The keys are those of `summarize_curves` and `summarize_groups`.

    Args:
        folder: The training's output folder.
        last_step: The last step to count; None takes all.

    Raises:
        InputError: The trainer's state or the log cannot be read.
    """
    curves = summarize_curves(load_curves(folder), last_step=last_step)
    log = folder / LOG_FILE
    records = read_values(log) if log.exists() else []
    return curves | summarize_groups(one for one in records if last_step is None or one["step"] < last_step)


def forget_records_from(path: Path, step: int) -> None:
    """Drop the records from a step on, and an incomplete last line; a training resumed there logs them again.

    Raises:
        InputError: The file is no judgment log, or cannot be read.
        WorkError: It cannot be written.
    """
    try:
        with path.open("rb") as old, replacing(path) as new:
            new.writelines(line.decode() for line in old if line.endswith(b"\n") and json.loads(line)["step"] < step)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: its records before step {step} cannot be kept ({type(error).__name__}: {error}); "
            "expected a judgment log with steps: move it away, or give another path"
        ) from error


def _figures(group: list[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, field in (("expected", "expected_score"), ("integer", "score")):
        (scores,) = _columns(group, field)
        if len(scores) > 1:
            found[f"{name}_sd"] = float(scores.std())
            found[f"{name}_same"] = float(np.ptp(scores) < _SAME)
    alike = spearman(*_columns(group, "reward", "audit_score"))
    return found if alike is None else {**found, "audit_rank_correlation": alike}


def _columns(group: list[Mapping[str, Any]], *names: str) -> list[Floats]:
    """Return the columns, over the records that have all of them."""
    whole = [record for record in group if all(record.get(name) is not None for name in names)]
    return [np.array([record[name] for record in whole], dtype=float) for name in names]
