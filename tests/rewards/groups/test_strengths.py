import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import expit

from prom_reward.rewards.groups.strengths import fit_strengths, information, win_rates

probs = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))


@st.composite
def groups(draw, failures=True):
    """Return results and grades of a group, with failed comparisons and grades that are missing."""
    size = draw(st.integers(2, 6))
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True))
    results = {pair: draw(st.none() | probs if failures else probs) for pair in chosen}
    grades = draw(st.lists(st.none() | st.floats(0, 1), min_size=size, max_size=size))
    return results, grades


def values(strengths):
    return [None if one is None else one.value for one in strengths.centered(range(len(strengths.values)))]


def moved(results, order):
    """Return results after the members moved: `order[place]` is the new place."""
    found = {}
    for (first, second), prob in results.items():
        pair = (order[first], order[second])
        found[tuple(sorted(pair))] = prob if prob is None or pair[0] < pair[1] else 1 - prob
    return found


@settings(max_examples=40, deadline=None)
@given(groups(), st.randoms())
def test_the_order_of_the_members_does_not_matter(group, random):
    results, grades = group
    order = random.sample(range(len(grades)), len(grades))
    grades_after = [grade for _, grade in sorted(zip(order, grades, strict=True))]
    before, after = (values(fit_strengths(*one)) for one in ((results, grades), (moved(results, order), grades_after)))
    if None not in before:  # of two parts of one size the first counts, so with several parts the order matters
        assert [after[order[at]] for at in range(len(order))] == pytest.approx(before, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(groups())
def test_the_opposite_verdicts_and_grades_give_the_opposite_strengths(group):
    results, grades = group
    opposite = {pair: None if prob is None else 1 - prob for pair, prob in results.items()}
    before = values(fit_strengths(results, grades))
    after = values(fit_strengths(opposite, [None if one is None else 1 - one for one in grades]))
    assert [one is None for one in before] == [one is None for one in after]
    known = [at for at, one in enumerate(before) if one is not None]
    assert [after[at] for at in known] == pytest.approx([-before[at] for at in known], abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(groups(failures=False), st.data())
def test_winning_more_often_never_lowers_a_rank(group, data):
    results, grades = group
    if not results:
        return
    pair = data.draw(st.sampled_from(sorted(results)))
    more = {**results, pair: data.draw(st.floats(results[pair], 1))}
    before, after = values(fit_strengths(results, grades)), values(fit_strengths(more, grades))
    gains = [b - a for a, b in zip(before, after, strict=True) if a is not None]
    if before[pair[0]] is not None:
        assert after[pair[0]] - before[pair[0]] >= max(gains) - 1e-4


@settings(max_examples=40, deadline=None)
@given(groups())
def test_strengths_have_mean_zero_and_errors_shrink_with_evidence(group):
    results, grades = group
    found = fit_strengths(results, grades).centered(range(len(grades)))
    known = [one for one in found if one is not None]
    assert sum(one.value for one in known) == pytest.approx(0, abs=1e-6)
    assert all(one.standard_error >= 0 for one in known)


def test_many_comparisons_outweigh_the_prior():
    """With a nearly flat prior the fit returns the strengths that the probabilities were made from."""
    true = np.array([-1.0, -0.2, 0.3, 0.9])
    results = {(i, j): float(expit(true[i] - true[j])) for i in range(4) for j in range(i + 1, 4)}
    assert values(fit_strengths(results, [None] * 4)) == pytest.approx(true, abs=0.15)
    assert values(fit_strengths(results, [0.9, 0.1, 0.1, 0.0], prior_weight=0)) == pytest.approx(true, abs=0.15)


def test_grades_order_the_members_that_no_comparison_orders():
    assert np.argsort(values(fit_strengths({}, [0.1, 0.9, 0.5]))).tolist() == [0, 2, 1]
    first, second, _ = values(fit_strengths({(0, 1): 0.5}, [0.5, 0.5, 0.9]))
    assert first == pytest.approx(second)


def test_tiny_differences_of_grades_are_not_scaled_up():
    assert max(values(fit_strengths({}, [0.5, 0.5 + 1e-6]))) < 1e-3


def test_equal_members_are_equal():
    assert values(fit_strengths({(0, 1): 0.5, (1, 2): 0.5}, [0.4, 0.4, 0.4])) == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_failed_comparison_is_missing_and_not_a_tie():
    failed, without = (fit_strengths(one, [0.2, 0.8, 0.4]) for one in ({(0, 1): 0.9, (1, 2): None}, {(0, 1): 0.9}))
    assert values(failed) == values(without)


def test_a_member_without_evidence_has_no_strength():
    assert values(fit_strengths({(0, 1): None}, [None, None])) == [None, None]
    known = values(fit_strengths({(0, 1): 0.9}, [0.5, None, None]))
    assert known[2] is None
    assert known[0] > 0 > known[1]


def test_parts_that_nothing_joins_are_not_compared():
    """Grades join: with them all four are on one scale, without them the larger part counts alone."""
    results = {(0, 1): 0.9, (2, 3): 0.1, (3, 4): 0.1}
    assert None not in values(fit_strengths(results, [0.5] * 5))
    assert [one is None for one in values(fit_strengths(results, [None] * 5))] == [True, True, False, False, False]


def test_errors_are_smaller_with_more_comparisons():
    grades = [0.2, 0.4, 0.6]
    few, many = (
        fit_strengths(one, grades).centered(range(3))
        for one in ({(0, 1): 0.6}, {(0, 1): 0.6, (1, 2): 0.4, (0, 2): 0.5})
    )
    assert all(b.standard_error < a.standard_error for a, b in zip(few, many, strict=True))


def test_the_probability_of_beating_an_anchor():
    found = fit_strengths({(0, 2): 0.8, (1, 2): 0.3}, [None, None, None])
    first, second, anchor = found.beating(2, range(3))
    assert first.value == pytest.approx(0.8, abs=0.05)
    assert second.value == pytest.approx(0.3, abs=0.05)
    assert (anchor.value, anchor.standard_error) == (0.5, 0.0)
    assert fit_strengths({(0, 2): None}, [0.5, 0.6, None]).beating(2, range(2)) == [None, None]


def test_an_even_pair_of_unsure_members_has_the_most_information():
    covariance = np.diag([1.0, 1.0, 4.0])
    gains = [information(np.array([0.0, 3.0, 0.0]), covariance, pair) for pair in ((0, 1), (0, 2))]
    assert gains[1] > gains[0] > 0


def test_win_rates():
    assert win_rates({(0, 1): 0.8, (0, 2): 0.4, (1, 2): None}, 4) == pytest.approx([0.6, 0.2, 0.6, None])
