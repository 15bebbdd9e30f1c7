from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit

from prom_reward.rewards.groups.noise import MIN_GROUPS, estimate_noise


def simulated(num_groups, *, grade_noise, pair_noise, size=6, seed=0):
    """Return grades and all comparisons of groups with strengths of deviation 1."""
    draw = np.random.default_rng(seed)
    groups = []
    for _ in range(num_groups):
        strengths = draw.normal(size=size)
        grades = expit(strengths + grade_noise * draw.normal(size=size)).tolist()
        odds = {pair: strengths[pair[0]] - strengths[pair[1]] + pair_noise * draw.normal() for pair in pairs(size)}
        groups.append((grades, {pair: float(expit(one)) for pair, one in odds.items()}))
    return groups


def pairs(size):
    return list(combinations(range(size), 2))


@pytest.mark.parametrize(("grade_noise", "pair_noise"), [(0.5, 0.5), (0.5, 2), (2, 0.5)])
def test_noise_is_found_again_without_labels(grade_noise, pair_noise):
    found = estimate_noise(simulated(40, grade_noise=grade_noise, pair_noise=pair_noise))
    assert found.pair_noise == pytest.approx(pair_noise, rel=0.2)
    assert found.spread == pytest.approx(1, rel=0.5)
    assert found.reliability == pytest.approx(1 / (1 + grade_noise**2) ** 0.5, abs=0.2)


def test_noisy_comparisons_raise_the_weight_of_the_grades():
    weights = [
        estimate_noise(simulated(20, grade_noise=grade, pair_noise=pair)).prior_weight
        for grade, pair in ((2, 0.5), (0.5, 0.5), (0.5, 2))
    ]
    assert weights == sorted(weights)
    assert weights[0] < 0.5
    assert weights[-1] > 2


def test_too_little_is_no_estimate():
    groups = simulated(MIN_GROUPS, grade_noise=1, pair_noise=1)
    assert estimate_noise(groups) is not None
    assert estimate_noise(groups[1:]) is None
    assert estimate_noise([*groups[1:], ([None, 0.5], {(0, 1): 0.5})]) is None
    assert estimate_noise([*groups[1:], ([0.2, 0.5], {(0, 1): None})]) is None


def test_a_judge_that_is_certain_or_grades_all_alike_has_finite_noise():
    certain = [([0.5] * 4, dict.fromkeys(pairs(4), float(at % 2))) for at in range(MIN_GROUPS)]
    assert 0 < estimate_noise(certain).prior_weight < float("inf")
