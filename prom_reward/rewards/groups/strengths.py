"""Bradley-Terry strengths of a group's members, from comparisons and a prior from their grades.

Bradley and Terry, "Rank analysis of incomplete block designs: the method of paired comparisons", Biometrika 39 (1952):
P(i beats j) = 1 / (1 + exp(s_j - s_i)).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]
"""Two members by their places, the smaller one first."""
Results = Mapping[Pair, float | None]
"""P(the first member is better) for each pair that was compared; None if the comparison failed."""

PRIOR_SLOPE = 0.5
"""Prior strength of a member whose grade is one standard deviation over the group's mean."""
PRIOR_VARIANCE = 3.0
"""Variance of the strengths around the prior; `tests/benchmarks/bench_group_rewards.py` shows the effect of both."""
_FLAT_VARIANCE = 20.0  # without a grade; it only keeps a member that wins or loses every time finite
_SMALLEST_SPREAD = 0.01  # of grades from 0 to 1: smaller differences are no evidence and are not scaled up to one


@dataclass(frozen=True, slots=True)
class Score:
    """A member's standing in its group."""

    value: float
    """Log-odds over the group's mean, or a probability."""
    standard_error: float | None = None
    """Standard deviation of the value's posterior; None if the method gives none."""


@dataclass(frozen=True, slots=True)
class Strengths:
    """The posterior of the members' strengths in log-odds (natural logarithm). Only differences have a meaning."""

    values: tuple[float | None, ...]
    """One for each member; None if neither its grade nor a chain of comparisons joins it to the others."""
    covariance: Floats
    """Covariance of the posterior, (N, N)."""

    def centered(self, places: Sequence[int]) -> list[Score | None]:
        """Return the strengths at some places minus their mean; a place may occur several times."""
        known = [at for at in places if self.values[at] is not None]
        if not known:
            return [None] * len(places)
        mean = np.bincount(known, minlength=len(self.values)) / len(known)
        return [self._contrast(np.eye(len(self.values))[at] - mean, at) for at in places]

    def beating(self, anchor: int, places: Sequence[int]) -> list[Score | None]:
        """Return the probabilities that the members at some places beat the anchor."""
        if self.values[anchor] is None:
            return [None] * len(places)
        identity = np.eye(len(self.values))
        edges = [self._contrast(identity[at] - identity[anchor], at) for at in places]
        return [None if edge is None else _probability(edge) for edge in edges]

    def _contrast(self, weights: Floats, at: int) -> Score | None:
        if self.values[at] is None:
            return None
        values = np.array([one or 0.0 for one in self.values])
        return Score(float(weights @ values), float(weights @ self.covariance @ weights) ** 0.5)


def _probability(edge: Score) -> Score:
    """Return the probability of log-odds, its standard error by the delta method."""
    from scipy import special

    prob = float(special.expit(edge.value))
    return Score(prob, None if edge.standard_error is None else prob * (1 - prob) * edge.standard_error)


def fit_strengths(results: Results, grades: Sequence[float | None], *, prior_weight: float = 1.0) -> Strengths:
    """Return the strengths with the largest posterior density.

    A comparison of probability p counts as p wins and 1 - p losses. The prior of a member's strength is a normal
    distribution around its standardized grade. Raising a member's p never lowers its rank.

    Args:
        results: The comparisons.
        grades: The expected score of each member from 0 to 1 (N); None for none.
        prior_weight: Factor of the prior's precision; 0 ignores the grades.
    """
    from scipy import optimize, special

    if prior_weight == 0:
        grades = [None] * len(grades)
    probs = {pair: prob for pair, prob in results.items() if prob is not None}
    first, second = (np.array([pair[side] for pair in probs], dtype=int) for side in (0, 1))
    wins = np.array(list(probs.values()))
    prior, precision = _prior(grades, prior_weight)
    design = np.zeros((len(wins), len(grades)))  # one row for each comparison: +1 for the first, -1 for the second
    design[np.arange(len(wins)), first] = 1.0
    design[np.arange(len(wins)), second] = -1.0

    def loss(strengths: Floats) -> tuple[float, Floats]:
        edge, shift = design @ strengths, strengths - prior
        value = -(wins @ special.log_expit(edge) + (1 - wins) @ special.log_expit(-edge)) + precision @ shift**2 / 2
        return float(value), design.T @ (special.expit(edge) - wins) + precision * shift

    def hessian(strengths: Floats) -> Floats:
        edge = design @ strengths
        weight = special.expit(edge) * special.expit(-edge)
        curvature: Floats = design.T @ (weight[:, None] * design) + np.diag(precision)
        return curvature

    found = optimize.minimize(loss, prior, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-8}).x
    joined = _joined(first, second, grades)
    values = [float(one) if is_joined else None for one, is_joined in zip(found, joined, strict=True)]
    covariance: Floats = np.linalg.inv(hessian(found)).astype(np.float64)
    return Strengths(tuple(values), covariance)


def win_rates(results: Results, num_members: int) -> list[float | None]:
    """Return each member's mean probability of winning over its comparisons; None for no comparison."""
    won: list[list[float]] = [[] for _ in range(num_members)]
    for (first, second), prob in results.items():
        if prob is not None:
            won[first].append(prob)
            won[second].append(1 - prob)
    return [sum(probs) / len(probs) if probs else None for probs in won]


def information(strengths: Floats, covariance: Floats, pair: Pair) -> float:
    """Return the information in nats that a comparison of two members is expected to add about the strengths.

    Args:
        strengths: In log-odds (N).
        covariance: Of the strengths (N, N).
        pair: The two members.
    """
    from scipy import special

    first, second = pair
    prob = special.expit(strengths[first] - strengths[second])
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    return float(np.log1p(prob * (1 - prob) * variance) / 2)


def standardized(grades: Any) -> Floats:
    """Return grades minus their mean, over their deviation; differences of no weight are not scaled up."""
    values = np.asarray(grades, dtype=np.float64)
    scaled: Floats = (values - values.mean()) / max(float(values.std()), _SMALLEST_SPREAD)
    return scaled


def _prior(grades: Sequence[float | None], weight: float) -> tuple[Floats, Floats]:
    """Return mean and precision of each strength's prior."""
    known = np.array([grade is not None for grade in grades])
    values = np.array([0.0 if grade is None else grade for grade in grades])
    mean, precision = np.zeros(len(grades)), np.full(len(grades), 1 / _FLAT_VARIANCE)
    if known.any():
        mean[known] = PRIOR_SLOPE * standardized(values[known])
        precision[known] = weight / PRIOR_VARIANCE
    return mean, precision


def _joined(first: Any, second: Any, grades: Sequence[float | None]) -> npt.NDArray[np.bool_]:
    """Return which members belong to the largest part that grades and comparisons join."""
    from scipy import sparse

    graded = [at for at, grade in enumerate(grades) if grade is not None]
    rows, columns = [*first, *graded[:-1]], [*second, *graded[1:]]
    edges = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(grades), len(grades)))
    parts = sparse.csgraph.connected_components(edges, directed=False)[1]
    largest = np.bincount(parts).argmax()
    is_evidence = len(rows) > 0 or bool(graded)
    return np.array([part == largest and is_evidence for part in parts])
