import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from prom_reward.evaluation.agreement import (
    MEASURES,
    Estimate,
    accuracy,
    accuracy_within_1,
    difference,
    estimate,
    kendall,
    mean_absolute_error,
    pairwise_accuracy,
    partial_pearson,
    pearson,
    spearman,
    warnings_of,
)

scores = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 50)), min_size=2, max_size=30)


def sides(pairs):
    return (np.array([float(pair[side]) for pair in pairs]) for side in (0, 1))


@given(scores)
def test_correlations_are_scipys_and_undefined_where_a_side_does_not_vary(pairs):
    first, second = sides(pairs)
    oracles = {pearson: stats.pearsonr, spearman: stats.spearmanr, kendall: stats.kendalltau}
    for measure, oracle in oracles.items():
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            assert measure(first, second) is None
        else:
            assert measure(first, second) == pytest.approx(oracle(first, second).statistic, abs=1e-12)


@given(scores, st.integers(0, 2**31))
def test_no_measure_is_ever_not_a_number(pairs, seed):
    first, second = sides(pairs)
    clusters = [str(int(value)) for value in second]
    for measure in MEASURES.values():
        found = estimate(lambda at, one=measure: one(first[at], second[at]), clusters, resamples=5, seed=seed)
        values = [value for value in (found.value, found.low, found.high) if value is not None]
        assert not np.isnan(values).any()
        assert (found.value is not None and found.low is not None) or found.undefined


@given(scores)
def test_a_partial_correlation_is_the_textbooks(pairs):
    first, control = sides(pairs)
    labels = np.sqrt(control) + first * np.arange(len(first)) % 3
    found = partial_pearson(first, labels, control)
    known = [pearson(first, labels), pearson(first, control), pearson(labels, control)]
    if found is None or None in known:
        return
    xy, xz, yz = known
    rest = (1 - xz**2) * (1 - yz**2)
    if rest > 1e-6:
        assert found == pytest.approx((xy - xz * yz) / rest**0.5, abs=1e-5)


def test_nothing_is_left_of_a_score_that_is_its_control():
    lengths = np.array([1.0, 2.0, 5.0, 9.0])
    assert partial_pearson(2 * lengths + 1, np.array([1.0, 3.0, 2.0, 5.0]), lengths) is None
    assert partial_pearson(np.ones(4), lengths, lengths) is None


def test_errors_and_accuracies_count_points_of_the_scale():
    predicted, labels = np.array([1.4, 2.5, 4.0]), np.array([1.0, 2.0, 2.0])
    assert mean_absolute_error(predicted, labels) == pytest.approx((0.4 + 0.5 + 2) / 3)
    assert accuracy(predicted, labels) == pytest.approx(1 / 3)
    assert accuracy_within_1(predicted, labels) == pytest.approx(2 / 3)
    assert mean_absolute_error(np.array([]), np.array([])) is None
    assert accuracy(np.array([]), np.array([])) is None


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_swapped_pairs_have_the_other_accuracy_and_ties_count_half(margins):
    values = np.array(margins, dtype=float)
    assert pairwise_accuracy(values) == pytest.approx(1 - pairwise_accuracy(-values))
    assert pairwise_accuracy(np.zeros(3)) == 0.5
    assert pairwise_accuracy(np.array([])) is None


def test_rows_of_one_question_count_as_one():
    draw = np.random.default_rng(0)
    labels = np.repeat(draw.normal(size=20), 10)
    predicted = labels + np.repeat(draw.normal(size=20), 10)

    def measured(clusters):
        return estimate(lambda at: pearson(predicted[at], labels[at]), clusters, resamples=300)

    by_question = measured([str(row // 10) for row in range(200)])
    by_row = measured([str(row) for row in range(200)])
    assert by_question.value == by_row.value
    assert by_question.low < by_row.low < by_row.value < by_row.high < by_question.high


def test_the_interval_of_a_difference_holds_its_share_of_the_resamples():
    values = np.random.default_rng(0).normal(size=200)
    clusters = [str(at) for at in range(200)]
    drawn = [values[np.random.default_rng(0).integers(200, size=(500, 200))[at]].mean() for at in range(500)]
    for level in (0.5, 0.95, 0.99):
        found = difference(lambda at: float(values[at].mean()), lambda at: 0.0, clusters, resamples=500, level=level)
        inside = np.mean([found.low <= one <= found.high for one in drawn])
        assert inside == pytest.approx(level, abs=0.01)


def test_one_question_has_a_value_but_no_interval():
    found = estimate(lambda at: float(len(at)), ["a", "a"])
    assert found == Estimate(2.0, undefined=found.undefined)
    assert "of one question" in found.undefined
    assert estimate(lambda at: 1.0, ["a", "b"], resamples=0).low is None


@pytest.mark.parametrize(("rows", "why"), [(1, "got 1 row; expected at least 2"), (3, "are the same")])
def test_what_is_undefined_says_why(rows, why):
    constant = np.ones(rows)
    found = estimate(lambda at: pearson(constant[at], constant[at]), ["a", "b", "c"][:rows])
    assert found.value is None
    assert why in found.undefined
    assert found.to_dict() == {"value": None, "low": None, "high": None, "undefined": found.undefined}


def test_a_judge_does_not_differ_from_itself():
    predicted, labels = np.arange(10.0), np.arange(10.0) % 4
    own = lambda at: pearson(predicted[at], labels[at])  # noqa: E731
    found = difference(own, own, [str(row) for row in range(10)], resamples=50)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert found.to_dict()["p_value"] == 1


def test_a_better_judge_differs_and_an_undefined_one_has_no_difference():
    draw = np.random.default_rng(0)
    labels = draw.normal(size=200)
    good, bad = labels + 0.3 * draw.normal(size=200), draw.normal(size=200)
    clusters = [str(row) for row in range(200)]
    found = difference(lambda at: pearson(good[at], labels[at]), lambda at: pearson(bad[at], labels[at]), clusters)
    assert found.low > 0
    assert found.p_value < 0.01
    assert difference(lambda at: None, lambda at: 1.0, clusters).value is None


def test_an_estimate_shows_itself_rounded_with_what_a_reader_should_know():
    found = Estimate(0.123456, low=-0.05, high=0.25, p_value=0.2, warning="few questions")
    assert repr(found) == "Estimate(0.123 [-0.050, 0.250], few questions)"
    assert repr(Estimate(None, undefined="no side varies")) == "Estimate(-, no side varies)"


def test_groups_of_few_questions_are_named_in_one_line():
    few, enough = Estimate(0.5, 0.1, 0.9, warning="interval from 4 questions; expected at least 10"), Estimate(0.5)
    assert warnings_of([enough], {"a": [enough]}) == []
    assert warnings_of([few, few], {"a": [few, few], "b": [enough]}) == [
        "interval from 4 questions; expected at least 10",
        "intervals of a from fewer than 10 questions",
    ]
    [told] = warnings_of([enough], {f"g{number}": [few] for number in range(10)})
    assert told == "intervals of g0, g1, g2, g3, g4, g5, g6, g7 and 2 more from fewer than 10 questions"
