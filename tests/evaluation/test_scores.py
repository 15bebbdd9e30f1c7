import re

import pytest

from prom_reward.data.labels.labeled_rows import LabeledPair, LabeledRequest
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.evaluation.pairs import ScoredPair, compare_judges_on_pairs, evaluate_pairs
from prom_reward.evaluation.scores import ScoredRow, compare_judges, evaluate_scores, grade_all, word_overlap
from prom_reward.judging.judge import PrometheusJudge


def judged(requests, *replies):
    return grade_all(PrometheusJudge(ScriptedEngine(replies)), requests)


@pytest.fixture
def rows_of(request_of):
    """Makes scored rows from (label, judge's reply) pairs, two rows a question."""

    def make(*pairs, reference_answer="Paris.", groups=("",)):
        rows = []
        for at, (label, reply) in enumerate(pairs):
            request = request_of("word " * (at + 1), instruction=f"Question {at}", reference_answer=reference_answer)
            labeled = LabeledRequest(
                request=request, scores=(label,), cluster=str(at // 2), group=groups[at % len(groups)]
            )
            [judgment] = judged([request], reply)
            rows.append(ScoredRow(labeled=labeled, judgment=judgment))
        return rows

    return make


GOOD = [(1, "x [RESULT] 1"), (2, "x [RESULT] 3"), (3, "x [RESULT] 3"), (4, "x [RESULT] 4"), (5, "x [RESULT] 4")]


def test_a_judge_is_measured_beside_its_baselines(rows_of):
    found = evaluate_scores(rows_of(*GOOD, (5, "no verdict")), resamples=50)
    assert (found.num_rows, found.unscored) == (5, {"no_result": 1})
    assert set(found.measures) == {"pearson", "spearman", "kendall", "mae", "accuracy", "accuracy_within_1"}
    assert found.measures["pearson"]["integer"].value == pytest.approx(0.9037, abs=1e-3)
    assert found.measures["mae"]["integer"].value == pytest.approx(2 / 5)
    assert found.measures["accuracy"]["integer"].value == pytest.approx(3 / 5)
    assert found.measures["spearman"]["length"].value == pytest.approx(1)
    assert found.measures["mae"]["constant"].value == pytest.approx(6 / 5)
    assert set(found.measures["pearson"]) == {"expected", "integer", "length", "overlap"}
    assert set(found.measures["mae"]) == {"expected", "integer", "constant"}


def test_the_best_constant_is_another_one_for_each_measure(rows_of):
    labels = [1] * 20 + [3] * 10 + [5] * 10  # their median, 2, is right nowhere
    found = evaluate_scores(rows_of(*((label, "x [RESULT] 3") for label in labels)), resamples=0).measures
    assert found["accuracy"]["constant"].value == 0.5
    assert found["accuracy_within_1"]["constant"].value == 0.75  # by 2
    assert found["mae"]["constant"].value == pytest.approx((20 * 1 + 10 * 1 + 10 * 3) / 40)


def test_word_overlap_is_no_baseline_where_a_reference_is_missing(rows_of):
    assert "overlap" not in evaluate_scores(rows_of(*GOOD, reference_answer=None), resamples=0).measures["pearson"]


def test_a_constant_judge_is_undefined_and_not_nan(rows_of):
    found = evaluate_scores(rows_of(*((label, "x [RESULT] 3") for label, _ in GOOD)), resamples=20).to_dict()
    assert found["pearson"]["integer"]["value"] is None
    assert "are the same" in found["pearson"]["integer"]["undefined"]
    assert found["mae"]["integer"]["value"] == pytest.approx(6 / 5)


@pytest.mark.parametrize("pairs", [[], [(3, "x [RESULT] 3")], [(3, "nothing")]])
def test_hardly_any_rows_are_undefined_too(rows_of, pairs):
    found = evaluate_scores(rows_of(*pairs), resamples=20).to_dict()
    assert found["pearson"]["expected"]["value"] is None
    assert "expected at least 2" in found["pearson"]["expected"]["undefined"]


def test_groups_are_measured_by_themselves(rows_of):
    found = evaluate_scores(rows_of(*GOOD, (1, "x [RESULT] 1"), groups=("a", "b")), resamples=0)
    assert {name: one.num_rows for name, one in found.groups.items()} == {"a": 3, "b": 3}
    assert set(found.to_dict()["groups"]["a"]) >= {"n", "pearson", "mae"}


def test_two_judges_are_compared_on_the_rows_that_both_scored(rows_of):
    worse = [(label, "x [RESULT] 5" if label == 1 else reply) for label, reply in GOOD[:-1]] + [(5, "nothing")]
    found = compare_judges(rows_of(*GOOD), rows_of(*worse), resamples=20)
    assert found["mae"].value < -0.5
    assert compare_judges(rows_of(*GOOD), rows_of(*GOOD), resamples=20)["pearson"].value == 0


def test_judgments_come_back_in_order_and_progress_counts_them(request_of):
    requests = [request_of(str(at), instruction=f"Question {9 - at}") for at in range(10)]
    done = []
    engine = ScriptedEngine(lambda prompt: f"x [RESULT] {1 + int(re.search(r'Question (.)', prompt.user)[1]) % 5}")
    judgments = grade_all(PrometheusJudge(engine), requests, batch_size=4, on_batch=done.append)
    assert [judgment.score for judgment in judgments] == [1 + (9 - at) % 5 for at in range(10)]
    assert done == [4, 4, 2]


def test_word_overlap_is_the_f1_of_words():
    assert word_overlap("The cat sat.", "the CAT") == pytest.approx(0.8)
    assert word_overlap("", "") == 0
    assert word_overlap("a", "b") == 0


@pytest.fixture
def pairs_of(request_of):
    """Makes scored pairs from the replies on the chosen and the rejected response."""

    def make(*replies, groups=("",)):
        pairs = []
        for at, (chosen, rejected) in enumerate(replies):
            sides = [request_of("long answer"), request_of("short")]
            labeled = LabeledPair(chosen=sides[0], rejected=sides[1], cluster=str(at), group=groups[at % len(groups)])
            first, second = judged(sides, chosen, rejected)
            pairs.append(ScoredPair(labeled=labeled, chosen=first, rejected=second))
        return pairs

    return make


PAIRS = [("x [RESULT] 5", "x [RESULT] 1"), ("x [RESULT] 2", "x [RESULT] 2"), ("x [RESULT] 1", "x [RESULT] 4")]


def test_pairs_count_right_orders_and_ties_as_half(pairs_of):
    found = evaluate_pairs(pairs_of(*PAIRS, ("nothing", "x [RESULT] 1"), groups=("a", "b")), resamples=20)
    assert (found.num_pairs, found.num_unscored) == (3, 1)
    assert found.accuracy["integer"].value == pytest.approx(0.5)
    assert found.accuracy["length"].value == 1
    shown = found.to_dict()
    assert (shown["n"], shown["groups"]["b"]["n"]) == (3, 1)
    assert "groups" not in shown["groups"]["b"]


def test_two_judges_are_compared_on_the_same_pairs(pairs_of):
    perfect = pairs_of(*[PAIRS[0]] * 3)
    assert compare_judges_on_pairs(perfect, pairs_of(*PAIRS), resamples=20)["pairwise_accuracy"].value == 0.5
