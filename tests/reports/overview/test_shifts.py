import random

import pytest

from prom_reward.reports.overview.shifts import level_shift, rubric_shifts
from tests.reports.overview.test_findings import found, training


def difficulty(step, member):
    """A score that the step's prompt moves far more than the response does."""
    return random.Random(step).uniform(2, 4.4) + random.Random(step * 100 + member).uniform(-0.2, 0.2)


def both(drop):
    return [*training(difficulty), *training(lambda step, member: difficulty(step, member) - drop(step), rubric="s")]


def test_a_drift_that_the_prompts_hide_shows_against_another_rubric():
    [one] = found(both(lambda step: 0.8 if step >= 20 else 0)).values()
    assert one.title == "s shifts at step 20"
    assert "against r (" in one.detail
    assert found(both(lambda step: 0)) == {}
    assert found(both(lambda step: step / 30)) == {}  # a slope is no jump


def test_a_rubric_alone_has_nothing_beside_it():
    assert rubric_shifts([], {}) == []
    assert found(training(difficulty)) == {}


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([1.0] * 10 + [2.0] * 10, (11, 1.0, 2.0)),
        ([at / 10 for at in range(40)], None),  # a slope is no jump
        ([1.0, 2.0] * 20, None),
        ([1.0] * 15, None),  # too few
        ([3.0] * 40, None),
    ],
)
def test_level_shifts(curve, expected):
    draw = random.Random(1)
    noisy = {step: value + draw.gauss(0, 0.05) for step, value in enumerate(curve, 1)}
    shift = level_shift(noisy)
    assert shift == (expected and (expected[0], *(pytest.approx(value, abs=0.05) for value in expected[1:])))
