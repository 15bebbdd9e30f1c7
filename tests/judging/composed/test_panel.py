from math import isnan

import pytest
from hypothesis import given, strategies as st

from prom_reward import ComparisonRequest, GradingRequest, Outcome, PanelJudge
from prom_reward.errors import ConfigError
from prom_reward.judging.checklists import grade_requests
from tests.judging.composed.named_judge import CriteriaJudge, NamedJudge, often_switching_threads


def panel(*scores, aggregate="mean"):
    judges = [NamedJudge(f"judge{at}", {"x": score, "y": 3.0}) for at, score in enumerate(scores)]
    return PanelJudge(judges, aggregate=aggregate)


def graded(judge):
    return judge.grade([GradingRequest(instruction="i", response="x", rubric="helpfulness")])[0]


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("mean", 3.0), ("median", 2.0), ("min", 2.0), ("lower_bound", 3 - 3**0.5)]
)
def test_scores_are_joined(aggregate, expected):
    judgment = graded(panel(2.0, 5.0, 2.0, aggregate=aggregate))
    assert judgment.expected_score == pytest.approx(expected)
    assert judgment.score == round(expected)
    assert judgment.judge_scores == {"judge0": 2.0, "judge1": 5.0, "judge2": 2.0}
    assert judgment.disagreement == 3
    assert judgment.given_by == "panel"
    assert judgment.feedback == "judge0: ok\njudge1: ok\njudge2: ok"
    assert (judgment.num_prompt_tokens, judgment.num_computed_tokens, judgment.num_generated_tokens) == (30, 30, 3)


@given(st.lists(st.floats(1, 5), min_size=2, max_size=5), st.sampled_from(["mean", "median", "min", "lower_bound"]))
def test_no_aggregate_leaves_the_scale_or_passes_the_best_judge(scores, aggregate):
    expected = graded(panel(*scores, aggregate=aggregate)).expected_score
    assert 1 <= expected <= max(scores) + 1e-9
    assert graded(panel(*[scores[0]] * 3, aggregate=aggregate)).expected_score == pytest.approx(scores[0])


def test_distributions_are_mixed_if_all_judges_give_them():
    mixed = graded(panel({1: 1.0, 5: 0.0}, {1: 0.0, 5: 1.0}))
    assert mixed.score_probs == {1: 0.5, 5: 0.5}
    assert mixed.entropy == pytest.approx(0.693, abs=1e-3)
    assert mixed.expected_score == 3
    assert graded(panel({1: 1.0, 5: 0.0}, 5.0)).score_probs is None


def test_one_judge_without_a_score_leaves_the_response_unscored():
    judgment = graded(panel(4.0, None))
    assert (judgment.outcome, judgment.expected_score, judgment.score) == (Outcome.NO_RESULT, None, None)
    assert judgment.error == "judge1: judge1 is silent"
    assert judgment.judge_scores == {"judge0": 4.0, "judge1": None}
    assert judgment.disagreement is None


def test_comparisons_are_joined():
    request = ComparisonRequest(instruction="i", response_a="x", response_b="y", rubric="helpfulness")
    probs = {}
    for aggregate in ("mean", "median", "min"):
        judge = panel(1.0, 5.0, 5.0, aggregate=aggregate)
        forward, backward = judge.compare([request, request.swapped()])
        assert forward.prob_a == pytest.approx(1 - backward.prob_a)
        probs[aggregate] = forward.prob_a
    assert probs == pytest.approx({"mean": 0.5 + 1 / 12, "median": 0.75, "min": 0.5 + 1 / 12})
    assert (forward.winner, backward.winner, forward.given_by) == ("A", "B", "panel")
    assert panel(3.0, 3.0).compare([request])[0].winner == "tie"
    [failed] = panel(4.0, None).compare([request])
    assert (failed.outcome, failed.prob_a, failed.error) == (Outcome.NO_RESULT, None, "judge1: no_result")


def test_metrics_have_the_mean_disagreement():
    judge = panel(2.0, 4.0)
    assert isnan(judge.take_metrics()["disagreement"])
    request = {"instruction": "i", "rubric": "helpfulness"}
    judge.grade([{**request, "response": "x"}, {**request, "response": "y"}])
    assert judge.take_metrics() == {"judge0/calls": 1, "judge1/calls": 1, "disagreement": 1.0}


def test_several_threads_lose_no_counts():
    judge = panel(2.0, 4.0)
    with often_switching_threads() as pool:
        list(pool.map(lambda _: graded(judge), range(1000)))
    assert judge.take_metrics()["disagreement"] == 2


def test_a_seeded_copy_counts_with_the_original():
    judge = panel(2.0, 4.0)
    graded(judge.seeded(3))
    assert judge.take_metrics()["disagreement"] == 2
    assert isnan(judge.seeded(3).take_metrics()["disagreement"])


def test_a_panel_is_a_judge():
    judge = PanelJudge([NamedJudge("strong", {}), NamedJudge("other", {})], aggregate="min")
    assert judge.fingerprint == "panel:min|strong:{}|other:{}"
    assert judge.identity == judge.fingerprint
    assert judge.machine == {"strong": {"threads": 2}}
    assert (judge.ranks, judge.guard, judge.taught_to_rank) == (True, True, True)
    judge.load()
    assert all(one.is_loaded for one in judge.judges)
    assert [one.seed for one in judge.seeded(3).judges] == [3, 3]
    assert "min" in repr(judge)


@pytest.mark.parametrize("judges", ["ab", [], [NamedJudge("one", {})], [NamedJudge("one", {}), "two"]])
def test_what_is_no_panel_is_refused(judges):
    with pytest.raises(ConfigError, match="two or more judges"):
        PanelJudge(judges)


def test_names_and_aggregates_are_checked():
    judges = [NamedJudge("one", {}), NamedJudge("one", {})]
    with pytest.raises(ConfigError, match="named one, one"):
        PanelJudge(judges)
    with pytest.raises(ConfigError, match="Did you mean 'median'"):
        PanelJudge([judges[0], NamedJudge("two", {})], aggregate="medain")


@pytest.mark.parametrize(("aggregate", "expected"), [("mean", 0.5), ("median", 0.75), ("min", 0.0)])
def test_the_whole_scores_of_a_checklist_are_joined(aggregate, expected):
    """The second judge sees the pitfall: the least score is pessimistic, the least value of a pitfall would not be."""
    criteria = [
        {"text": "It is true.", "name": "true", "weight": 1},
        {"text": "It is rude.", "name": "rude", "weight": -1},
    ]
    judges = [CriteriaJudge("a", {"true": 1.0, "rude": 0.25}), CriteriaJudge("b", {"true": 0.5, "rude": 1.0})]
    judge = PanelJudge([*judges, CriteriaJudge("c", {"true": 1.0, "rude": 0.25})], aggregate=aggregate)
    [found] = grade_requests(judge, [GradingRequest(instruction="i", response="x", rubric=criteria)])
    assert found.expected_score == pytest.approx(expected)
    assert (found.score, found.judge_scores) == (None, {"a": 0.75, "b": 0.0, "c": 0.75})
    assert {part.name: part.value for part in found.parts} == pytest.approx({"true": 2.5 / 3, "rude": 0.5})


def test_a_criterion_that_one_judge_cannot_tell_has_no_mean():
    criteria = [{"text": "It is true.", "name": "true"}, {"text": "It is brief.", "name": "brief"}]
    judges = [CriteriaJudge("a", {"true": 1.0, "brief": None}), CriteriaJudge("b", {"true": 0.5, "brief": 0.5})]
    [found] = grade_requests(PanelJudge(judges), [GradingRequest(instruction="i", response="x", rubric=criteria)])
    assert {part.name: part.value for part in found.parts} == {"true": 0.75, "brief": None}
    assert found.parts[1].error == "no_result"
