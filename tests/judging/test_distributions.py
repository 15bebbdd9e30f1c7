from math import log

import pytest
import scipy.stats
from hypothesis import given, strategies as st

from prom_reward.judging.distributions import (
    entropy,
    expected_score,
    label_probs,
    mean_probs,
    most_frequent,
    one_hot,
    prob_first_is_better,
)
from tests.strategies import scales


@st.composite
def logprobs(draw, scale=None):
    scale = scale or draw(scales)
    return {str(label): draw(st.floats(-800, 0)) for label in scale.labels}


distributions = logprobs().map(label_probs)


@given(logprobs())
def test_a_distribution_sums_to_one_over_integer_labels(given_logprobs):
    probs = label_probs(given_logprobs)
    assert list(probs) == sorted(int(label) for label in given_logprobs)
    assert sum(probs.values()) == pytest.approx(1, abs=1e-12)
    assert all(0 <= prob <= 1 for prob in probs.values())


def test_probabilities_are_those_of_the_labels_among_themselves():
    assert label_probs({"2": log(0.1), "1": log(0.3), "3": log(0.1)}) == pytest.approx({1: 0.6, 2: 0.2, 3: 0.2})
    assert list(label_probs({"10": log(0.1), "2": log(0.3)})) == [2, 10]


def test_impossible_labels_get_no_probability():
    assert label_probs({"1": float("-inf"), "2": -900.0}) == {1: 0.0, 2: 1.0}


@given(distributions)
def test_the_expected_score_is_the_sum_and_lies_on_the_scale(probs):
    expected = expected_score(probs)
    assert expected == pytest.approx(sum(score * prob for score, prob in probs.items()), abs=1e-9)
    assert min(probs) - 1e-9 <= expected <= max(probs) + 1e-9


@given(distributions)
def test_entropy_is_that_of_scipy(probs):
    assert entropy(probs) == pytest.approx(scipy.stats.entropy(list(probs.values())), abs=1e-9)


def test_a_certain_distribution_has_entropy_zero_without_a_sign():
    probs = one_hot(4, (1, 2, 3, 4, 5))
    assert probs == {1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0, 5: 0.0}
    assert (str(entropy(probs)), expected_score(probs)) == ("0.0", 4.0)


def test_the_mean_of_samples_is_taken_label_by_label():
    assert mean_probs([{1: 1.0, 2: 0.0}, {1: 0.5, 2: 0.5}, {1: 0.0, 2: 1.0}]) == {1: 0.5, 2: 0.5}


@given(scales.flatmap(lambda scale: st.lists(logprobs(scale).map(label_probs), min_size=1, max_size=5)))
def test_the_mean_distribution_has_the_mean_expected_score(samples):
    mean = mean_probs(samples)
    assert sum(mean.values()) == pytest.approx(1)
    assert expected_score(mean) == pytest.approx(sum(map(expected_score, samples)) / len(samples))


@pytest.mark.parametrize(
    ("scores", "probs", "winner"),
    [
        ([4, 2, 4], {2: 0.9, 4: 0.1}, 4),
        ([2, 4], {2: 0.4, 4: 0.6}, 4),
        ([4, 2], {2: 0.6, 4: 0.4}, 2),
        ([5, 3, 1], {1: 0.3, 3: 0.3, 5: 0.3}, 1),
        ([5, 3, 5, 3], {3: 0.5, 5: 0.5}, 3),
    ],
)
def test_the_most_frequent_score_wins_then_the_likeliest_then_the_lowest(scores, probs, winner):
    assert most_frequent(scores, probs) == winner


@given(distributions, distributions)
def test_one_of_two_is_better_with_probability_one(first, second):
    there, back = prob_first_is_better(first, second), prob_first_is_better(second, first)
    assert there + back == pytest.approx(1)
    assert -1e-12 <= there <= 1 + 1e-12


def test_equal_scores_count_half():
    assert prob_first_is_better({1: 0.5, 2: 0.5}, {1: 0.5, 2: 0.5}) == 0.5
    assert prob_first_is_better(one_hot(2, (1, 2)), one_hot(1, (1, 2))) == 1.0
    assert prob_first_is_better({1: 0.25, 2: 0.75}, {1: 0.5, 2: 0.5}) == pytest.approx(0.75 * 0.5 + 0.5 * 0.5)
