import logging
import pickle  # noqa: TID251  judges must travel between processes

import pytest
from hypothesis import given, strategies as st

from prom_reward import (
    CascadeJudge,
    Comparison,
    ComparisonRequest,
    GradingRequest,
    Outcome,
    PrometheusJudge,
    ScriptedEngine,
)
from prom_reward.errors import ConfigError, ServerGoneError
from prom_reward.judging.checklists import grade_requests
from prom_reward.judging.composed.escalation import leader, whole_groups
from prom_reward.judging.flags import FlagPolicy
from tests.judging.composed.named_judge import CriteriaJudge, NamedJudge

LEFT = "the strong judge 'strong' failed; the cheap answer stands"
CHEAP = {"a1": 3.0, "a2": 3.1, "b1": 1.0, "b2": 5.0, "c1": 2.0, "c2": 2.5, "d": 3.0}
STRONG = {"a1": 4.0, "a2": 2.0, "b1": 2.0, "b2": 4.0, "c1": 1.0, "c2": 3.0, "d": 5.0}


def requests(*responses):
    """Return requests; the first letter of a response is its instruction."""
    return [GradingRequest(instruction=one[0], response=one, rubric="helpfulness") for one in responses]


def cascade(cheap=CHEAP, strong=STRONG, *, error=None, **options):
    return CascadeJudge(NamedJudge("cheap", cheap), NamedJudge("strong", strong, error), **options)


def test_calls_split_no_group():
    assert whole_groups(requests("a1", "b1", "a2", "b2", "c1"), 4) == [[0, 2, 1, 3], [4]]
    assert whole_groups(requests("a1", "b1", "a2", "a3"), 2) == [[0, 2, 3], [1]]
    pair = ComparisonRequest(instruction="i", response_a="x", response_b="y", rubric="helpfulness")
    assert whole_groups([pair, *requests("a1"), pair.swapped()], 2) == [[0, 2], [1]]
    assert whole_groups([], 2) == []
    assert cascade().judges_groups
    assert not NamedJudge("one", {}).judges_groups


def scores(judgments):
    return [one.expected_score for one in judgments]


ALL = ("a1", "b1", "c1", "a2", "b2", "c2")


def test_the_group_with_the_closest_two_best_goes_to_the_strong_judge_as_a_whole():
    judge = cascade(budget=0.34)
    found = judge.grade(requests(*ALL))
    assert judge.strong.asked == [["a1", "a2"]]
    assert scores(found) == [4.0, 1.0, 2.0, 2.0, 5.0, 2.5]
    assert [one.given_by for one in found] == ["strong", "cheap", "cheap"] * 2
    assert found[0].judge_scores == {"cheap": 3.0, "strong": 4.0}
    assert found[1].judge_scores == {"cheap": 1.0}
    assert (found[0].num_computed_tokens, found[0].num_generated_tokens, found[1].num_computed_tokens) == (20, 2, 10)


def test_more_budget_takes_more_groups_in_the_order_of_their_margins():
    judge = cascade(budget=0.7)
    judge.grade(requests(*ALL))
    assert judge.strong.asked == [["a1", "a2", "c1", "c2"]]


def test_a_budget_of_nothing_asks_nothing_and_one_of_everything_asks_everything():
    for budget, source in ((0, CHEAP), (0.0, CHEAP), (1, STRONG), (1.0, STRONG)):
        judge = cascade(budget=budget)
        found = judge.grade(requests(*ALL, "d"))
        assert scores(found) == [source[one] for one in (*ALL, "d")]
        assert len(judge.strong.asked) == int(budget)


def test_a_limit_of_calls():
    judge = cascade(budget=1, max_calls=3)
    judge.grade(requests(*ALL))
    assert judge.strong.asked == [["a1", "a2"]]
    none = cascade(budget=1, max_calls=0)
    assert scores(none.grade(requests(*ALL))) == [CHEAP[one] for one in ALL]


def test_a_response_by_itself_has_no_order(caplog):
    judge = cascade(budget=0.9)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert scores(judge.grade(requests("d", "a1"))) == [3.0, 3.0]
    assert [record.message for record in caplog.records] == [
        "nothing goes to the strong judge: no group has two responses in a call of 2 requests"
    ]


def test_a_budget_that_no_group_fits_is_named(caplog):
    assert scores(cascade(budget=0.3).grade(requests("a1", "a2"))) == [3.0, 3.1]
    assert "the budget is smaller than each group" in caplog.text


def test_groups_that_the_cheap_judge_cannot_score_go_first():
    judge = cascade({**CHEAP, "b1": None}, budget=0.34)
    found = judge.grade(requests(*ALL))
    assert judge.strong.asked == [["b1", "b2"]]
    assert [one.is_scored for one in found] == [True] * 6


def test_an_unscored_response_by_itself_goes_after_all_groups():
    cheap = {**CHEAP, "d": None, "e": None, "f": 3.0}
    some = cascade(cheap, {**STRONG, "e": 1.0}, budget=0.5)
    some.grade(requests("d", "e", "f", *ALL))  # of 9 requests the strong judge gets 4
    assert some.strong.asked == [["a1", "a2", "c1", "c2"]]
    more = cascade(cheap, {**STRONG, "e": 1.0}, budget=0.99)
    found = more.grade(requests("d", "e", "f", *ALL))
    assert more.strong.asked == [["a1", "a2", "c1", "c2", "b1", "b2", "d", "e"]]
    assert (scores(found)[:3], found[2].given_by) == ([5.0, 1.0, 3.0], "cheap")


def test_entropy_takes_an_unscored_response_by_itself_first():
    judge = cascade({**CHEAP, "d": None}, by="entropy", budget=0.15)
    judge.grade(requests("d", *ALL))
    assert judge.strong.asked == [["d"]]


def test_entropy_takes_the_groups_of_unsure_answers():
    sure, unsure = {1: 0.0, 5: 1.0}, {1: 0.5, 5: 0.5}
    judge = cascade({"a1": sure, "a2": sure, "b1": sure, "b2": unsure, "d": sure}, by="entropy", budget=0.4)
    judge.grade(requests("a1", "a2", "b1", "b2", "d"))
    assert judge.strong.asked == [["b1", "b2"]]


@given(st.permutations(ALL))
def test_a_random_choice_depends_on_the_texts_alone(order):
    chosen = []
    for responses in (ALL, order):
        judge = cascade(by="random", budget=0.34)
        judge.grade(requests(*responses))
        chosen.append(sorted(judge.strong.asked[0]))
    assert chosen[0] == chosen[1]


@given(st.permutations(ALL), st.floats(0, 1))
def test_no_group_mixes_two_judges_and_the_budget_holds(order, budget):
    judge = cascade(budget=budget)
    found = dict(zip(order, judge.grade(requests(*order)), strict=True))
    assert all(found[f"{name}1"].given_by == found[f"{name}2"].given_by for name in "abc")
    assert sum(map(len, judge.strong.asked)) <= budget * len(order) + 1e-6  # .3 * 10 is a little less than 3


def test_a_strong_judge_that_is_down_leaves_the_cheap_scores_and_warns_once(caplog):
    judge = cascade(budget=1, error=ServerGoneError("no answer for 60 s"))
    for _ in range(4):
        found = judge.grade(requests(*ALL))
        assert scores(found) == [CHEAP[one] for one in ALL]
        assert {(one.given_by, one.error) for one in found} == {("cheap", LEFT)}
    assert [record.message for record in caplog.records] == [
        "the strong judge 'strong' failed (no answer for 60 s); the cheap answers stand"
    ]
    assert len(judge.strong.asked) == 2  # it rests after a failure
    metrics = judge.take_metrics()
    assert (metrics["escalated"], metrics["escalation_failed"]) == (0, 24)
    judge.strong.error = None
    for _ in range(4):
        found = judge.grade(requests(*ALL))
    assert {one.given_by for one in found} == {"strong"}


def test_a_wrong_setting_of_the_strong_judge_is_no_outage():
    with pytest.raises(ConfigError):
        cascade(budget=1, error=ConfigError("no such model")).grade(requests(*ALL))


def test_a_group_keeps_the_cheap_scores_if_the_strong_judge_loses_one():
    judge = cascade(strong={**STRONG, "a2": None}, budget=1)
    found = judge.grade(requests("a1", "a2", "c1", "c2"))
    assert scores(found) == [3.0, 3.1, 1.0, 3.0]
    assert [one.error for one in found] == [LEFT, LEFT, None, None]
    assert judge.take_metrics()["escalation_failed"] == 2


def test_a_response_that_the_strong_judge_flags_is_not_scored_by_the_cheap_one():
    strong = PrometheusJudge(ScriptedEngine(["x [RESULT] 4"]), flags=FlagPolicy("unscored", ("empty",)), name="strong")
    judge = CascadeJudge(NamedJudge("cheap", {"": 5.0, "a1": 3.0}), strong, budget=1)
    asked = [GradingRequest(instruction="a", response=one, rubric="helpfulness") for one in ("", "a1")]
    found = judge.grade(asked)
    assert [one.outcome for one in found] == [Outcome.FLAGGED, Outcome.SCORED]
    assert [one.given_by for one in found] == ["strong"] * 2
    assert judge.take_metrics()["escalation_failed"] == 0


def test_metrics_have_the_same_names_in_every_call():
    judge = cascade(budget=0.34)
    quiet = judge.take_metrics()
    judge.grade(requests(*ALL))
    metrics = judge.take_metrics()
    assert set(quiet) == set(metrics) >= {"calls", "strong_calls", "strong_seconds"}
    assert (metrics["escalated"], metrics["best_changed"], metrics["escalation_failed"]) == (2, 1, 0)
    assert judge.take_metrics()["escalated"] == 0


def test_a_seeded_copy_counts_with_the_original_and_rests_with_it():
    judge = cascade(budget=1)
    judge.grade(requests(*ALL))
    seeded = judge.seeded(7)
    seeded.grade(requests(*ALL))
    assert judge.take_metrics()["escalated"] == 12
    assert seeded.take_metrics()["escalated"] == 0
    down = cascade(budget=1, error=ServerGoneError("gone"))
    down.grade(requests(*ALL))
    copied = down.seeded(7)
    copied.grade(requests(*ALL))
    assert copied.strong.asked == []
    copied.grade(requests(*ALL))
    assert len(copied.strong.asked) == 1


def test_a_pickled_cascade_begins_anew():
    judge = cascade(budget=1, error=ServerGoneError("gone"))
    judge.grade(requests(*ALL))
    other = pickle.loads(pickle.dumps(judge))
    assert other.take_metrics()["escalation_failed"] == 0
    other.grade(requests(*ALL))
    assert len(other.strong.asked) == 2


def test_a_comparison_without_a_verdict_favors_neither_side():
    pair = ComparisonRequest(instruction="i", response_a="a1", response_b="a2", rubric="helpfulness")
    unscored = Comparison(outcome=Outcome.NO_RESULT)
    second_wins = Comparison(outcome=Outcome.SCORED, prob_a=0.4)
    assert leader([pair.swapped(), pair], [unscored, second_wins]) == 1


def test_both_orders_of_a_pair_go_to_one_judge():
    judge = cascade(budget=0.5)
    close = ComparisonRequest(instruction="i", response_a="a1", response_b="a2", rubric="helpfulness")
    far = ComparisonRequest(instruction="i", response_a="b1", response_b="b2", rubric="helpfulness")
    found = judge.compare([close, far, far.swapped(), close.swapped()])
    assert judge.strong.asked == [[("a1", "a2"), ("a2", "a1")]]
    assert [one.prob_a for one in found] == [0.75, 0.0, 1.0, 0.25]
    assert [one.given_by for one in found] == ["strong", "cheap", "cheap", "strong"]
    assert found[0].judge_scores == {"cheap": pytest.approx(0.4875), "strong": 0.75}
    assert judge.take_metrics()["best_changed"] == 1
    assert found[0].num_generated_tokens == 2


def test_the_criteria_of_a_checklist_go_to_one_judge():
    """Criterion by criterion the budget would take "true" of a and "brief" of b."""
    undecided, clear, close = (0.5, 0.5), (0.1, 0.9), (0.4, 0.6)
    met = {"true": {**by_response("a", undecided), **by_response("b", clear)}}
    met["brief"] = {**by_response("a", close), **by_response("b", undecided)}
    judge = CascadeJudge(CriteriaJudge("cheap", met), CriteriaJudge("strong", {"true": 1.0, "brief": 0.0}), budget=0.5)
    criteria = [{"text": "It is true.", "name": "true"}, {"text": "It is brief.", "name": "brief"}]
    asked = [GradingRequest(instruction=one[0], response=one, rubric=criteria) for one in ("a1", "b1", "a2", "b2")]
    found = grade_requests(judge, asked)
    assert [one.given_by for one in found] == ["strong", "cheap"] * 2
    assert [[part.value for part in one.parts] for one in found[:2]] == [[1.0, 0.0], [0.1, 0.5]]
    assert found[0].judge_scores == pytest.approx({"cheap": 0.45, "strong": 0.5})
    assert judge.take_metrics()["escalated"] == 2


def by_response(instruction, values):
    return {f"{instruction}{at}": value for at, value in enumerate(values, start=1)}


def test_an_empty_call():
    assert cascade().grade([]) == []


def test_a_cascade_is_a_judge():
    judge = cascade(budget=0.2)
    assert "cheap:" in judge.fingerprint
    assert "strong:" in judge.identity
    assert "0.2" in judge.fingerprint
    assert judge.machine == {"strong": {"threads": 2}}
    assert judge.ranks
    assert judge.guard
    judge.load()
    assert (judge.cheap.is_loaded, judge.strong.is_loaded) == (True, True)
    seeded = judge.seeded(7)
    assert (seeded.cheap.seed, seeded.strong.seed, judge.cheap.seed) == (7, 7, None)
    assert "budget=0.2" in repr(judge)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"budget": 1.5}, "from 0 to 1"),
        ({"budget": -0.1}, "from 0 to 1"),
        ({"budget": float("nan")}, "from 0 to 1"),
        ({"budget": True}, "from 0 to 1"),
        ({"max_calls": -1}, "whole number"),
        ({"max_calls": 2.5}, "whole number"),
        ({"by": "margin"}, "Did you mean 'group_margin'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        cascade(**options)


def test_judges_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ConfigError, match="two judges named 'one'"):
        CascadeJudge(NamedJudge("one", {}), NamedJudge("one", {}))
    with pytest.raises(ConfigError, match="load_judge"):
        CascadeJudge("smollm2-135m", NamedJudge("one", {}))
