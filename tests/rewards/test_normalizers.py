import re
from math import inf, nan

import pytest
from hypothesis import given, strategies as st

from prom_reward.errors import ConfigError
from prom_reward.rewards.normalizers import Centered, FixedStandardization, Identity, UnitInterval, resolve_normalizer
from prom_reward.types import ScoreScale
from tests.strategies import scales

BOUNDED = {UnitInterval(): (0, 1), Centered(): (-1, 1)}
FREE = [*BOUNDED, Identity()]


def standardized(scale):
    return FixedStandardization(3.0, 1.5, scale)


@st.composite
def scale_and_scores(draw):
    scale = draw(scales)
    return scale, draw(st.lists(st.none() | st.floats(scale.low, scale.high), max_size=6))


@pytest.mark.parametrize(
    ("normalizer", "rewards"),
    [
        (UnitInterval(), [0.0, None, 0.375, 1.0]),
        (Centered(), [-1.0, None, -0.25, 1.0]),
        (Identity(), [1.0, None, 2.5, 5.0]),
        (FixedStandardization(3.0, 0.5), [-4.0, None, -1.0, 4.0]),
    ],
)
def test_exact_rewards_on_one_to_five(normalizer, rewards):
    assert normalizer([1.0, None, 2.5, 5.0], ScoreScale()) == rewards


@given(st.sampled_from([*FREE, None]), scale_and_scores())
def test_a_normalizer_is_strictly_monotone_and_keeps_none(normalizer, drawn):
    scale, scores = drawn
    rewards = (normalizer or standardized(scale))(scores, scale)
    assert [reward is None for reward in rewards] == [score is None for score in scores]
    pairs = [(score, reward) for score, reward in zip(scores, rewards, strict=True) if score is not None]
    assert all(b >= a for (x, a) in pairs for (y, b) in pairs if y >= x)
    assert all(b > a for (x, a) in pairs for (y, b) in pairs if y > x + 1e-6)


@given(st.sampled_from(list(BOUNDED)), scale_and_scores())
def test_rewards_are_bounded_and_reach_their_bounds(normalizer, drawn):
    scale, scores = drawn
    low, high = BOUNDED[normalizer]
    assert all(low <= reward <= high for reward in normalizer(scores, scale) if reward is not None)
    assert normalizer([scale.low, scale.high], scale) == [low, high]


@given(st.sampled_from([*FREE, None]), scale_and_scores())
def test_a_reward_does_not_depend_on_the_other_scores(normalizer, drawn):
    scale, scores = drawn
    normalizer = normalizer or standardized(scale)
    assert normalizer(scores, scale) == [normalizer([score], scale)[0] for score in scores]


@pytest.mark.parametrize(("mean", "std"), [(3.0, 0.0), (3.0, -1.0), (nan, 1.0), (3.0, nan), (inf, 1.0), (3.0, inf)])
def test_standardization_refuses_what_is_no_deviation(mean, std):
    message = f"got mean={mean}, std={std}; expected finite numbers and std over 0"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        FixedStandardization(mean, std)


def test_standardization_refuses_scores_of_another_scale_than_it_was_measured_on():
    message = "got a score on the scale 0 to 1 and a mean and deviation of scores from 1 to 5; expected one scale"
    with pytest.raises(ConfigError, match=f"^{message}"):
        FixedStandardization(3.2, 1.1)([0.4], ScoreScale(0, 1))
    with pytest.raises(ConfigError, match=f"^{message}"):
        resolve_normalizer(FixedStandardization(3.2, 1.1), ScoreScale(0, 1))
    of_checklists = FixedStandardization(0.5, 0.25, ScoreScale(0, 1))
    assert resolve_normalizer(of_checklists, ScoreScale(0, 1))([1.0, None], ScoreScale(0, 1)) == [2.0, None]


def test_names_and_callables_are_resolved():
    assert [resolve_normalizer(name) for name in ("unit", "centered", "identity")] == [
        UnitInterval(),
        Centered(),
        Identity(),
    ]
    own = FixedStandardization(2.0, 1.0)
    assert resolve_normalizer(own) is own


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("centred", "got normalizer='centred'; expected one of unit, centered, identity or a callable. "
         "Did you mean 'centered'?"),
        ("zscore", "got normalizer='zscore'; expected one of unit, centered, identity or a callable."),
        (3, "got normalizer=3; expected one of unit, centered, identity or a callable."),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_its_near_miss(wrong, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        resolve_normalizer(wrong)
