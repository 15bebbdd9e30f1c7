"""Agreement of scores with labels: correlations, errors and accuracies, with clustered bootstrap intervals.

Rows of one question are not independent, so the bootstrap draws whole questions (clusters) with replacement:
Cameron, Gelbach and Miller 2008, "Bootstrap-based improvements for inference with clustered errors". Correlations
are scipy's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prom_reward.errors import number_of

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Measure = Callable[[Floats, Floats], float | None]
"""Takes predicted scores and labels (N); returns None if it is undefined."""
Statistic = Callable[[Indices], float | None]
"""A measure of some rows, given by their indices, which may repeat; None if it is undefined."""

LEVEL = 0.95
"""The level of intervals."""
MIN_CLUSTERS = 10
"""An interval from fewer clusters carries a warning: the bootstrap is then too narrow."""
_NUM_NAMED = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value with its interval."""

    value: float | None
    """None if it is undefined."""
    low: float | None = None
    """Lower end of the interval, if there is one; of 95 % unless another level was asked for."""
    high: float | None = None
    """Upper end."""
    p_value: float | None = None
    """Two-sided bootstrap p-value of 0, for differences."""
    undefined: str | None = None
    """Why there is no value, or no interval though one was asked for."""
    warning: str | None = None
    """Why the interval should not be relied on."""

    def __repr__(self) -> str:
        notes = "".join(f", {note}" for note in (self.undefined, self.warning) if note)
        return f"Estimate({shown_estimate(self)}{notes})"

    def to_dict(self) -> dict[str, float | str | None]:
        """Return the estimate as JSON values."""
        shown: dict[str, float | str | None] = {"value": self.value, "low": self.low, "high": self.high}
        notes = {"p_value": self.p_value, "undefined": self.undefined, "warning": self.warning}
        return shown | {name: note for name, note in notes.items() if note is not None}


def shown_estimate(found: Estimate | None, *, digits: int = 3, sign: str = "") -> str:
    """Return an estimate with its interval as text; `sign="+"` also shows a positive sign."""
    if found is None or found.value is None:
        return "-"
    interval = "" if found.low is None else f" [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    return f"{found.value:{sign}.{digits}f}{interval}"


def pearson(predicted: Floats, labels: Floats) -> float | None:
    """Return Pearson's r; None if one side does not vary."""
    return float(np.corrcoef(predicted, labels)[0, 1]) if _varies(predicted, labels) else None


def spearman(predicted: Floats, labels: Floats) -> float | None:
    """Return Spearman's rank correlation, ties at their mean rank; None if one side does not vary."""
    from scipy import stats  # here, as it takes a second to import

    return pearson(stats.rankdata(predicted), stats.rankdata(labels)) if _varies(predicted, labels) else None


def kendall(predicted: Floats, labels: Floats) -> float | None:
    """Return Kendall's tau-b; None if one side does not vary."""
    from scipy import stats

    return float(stats.kendalltau(predicted, labels).statistic) if _varies(predicted, labels) else None


def mean_absolute_error(predicted: Floats, labels: Floats) -> float | None:
    """Return the mean absolute error in points of the scale; None without rows."""
    return float(np.abs(predicted - labels).mean()) if len(labels) else None


def accuracy(predicted: Floats, labels: Floats) -> float | None:
    """Return the share of rows whose rounded score is the rounded label; None without rows."""
    return _share_within(0, predicted, labels)


def accuracy_within_1(predicted: Floats, labels: Floats) -> float | None:
    """Return the share of rows whose rounded score is at most a point from the rounded label."""
    return _share_within(1, predicted, labels)


MEASURES: Mapping[str, Measure] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
    "mae": mean_absolute_error,
    "accuracy": accuracy,
    "accuracy_within_1": accuracy_within_1,
}
"""All measures of scores against labels, by the name that reports use."""


def partial_pearson(predicted: Floats, labels: Floats, control: Floats) -> float | None:
    """Return Pearson's r of the residuals of scores and labels after a linear fit on a control.

    None if the fit leaves nothing.
    """
    if not _varies(predicted, labels):
        return None
    return pearson(_residuals(predicted, control), _residuals(labels, control))


def pairwise_accuracy(margins: Floats) -> float | None:
    """Return the share of pairs whose better side scores higher (margin over 0), ties as half."""
    return float(((margins > 0) + 0.5 * (margins == 0)).mean()) if len(margins) else None


def estimate(statistic: Statistic, clusters: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Measure all rows, with a 95 % percentile interval over resampled clusters.

    Args:
        statistic: A measure of some rows.
        clusters: Each row's question or document (N).
        resamples: Bootstrap resamples; 0 gives no interval.
        seed: Seed of the resamples. The same seed for two judges makes a paired comparison.
    """
    return _bootstrapped(statistic, clusters, resamples, seed)[0]


def difference(
    first: Statistic,
    second: Statistic,
    clusters: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """Measure `first - second` on the same rows: a paired test by the clustered bootstrap.

    Arguments are those of `estimate`; `level` is the share of resamples inside of the interval.
    """

    def gap(rows: Indices) -> float | None:
        one, other = first(rows), second(rows)
        return None if one is None or other is None else one - other

    found, drawn = _bootstrapped(gap, clusters, resamples, seed, level)
    if drawn is None:
        return found
    below, above = ((drawn <= 0).sum() + 1) / (len(drawn) + 1), ((drawn >= 0).sum() + 1) / (len(drawn) + 1)
    return replace(found, p_value=float(min(1.0, 2 * min(below, above))))


def warnings_of(estimates: Iterable[Estimate], groups: Mapping[str, Iterable[Estimate]]) -> list[str]:
    """Return what is to be said of some figures, and of the groups of which fewer questions are known."""
    found = list(dict.fromkeys(one.warning for one in estimates if one.warning))
    few = [name for name, figures in groups.items() if any(one.warning for one in figures)]
    if few:
        named = ", ".join(few[:_NUM_NAMED]) + (f" and {len(few) - _NUM_NAMED} more" if len(few) > _NUM_NAMED else "")
        found.append(f"intervals of {named} from fewer than {MIN_CLUSTERS} questions")
    return found


def _bootstrapped(
    statistic: Statistic, clusters: Sequence[str], resamples: int, seed: int, level: float = LEVEL
) -> tuple[Estimate, Floats | None]:
    """Return the measure of all rows with its interval, and the resampled measures."""
    value = statistic(np.arange(len(clusters)))
    if value is None:
        return Estimate(None, undefined=_why(len(clusters))), None
    drawn = _resampled(statistic, clusters, resamples, seed)
    if drawn is None:
        why = "no interval: all rows are of one question, or most resamples are constant"
        return Estimate(value, undefined=why if resamples else None), None
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    num_clusters = len(set(clusters))
    few = f"interval from {number_of(num_clusters, 'question')}; expected at least {MIN_CLUSTERS}"
    return Estimate(value, float(low), float(high), warning=few if num_clusters < MIN_CLUSTERS else None), drawn


def _resampled(statistic: Statistic, clusters: Sequence[str], resamples: int, seed: int) -> Floats | None:
    """Return the statistic of resampled clusters; None with one cluster, or if half of them are undefined."""
    rows_of: dict[str, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows_of.setdefault(cluster, []).append(row)
    members = [np.array(rows) for rows in rows_of.values()]
    if len(members) < 2 or not resamples:
        return None
    draw = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        chosen = draw.integers(len(members), size=len(members))
        values.append(statistic(np.concatenate([members[at] for at in chosen])))
    defined = [value for value in values if value is not None]
    return np.array(defined) if len(defined) > resamples / 2 else None


def _why(num_rows: int) -> str:
    if num_rows < 2:
        return f"got {number_of(num_rows, 'row')}; expected at least 2"
    return "all scores, or all labels, are the same"


def _varies(*sides: Floats) -> bool:
    return all(len(side) > 1 and bool(np.ptp(side) > 1e-12) for side in sides)  # a smaller spread is rounding


def _share_within(points: int, predicted: Floats, labels: Floats) -> float | None:
    if not len(labels):
        return None
    return float((np.abs(_rounded(predicted) - _rounded(labels)) <= points).mean())


def _rounded(scores: Floats) -> Floats:
    rounded: Floats = np.floor(scores + 0.5)  # 2.5 becomes 3, as people round
    return rounded


def _residuals(values: Floats, control: Floats) -> Floats:
    """Return the residuals of a straight line in the control, 0 if they are only rounding."""
    design = np.column_stack([np.ones_like(control), control])
    coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
    left: Floats = values - design @ coefficients
    return np.where(np.abs(left) < 1e-9 * max(1.0, float(np.abs(values).max())), 0.0, left)
