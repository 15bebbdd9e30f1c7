import numpy as np
import pytest

from prom_reward.evaluation.tuning.head_fit import HeadRows, fit_head

LEVELS = np.linspace(0, 1, 5)


def rows_of(states, truths, *, seed=0):
    """Labels drawn from a flat judge's distribution after a shift by the true readouts; three rows a question."""
    logits = truths[:, None] * LEVELS
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    draw = np.random.default_rng(seed)
    places = np.array([draw.choice(LEVELS, p=one) for one in probs])
    flat = np.full((len(states), 5), np.log(0.2))
    return HeadRows(states=states, logprobs=flat, places=places, clusters=[str(at // 3) for at in range(len(states))])


@pytest.fixture
def states():
    draw = np.random.default_rng(1)
    return draw.normal(size=(300, 8)) * np.array([1, 50, 0.1, 1, 1, 1, 1, 0])


def test_the_true_direction_is_found(states):
    truths = 3 * states[:, 0] + 0.06 * states[:, 1]
    fit = fit_head(rows_of(states, truths))
    assert np.corrcoef(states @ fit.weights + fit.bias, truths)[0, 1] > 0.97
    assert np.corrcoef(fit.held_out, truths)[0, 1] > 0.95


def test_states_that_tell_nothing_get_the_strongest_penalty(states):
    fit = fit_head(rows_of(states, np.zeros(300), seed=3))
    assert fit.strength >= 0.1
    assert np.abs(states @ fit.weights).max() < 0.5


def test_no_row_is_scored_by_a_head_that_saw_its_question(states):
    """If a state names its question, and a question its label, only heads of other questions are honest."""
    names = np.repeat(np.eye(20), 3, axis=0)
    labels = np.repeat(np.random.default_rng(0).permutation(np.tile(LEVELS, 4)), 3)
    flat = np.full((60, 5), np.log(0.2))
    rows = HeadRows(states=names, logprobs=flat, places=labels, clusters=[str(at // 3) for at in range(60)])
    fit = fit_head(rows, strengths=(1e-3,))
    assert np.corrcoef(names @ fit.weights, labels)[0, 1] > 0.9
    assert np.corrcoef(fit.held_out, labels)[0, 1] < 0.3


def test_the_fit_is_a_stationary_point_of_the_penalized_likelihood(states):
    rows = rows_of(states[:, :7], states[:, 0])
    fit = fit_head(rows, strengths=(0.1,))
    readouts = rows.states @ fit.weights + fit.bias
    probs = np.exp(readouts[:, None] * LEVELS)
    errors = probs @ LEVELS / probs.sum(axis=1) - rows.places
    deviation = rows.states.std(axis=0)
    gradient = ((rows.states - rows.states.mean(axis=0)) / deviation).T @ errors / len(errors)
    assert gradient + 0.1 * fit.weights * deviation == pytest.approx(np.zeros(7), abs=1e-4)
    assert errors.mean() == pytest.approx(0, abs=1e-4)


def test_more_hidden_units_than_rows_can_be_fitted():
    wide = np.random.default_rng(2).normal(size=(30, 64))
    fit = fit_head(rows_of(wide, wide[:, 0]))
    assert fit.weights.shape == (64,)
    assert np.isfinite(fit.held_out).all()
