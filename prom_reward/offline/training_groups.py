"""What the groups of a training's log say: how far scores differ within one, and whether a second judge agrees.

It does not know files, trainers or figures.

A group is what a trainer's advantage is relative to: the rollouts of a prompt in a step, here under one rubric.
"""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

import numpy as np

from prom_reward.offline.agreement import Floats, spearman

_SAME = 1e-9


def summarize_groups(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return what a log's groups come to; groups of one do not count, and what no group has is not there.

    Args:
        records: The lines that `PrometheusReward(log_path=...)` writes.

    Returns:
        For the expected scores and for the integers of the same judgments the mean standard deviation within a group,
        in points of the scale, "expected_sd" and "integer_sd", and the share of groups in which all are the same,
        "expected_same" and "integer_same"; "audit_rank_correlation", the mean over groups of Spearman's rank
        correlation of the reward with the audit judge's score, where both differ within the group.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["step"], record["instruction"], record["rubric"]), []).append(record)
    figures: dict[str, list[float]] = {}
    for group in groups.values():
        for name, value in _figures(group).items():
            figures.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in figures.items()}


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
    """Return columns of the records that have all of them."""
    whole = [record for record in group if all(record.get(name) is not None for name in names)]
    return [np.array([record[name] for record in whole], dtype=float) for name in names]
