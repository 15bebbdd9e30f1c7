import pytest
from hypothesis import given, strategies as st

from prom_reward.data.labels.labeled_rows import LabeledFile
from prom_reward.errors import InputError
from prom_reward.evaluation.evaluate import labeled_input
from prom_reward.evaluation.groups.labeled_groups import labeled_groups, measure_order


def rows(*answers):
    """Return rows of (prompt, answer, score)."""
    return labeled_input(
        [{"instruction": p, "response": a, "score": s, "rubric": "helpfulness"} for p, a, s in answers]
    )


def test_the_answers_to_a_prompt_are_a_group():
    [group] = labeled_groups(rows(("p", "a", 1), ("q", "b", 2), ("p", "c", 4), ("p", "a", 5)))
    assert [one.response for one in group.requests] == ["a", "c"]
    assert (list(group.labels), group.cluster) == ([3, 4], "p")  # of two rows with one answer the mean


def test_a_prompt_with_many_answers_gives_several_groups():
    labeled = rows(*[("p", str(at), 1 + at % 5) for at in range(8)], ("p", "8", 3))
    assert [len(group.labels) for group in labeled_groups(labeled, 4)] == [4, 4]
    assert [len(group.labels) for group in labeled_groups(labeled)] == [9]


def test_a_preference_pair_is_a_group():
    labeled = labeled_input([{"prompt": "p", "chosen": "good", "rejected": "bad"}], rubric="helpfulness")
    [group] = labeled_groups(labeled)
    assert dict(zip([one.response for one in group.requests], group.labels, strict=True)) == {"good": 1, "bad": 0}


def test_an_answer_of_several_pairs_is_labeled_by_the_share_that_prefer_it():
    pairs = [{"prompt": "p", "chosen": one, "rejected": other} for one, other in (("b", "c"), ("a", "b"), ("a", "c"))]
    [group] = labeled_groups(labeled_input(pairs, rubric="helpfulness"))
    assert dict(zip([one.response for one in group.requests], group.labels, strict=True)) == {"b": 0.5, "c": 0, "a": 1}


@pytest.mark.parametrize("answers", [[("p", "a", 1), ("q", "b", 2)], [("p", "a", 3), ("p", "b", 3)]])
def test_rows_without_an_order_are_refused(answers):
    with pytest.raises(InputError, match="several answers"):
        labeled_groups(rows(*answers))
    assert isinstance(rows(*answers), LabeledFile)


def test_the_measures_of_an_order():
    order = measure_order([1.0, 3.0, 3.0, None], [1, 2, 3, 5])
    assert (order.best, order.ties) == (0.5, pytest.approx(1 / 3))
    assert order.pairs == pytest.approx(2.5 / 3)
    assert order.tau == pytest.approx(2 / 6**0.5)
    constant = measure_order([2, 2], [1, 4])
    assert (constant.tau, constant.best, constant.pairs, constant.ties) == (0, 0.5, 0.5, 1)
    assert measure_order([1, None], [1, 4]) is None
    assert measure_order([1, 2], [3, 3]) is None


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(1, 5)), min_size=2, max_size=8))
def test_the_opposite_scores_have_the_opposite_order(members):
    scores, labels = zip(*members, strict=True)
    order, opposite = measure_order(scores, labels), measure_order([-one for one in scores], labels)
    if order is not None:
        assert opposite.tau == pytest.approx(-order.tau)
        assert opposite.pairs == pytest.approx(1 - order.pairs)
        assert opposite.ties == order.ties
