import pytest
from hypothesis import given, strategies as st

from prom_reward.data.labels.row_labels import OffScaleError, cluster_of, label_of, on_scale, scores_of, soft_labels
from prom_reward.errors import RowError
from prom_reward.types import ScoreScale


@given(st.lists(st.floats(1, 5), min_size=1, max_size=5))
def test_soft_labels_are_a_distribution_with_the_scores_mean(scores):
    probs = soft_labels(tuple(scores), ScoreScale())
    assert sum(probs.values()) == pytest.approx(1)
    assert min(probs.values()) >= 0
    assert sum(label * prob for label, prob in probs.items()) == pytest.approx(sum(scores) / len(scores))


@pytest.mark.parametrize(("label", "scores"), [(4, (4.0,)), ("3", (3.0,)), ([2, 4.5], (2.0, 4.5))])
def test_scores_are_numbers(label, scores):
    assert scores_of(label) == scores


@pytest.mark.parametrize("label", [True, "good", [], [4, None], [4, True], float("nan"), float("inf"), {"a": 1}])
def test_what_is_no_score_is_refused(label):
    with pytest.raises(RowError, match="as the score; expected a number"):
        scores_of(label)


def test_a_missing_score_is_not_read():
    assert label_of({"human_score": float("nan"), "score": 2}, None)[0] == 2
    with pytest.raises(RowError, match="no score; got the columns score"):
        label_of({"score": None}, None)
    with pytest.raises(RowError, match="--score-column"):
        label_of({"rating": 4}, None)


def test_a_named_column_without_a_value_is_not_replaced_by_a_verdict_in_the_output():
    values = {"human": None, "output": "Feedback: Good. [RESULT] 4"}
    assert label_of(values, None) == ("4", "Good.", 1)
    with pytest.raises(RowError, match=r"expected one of human$"):
        label_of(values, "human")


def test_labels_of_another_scale_are_mapped_linearly():
    assert on_scale((1.0, 10.0, 5.5), ScoreScale(1, 5), ScoreScale(1, 10)) == (1.0, 5.0, 3.0)
    with pytest.raises(OffScaleError, match="got the score 10; expected 1 to 5"):
        on_scale((10.0,), ScoreScale(1, 5), None)


def test_rows_of_a_question_belong_together():
    assert cluster_of({"question_id": 7}) == cluster_of({"q": 7}, "q") == "7"
    assert not cluster_of({"prompt": "Q"})


@pytest.mark.parametrize("feedback", [float("nan"), None, "", [], [None, "x"], [float("nan")]])
def test_missing_feedback_is_no_text(feedback):
    assert label_of({"score": 4, "feedback": feedback}, None)[:2] == (4, "")
