from dataclasses import replace

import pytest

from prom_reward import GradingRequest, Judgment, Outcome
from prom_reward.answers import TOKEN_COUNTS
from prom_reward.evaluation.groups.cascade_replay import BUDGETS, replay_cascade
from prom_reward.evaluation.groups.labeled_groups import LabeledGroup


def judged(groups, scores):
    """Return the judgment of each answer, None for a failure."""
    flat = [request for group in groups for request in group.requests]
    return {
        request: Judgment(outcome=Outcome.NO_RESULT if one is None else Outcome.SCORED, expected_score=one)
        for request, one in zip(flat, scores, strict=True)
    }


def make(count):
    return [
        LabeledGroup(
            [GradingRequest(instruction=f"p{at}", response=one, rubric="helpfulness") for one in ("a", "b")], [1, 5]
        )
        for at in range(count)
    ]


def test_the_closest_groups_go_first_and_the_ends_are_the_judges_themselves():
    groups = make(10)
    cheap = judged(groups, [score for at in range(10) for score in (3, 3.1 + at if at > 1 else 2.9 - at / 100)])
    curves = replay_cascade(groups, cheap, judged(groups, [1, 5] * 10)).curves
    assert [point.budget for point in curves["group_margin"]] == list(BUDGETS)
    assert [point.best for point in curves["group_margin"]] == [0.8, 0.9, 1, 1, 1, 1]
    assert [point.share for point in curves["group_margin"]] == [0, 0.1, 0.2, 0.3, 0.5, 1]
    assert [point.tau for point in curves["random"]][::5] == pytest.approx([0.6, 1])
    told = {"budget": 1.0, "share": 1.0, "best": 1.0, "tau": 1.0, "tokens": dict.fromkeys(TOKEN_COUNTS)}
    assert curves["entropy"][-1].to_dict() == told


def test_every_answer_costs_the_cheap_judge_and_the_escalated_ones_the_strong_judge_too():
    groups = make(10)
    counts = [dict(zip(TOKEN_COUNTS, costs, strict=True)) for costs in ((100, 10, 0), (200, 40, 30))]
    cheap, strong = (
        {request: replace(one, **own) for request, one in judged(groups, [2, 3] * 10).items()} for own in counts
    )
    for curve in replay_cascade(groups, cheap, strong).curves.values():
        found = [list(point.tokens.values()) for point in curve]
        assert found[0] == [100, 10, 0]
        assert found[-1] == [300, 50, 30]
        assert found[3] == pytest.approx([160, 22, 9])
    unknown = {request: replace(one, num_generated_tokens=None) for request, one in strong.items()}
    curve = replay_cascade(groups, cheap, unknown).curves["random"]
    assert [list(point.tokens.values())[::2] for point in (curve[0], curve[-1])] == [[100, 0], [300, None]]


def test_a_group_that_a_judge_could_not_score_is_left_out():
    groups = make(2)
    found = replay_cascade(groups, judged(groups, [1, 5, 1, 5]), judged(groups, [None, 5, 5, 1]))
    assert (found.num_groups, [found.curves["group_margin"][at].best for at in (0, -1)]) == (1, [1, 0])
    assert replay_cascade([], {}, {}).curves["random"][0].best is None
