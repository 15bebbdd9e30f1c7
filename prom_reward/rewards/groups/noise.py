"""The noise of a judge's grades and comparisons beside each other, from groups without labels.

The strengths of a group are normal with variance v. A standardized grade has the correlation r with its strength, and
the log-odds of a comparison are the difference of two strengths plus normal noise of deviation s. Given its grades z
the log-odds of a group are then normal, N(r sqrt(v) D z, v (1 - r^2) D D' + s^2 I), with +1 and -1 for a pair in each
row of D. v, s and r are those of the largest evidence over all groups (type II maximum likelihood: MacKay, "Bayesian
Interpolation", Neural Computation 4, 1992).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prom_reward.rewards.groups.strengths import PRIOR_VARIANCE, Floats, Results, standardized

MIN_GROUPS = 10
"""Fewer groups say too little."""
_LARGEST_ODDS = 5.0  # a judge that is surer than 99.3 % only says that it is sure
_CURVATURE = 0.2  # p (1 - p) of a comparison, which stands for its precision in `fit_strengths`
_BOUNDS = ((-4.0, 4.0), (-3.0, 3.0), (0.0, 0.98))  # of log v, log s and r
_START = (0.0, -0.4, 0.6)


@dataclass(frozen=True, slots=True)
class JudgeNoise:
    """A judge's noise, in log-odds."""

    spread: float
    """Variance of the strengths."""
    pair_noise: float
    """Standard deviation of a comparison around the difference of strengths, with both orders averaged."""
    reliability: float
    """Correlation of a grade with the strength."""

    @property
    def prior_weight(self) -> float:
        """The weight of the grades for `fit_strengths` beside comparisons of a fixed precision."""
        left = self.spread * (1 - self.reliability**2)
        return _CURVATURE * self.pair_noise**2 * PRIOR_VARIANCE / left


def estimate_noise(groups: Sequence[tuple[Sequence[float | None], Results]]) -> JudgeNoise | None:
    """Return a judge's noise; None if less than `MIN_GROUPS` groups have grades and comparisons.

    Args:
        groups: The grades of each group from 0 to 1, and its comparisons.
    """
    from scipy import optimize

    parts = [part for grades, results in groups if (part := _part(grades, results)) is not None]
    if len(parts) < MIN_GROUPS:
        return None
    found = optimize.minimize(lambda at: -sum(_evidence(*part, *at) for part in parts), _START, bounds=_BOUNDS).x
    return JudgeNoise(float(np.exp(found[0])), float(np.exp(found[1])), float(found[2]))


def _part(grades: Sequence[float | None], results: Results) -> tuple[Floats, Floats] | None:
    """Return a group's design D, and the differences of its standardized grades above the log-odds (2, P)."""
    known = {pair: prob for pair, prob in results.items() if prob is not None}
    if not known or any(grade is None for grade in grades):
        return None
    design = np.zeros((len(known), len(grades)))
    for row, (first, second) in enumerate(known):
        design[row, first], design[row, second] = 1.0, -1.0
    probs = np.array(list(known.values())).clip(1e-9, 1 - 1e-9)
    odds = np.log(probs / (1 - probs)).clip(-_LARGEST_ODDS, _LARGEST_ODDS)
    return design, np.stack([design @ standardized(grades), odds])


def _evidence(design: Floats, values: Floats, log_spread: float, log_noise: float, reliability: float) -> float:
    """Return the log-density of a group's log-odds given its grades, without a constant."""
    spread = np.exp(log_spread)
    expected, odds = reliability * np.sqrt(spread) * values[0], values[1]
    covariance = spread * (1 - reliability**2) * design @ design.T + np.exp(2 * log_noise) * np.eye(len(odds))
    lower = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(lower, odds - expected)
    return float(-scaled @ scaled / 2 - np.log(np.diag(lower)).sum())
