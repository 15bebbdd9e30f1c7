import pytest
from hypothesis import given, settings, strategies as st

from prom_reward import PrometheusJudge, Rubric, ScriptedEngine
from prom_reward.errors import ConfigError, RowError, RubricError, WorkError
from prom_reward.rewards.groups.ranking import rank_groups, rank_responses
from prom_reward.rewards.groups.rule import GroupRule
from prom_reward.rewards.groups.topologies import TOPOLOGIES
from prom_reward.types import GradingRequest
from tests.rewards.groups.quality_judge import QualityJudge

HELPFUL = Rubric.parse("helpfulness")


def rank(judge, *qualities, **options):
    responses = [f"answer {one}" for one in qualities]
    given = {"instruction": "Ask.", "rubric": "helpfulness", "reference_answer": "best 5", **options}
    rule = GroupRule(**given.pop("rule", {}))
    return rank_responses(judge, responses=responses, rule=rule, **given)


def values(ranking):
    return [None if one is None else one.value for one in ranking.scores]


@pytest.mark.parametrize("method", ["bradley_terry", "win_rate"])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_better_responses_rank_higher_under_every_topology(topology, method):
    found = values(rank(QualityJudge(bias=1.5), 1, 4, 2.5, 3, rule={"topology": topology, "method": method}))
    assert found[1] == max(found)
    assert found[0] == min(found)
    assert sum(found) == pytest.approx(0, abs=1e-6)


def test_every_pair_is_judged_in_both_orders_in_one_call():
    judge = QualityJudge(bias=3)
    ranking = rank(judge, 1, 2, 3, rule={"topology": "round_robin"})
    [asked] = judge.compared
    shown = {(one.response_a, one.response_b) for one in asked}
    assert len(asked) == len(shown) == 6
    assert {(b, a) for a, b in shown} == shown
    assert all(one.reference_answer == "best 5" for one in asked)
    assert [(pair.first, pair.second) for pair in ranking.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert all(pair.prob_first < 0.5 for pair in ranking.pairs)
    assert [pair.follows_order for pair in ranking.pairs] == [True, True, True]


def test_groups_share_their_calls():
    judge = QualityJudge()
    groups = [
        [GradingRequest(instruction=name, response=f"{name} {at}", rubric=HELPFUL) for at in range(1, size)]
        for name, size in (("one", 5), ("two", 3), ("three", 2))
    ]
    found = rank_groups(judge, groups, GroupRule(topology="elimination"))
    assert [len(one) for one in judge.graded] == [7]
    assert [len(one) for one in judge.compared] == [6, 2]  # both orders of 2 + 1 pairs, then of 1
    assert [len(one.scores) for one in found] == [4, 2, 1]


def test_a_group_of_one():
    judge = QualityJudge()
    for method in ("bradley_terry", "win_rate"):
        assert values(rank(judge, 3, rule={"method": method})) == [0.0]
    assert judge.compared == []
    failing = QualityJudge(fails=lambda _: True)
    assert values(rank(failing, 3)) == [None]


def test_equal_responses_are_one_member():
    judge = QualityJudge()
    ranking = rank(judge, 2, 4, 2, rule={"topology": "round_robin"})
    first, best, again = values(ranking)
    assert first == again < best
    assert first + best + again == pytest.approx(0, abs=1e-9)
    assert (len(judge.graded[0]), len(judge.compared[0])) == (2, 2)
    assert values(rank(judge, 2, 2, 2)) == [0, 0, 0]


def test_a_failed_order_makes_the_comparison_missing():
    judge = QualityJudge(fails=lambda request: getattr(request, "response_a", "").endswith(" 3"))
    ranking = rank(judge, 1, 3, 2, rule={"topology": "round_robin"})
    assert [pair.prob_first is None for pair in ranking.pairs] == [True, False, True]
    assert values(ranking)[1] == max(values(ranking))  # by its grade
    without = rank(judge, 1, 3, 2, rule={"topology": "round_robin", "prior_weight": 0})
    assert [one is None for one in values(without)] == [False, True, False]


@pytest.mark.parametrize("rule", [{}, {"method": "win_rate"}, {"topology": "anchor", "scale": "anchor"}])
def test_all_failed_is_none(rule):
    assert values(rank(QualityJudge(fails=lambda _: True), 1, 2, 3, rule=rule)) == [None] * 3


def test_failed_comparisons_leave_the_grades():
    judge = QualityJudge(fails=lambda request: hasattr(request, "response_a"))
    assert values(rank(judge, 1, 2, 3)) == sorted(values(rank(judge, 1, 2, 3)))
    assert values(rank(judge, 1, 2, 3, rule={"method": "win_rate"})) == [None] * 3


def test_the_anchor_is_the_reference_or_a_baseline():
    judge = QualityJudge()
    rule = {"topology": "anchor", "scale": "anchor"}
    low, high = rank(judge, 3, 6, rule=rule).scores
    assert low.value < 0.5 < high.value
    assert all(0 < one.standard_error < 1 for one in (low, high))
    assert all(one.reference_answer is None for one in judge.compared[0])  # no reference for itself
    assert {pair.second for pair in rank(judge, 3, 4, rule=rule).pairs} == {2}
    rates = rank(judge, 3, 6, rule={**rule, "method": "win_rate"}, baseline="base 4")
    assert [one.value < 0.5 for one in rates.scores] == [True, False]
    assert judge.compared[-1][0].reference_answer == "best 5"
    assert rank(judge, 3, 5, rule=rule, baseline="answer 5").scores[1].value == 0.5


def test_an_absolute_scale_means_the_same_in_every_group():
    """Good groups get good rewards; centered ones are 0 on average in every group."""
    rule = {"topology": "anchor", "scale": "anchor"}
    good, bad = (values(rank(QualityJudge(), *group, rule=rule)) for group in ((5, 6), (1, 2)))
    assert min(good) > max(bad)


def by_grade(prompt):
    return f"Fine. [RESULT] {prompt.user.partition('good ')[2][0]}"


def test_a_judge_that_cannot_rank_is_asked_for_grades_alone():
    judge = PrometheusJudge(ScriptedEngine(by_grade), prompt_style="prometheus-v1")
    responses = ["good 2", "good 5", "good 3"]
    options = {"instruction": "Ask.", "rubric": HELPFUL, "reference_answer": "No."}
    for method in ("bradley_terry", "win_rate"):
        found = rank_responses(judge, responses=responses, rule=GroupRule(method=method), **options)
        assert values(found)[0] < values(found)[2] < values(found)[1]
    assert len(judge.engine.prompts) == 6
    with pytest.raises(ConfigError, match="does not compare"):
        rank_responses(judge, responses=responses, rule=GroupRule(topology="anchor"), **options)


def test_responses_are_ranked_by_a_checklist():
    judge = PrometheusJudge(ScriptedEngine(lambda prompt: f"[RESULT] {int('dose of 5 mg' in prompt.user)}"))
    found = rank_responses(
        judge, instruction="Ask.", responses=["none", "a dose of 5 mg"], rubric=[{"criterion": "It names a dose."}]
    )
    assert values(found)[0] < 0 < values(found)[1]
    assert len(judge.engine.prompts) == 2  # the grades give the comparisons
    assert found.comparison_counts(0)["num_prompt_tokens"] == 0


def test_an_anchor_is_compared_by_a_checklist_although_it_has_no_grade():
    judge = PrometheusJudge(ScriptedEngine(lambda prompt: f"[RESULT] {int('dose of 5 mg' in prompt.user)}"))
    found = rank_responses(
        judge,
        instruction="Ask.",
        responses=["none", "a dose of 5 mg"],
        rubric=[{"criterion": "It names a dose."}],
        baseline="nothing",
        rule=GroupRule(topology="anchor", scale="anchor"),
    )
    assert values(found)[0] == pytest.approx(0.5, abs=0.1)
    assert values(found)[1] > 0.7


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.randoms())
def test_a_round_robin_does_not_depend_on_the_order_of_the_responses(qualities, random):
    order = random.sample(range(len(qualities)), len(qualities))
    rule = {"topology": "round_robin"}
    before = values(rank(QualityJudge(bias=1), *qualities, rule=rule))
    after = values(rank(QualityJudge(bias=1), *[qualities[at] for at in order], rule=rule))
    assert after == pytest.approx([before[at] for at in order], abs=1e-4)


def test_what_cannot_be_ranked_is_refused():
    judge = QualityJudge()
    with pytest.raises(RowError, match="at least one"):
        rank(judge)
    with pytest.raises(RowError, match="list"):
        rank_responses(judge, instruction="Ask.", responses="text", rubric=HELPFUL)
    with pytest.raises(RowError, match="expected a text"):
        rank_responses(judge, instruction="Ask.", responses=["a", 3], rubric=HELPFUL)
    with pytest.raises(RubricError):
        rank_responses(judge, instruction="Ask.", responses=["a"], rubric="helpfulnes")
    with pytest.raises(RowError, match="reference"):
        rank(judge, 1, 2, reference_answer=None, rule={"topology": "anchor"})
    group = [GradingRequest(instruction=name, response="1", rubric=HELPFUL) for name in "ab"]
    with pytest.raises(RowError, match="different instructions"):
        rank_groups(judge, [group], GroupRule())


def test_a_judge_that_loses_answers_is_an_error():
    judge = QualityJudge()
    judge.compare = lambda requests: []
    with pytest.raises(WorkError, match="0 comparisons for 2"):
        rank(judge, 1, 2)
    for other in (None, ["A", "B"], iter([])):
        judge.compare = lambda requests, other=other: other
        with pytest.raises(WorkError, match=r"gave .*; expected a list with a Comparison for each request"):
            rank(judge, 1, 2)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"topology": "robin"}, "round_robin"),
        ({"method": "elo"}, "win_rate"),
        ({"scale": "unit"}, "centered"),
        ({"scale": "anchor"}, "topology='anchor'"),
        ({"prior_weight": -1}, "0 or more"),
        ({"pairs_per_response": float("nan")}, "0 or more"),
        ({"prior_weight": True}, "0 or more"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        GroupRule(**settings)


@pytest.mark.parametrize("method", ["bradley_terry", "win_rate"])
def test_a_response_that_is_the_anchor_beats_it_half_of_the_time(method):
    rule = {"topology": "anchor", "scale": "anchor", "method": method}
    found = values(rank(QualityJudge(), 3, 1, 5, reference_answer="answer 3", rule=rule))
    assert found[0] == pytest.approx(0.5)
    assert found[1] < 0.5 < found[2]
