"""Fits the weights of a head: ridge-regularized, with a strength that cross-validation over questions chooses.

The loss is the log-likelihood of `prom_reward.judging.head`'s model, which a fractional label enters by its place on
the scale. It is convex. States are standardized and rotated to their principal axes, which leaves the penalty as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prom_reward.evaluation.agreement import Floats

STRENGTHS = tuple(10.0**power for power in range(-3, 3))
"""Factors of |w|^2 / 2 beside the mean loss of a row, for states with standard deviation 1."""
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRows:
    """The data that a head is fitted on."""

    states: Floats
    """Last hidden states (N, H)."""
    logprobs: Floats
    """The judge's own log-probabilities of the scores (N, S)."""
    places: Floats
    """The labels' places on the scale (N), 0 to 1."""
    clusters: Sequence[str]
    """Each row's question (N)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFit:
    """A fitted head."""

    weights: Floats
    """Weights of a hidden state (H)."""
    bias: float
    """What is added."""
    strength: float
    """The strength that cross-validation chose."""
    held_out: Floats
    """What heads of that strength, fitted on the other questions, read from each row (N)."""


def fit_head(rows: HeadRows, *, strengths: Sequence[float] = STRENGTHS) -> HeadFit:
    """Fit a head with the strength whose out-of-fold likelihood is the best; rows of one question share a fold."""
    mean, deviation = rows.states.mean(axis=0), rows.states.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    left, sizes, axes = np.linalg.svd((rows.states - mean) / deviation, full_matrices=False)
    features: Floats = left * sizes  # (N, min(N, H))
    folds = list(_folds(rows.clusters))
    held_out = {strength: _held_out(rows, features, folds, strength) for strength in strengths}
    best = min(strengths, key=lambda one: _loss(held_out[one], rows.logprobs, rows.places)[0])
    fitted = _fitted(features, rows.logprobs, rows.places, best)
    weights: Floats = (fitted[:-1] @ axes) / deviation
    return HeadFit(weights=weights, bias=float(fitted[-1] - mean @ weights), strength=best, held_out=held_out[best])


def _folds(clusters: Sequence[str]) -> Iterator[Any]:
    """Yield a mask (N) for each fold of questions."""
    names = sorted(set(clusters))
    for first in range(min(_FOLDS, len(names))):
        fold = set(names[first::_FOLDS])
        yield np.array([one in fold for one in clusters])


def _held_out(rows: HeadRows, features: Floats, folds: Sequence[Any], strength: float) -> Floats:
    """Return each row's readout by a head that was fitted on the other folds (N)."""
    readouts = np.zeros(len(features))
    for fold in folds:
        found = _fitted(features[~fold], rows.logprobs[~fold], rows.places[~fold], strength)
        readouts[fold] = features[fold] @ found[:-1] + found[-1]
    return readouts


def _fitted(features: Floats, logprobs: Floats, places: Floats, strength: float) -> Floats:
    """Return weights and bias (F + 1) of the least loss."""
    from scipy import optimize

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights = parameters[:-1]
        loss, errors = _loss(features @ weights + parameters[-1], logprobs, places)
        gradient = features.T @ errors / len(errors) + strength * weights
        return loss + strength / 2 * float(weights @ weights), np.append(gradient, errors.mean())

    found = optimize.minimize(objective, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B")
    result: Floats = found.x
    return result


def _loss(readouts: Floats, logprobs: Floats, places: Floats) -> tuple[float, Floats]:
    """Return the mean loss of shifted distributions, and its gradient in each readout (N): the error of the mean."""
    levels = np.linspace(0.0, 1.0, logprobs.shape[1])
    shifted = logprobs + readouts[:, None] * levels  # (N, S)
    top = shifted.max(axis=1)
    weights = np.exp(shifted - top[:, None])
    totals = weights.sum(axis=1)
    errors: Floats = weights @ levels / totals - places
    return float((np.log(totals) + top - readouts * places).mean()), errors
