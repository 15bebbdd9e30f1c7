from dataclasses import fields
from math import exp, log

import pytest
from hypothesis import given, strategies as st

from prom_reward.labeling.verdicts import (
    PAIR_COLUMNS,
    RANKING_COLUMNS,
    VERDICT_COLUMNS,
    PairRanking,
    ResponseVerdict,
    logit,
    pair_columns,
)
from prom_reward.rubrics.checklists.forms import parse_checklist
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import Comparison, Judgment, Outcome

HELPFUL = Rubric.parse("helpfulness")
HONEST = Rubric.parse({"rubric": "honesty", "weight": 3.0})
PERCENT = Rubric.parse(
    {"criteria": "How good?", "scale": [0, 1], "score0_description": "bad", "score1_description": "good"}
)


def judgment(expected, **changes):
    values = {"outcome": Outcome.SCORED, "score": round(expected), "expected_score": expected, "entropy": 0.5}
    return Judgment(**{**values, "score_probs": {1: 0.0, 2: 1.0}, "feedback": f"It is {expected}.", **changes})


UNSCORED = Judgment(outcome=Outcome.ENGINE_FAILED, error="the server is down")


def verdict(*judgments, rubrics=(HELPFUL,)):
    return ResponseVerdict(rubrics=rubrics, judgments=judgments)


def comparison(winner, prob_a, **changes):
    return Comparison(**{"outcome": Outcome.SCORED, "winner": winner, "prob_a": prob_a, "feedback": "A.", **changes})


def ranking(*orders):
    return PairRanking(rubrics=(HELPFUL,), comparisons=orders)


def test_a_ranking_keeps_what_is_said_and_flagged_under_every_rubric():
    first = comparison("A", 0.9, feedback="Kind."), comparison("B", 0.1, feedback="", flags_b=("empty",))
    second = comparison("A", 0.9, feedback="", flags_a=("rubric_copy",)), comparison("B", 0.1, feedback="Open.")
    columns = PairRanking(rubrics=(HELPFUL, HONEST), comparisons=(first, second)).columns()
    assert columns["ranking_feedback"] == "[helpfulness] Kind.\n[honesty] Open."
    assert (columns["ranking_chosen_flags"], columns["ranking_rejected_flags"]) == (["empty", "rubric_copy"], [])


@pytest.mark.parametrize(("chosen", "rejected", "prob"), [(1.0, -2.0, 1.0), (-2.0, 1.0, 0.0), (-0.5, -1.0, 0.75)])
def test_scores_under_0_make_no_probability_over_1(chosen, rejected, prob):
    checklist = parse_checklist(
        {"criteria": [{"text": "It is right.", "weight": 1}, {"text": "Rude.", "weight": -2}], "clip": False}
    )
    sides = [
        verdict(Judgment(outcome=Outcome.SCORED, expected_score=score), rubrics=(checklist,))
        for score in (chosen, rejected)
    ]
    columns = pair_columns(*sides, None)
    assert columns["prob_chosen"] == prob
    assert columns["agreement"] == ("agrees" if prob > 0.5 else "disagrees")


def test_one_rubrics_columns_are_its_judgment():
    columns = verdict(judgment(4.5)).columns("chosen_")
    assert columns == {
        "chosen_is_partial": False,
        "chosen_outcome": "scored",
        "chosen_score": 4,
        "chosen_expected_score": 4.5,
        "chosen_score_probs": {"1": 0.0, "2": 1.0},
        "chosen_entropy": 0.5,
        "chosen_feedback": "It is 4.5.",
        "chosen_error": None,
        "chosen_flags": [],
        "chosen_sampled_scores": [],
        "chosen_unit_score": 0.875,
    }


def test_every_field_of_a_judgment_but_the_token_counts_is_a_column():
    counts = {"num_prompt_tokens", "num_computed_tokens", "num_generated_tokens"}
    assert {one.name for one in fields(Judgment)} - counts <= set(VERDICT_COLUMNS)
    of_several_judges = {"given_by", "judge_scores"}
    for columns in (
        verdict(judgment(4.5)).columns(),
        verdict(judgment(4.5), UNSCORED, rubrics=(HELPFUL, HONEST)).columns(),
    ):
        assert set(columns) | {"judgments"} == set(VERDICT_COLUMNS) - of_several_judges - {"parts"}
    by_a_panel = judgment(4.5, given_by="panel", judge_scores={"one": 4.0, "two": 5.0})
    assert set(verdict(by_a_panel).columns()) == set(VERDICT_COLUMNS) - {"judgments", "parts"}
    ranked = ranking((comparison("A", 0.9), comparison("B", 0.2))).columns()
    assert set(ranked) == {f"ranking_{name}" for name in RANKING_COLUMNS}


def test_flags_and_partial_distributions_reach_the_columns():
    first, second = judgment(4.5, flags=("digits",), is_partial=True), judgment(3.0, flags=("claim", "digits"))
    columns = verdict(first, second, rubrics=(HELPFUL, HONEST)).columns()
    assert (columns["flags"], columns["is_partial"]) == (["digits", "claim"], True)
    assert [one["flags"] for one in columns["judgments"]] == [["digits"], ["claim", "digits"]]
    pair = (comparison("A", 0.9, flags_a=("claim",)), comparison("B", 0.2, flags_a=("digits",)))
    columns = ranking(pair).columns()
    assert (columns["ranking_chosen_flags"], columns["ranking_rejected_flags"]) == (["claim"], ["digits"])


def test_several_rubrics_are_weighted():
    both = verdict(judgment(5.0, entropy=0.1), judgment(3.0), rubrics=(HELPFUL, HONEST))
    columns = both.columns()
    assert columns["expected_score"] == pytest.approx((5 + 3 * 3) / 4)
    assert columns["unit_score"] == pytest.approx((1 + 3 * 0.5) / 4)
    assert columns["entropy"] == pytest.approx((0.1 + 3 * 0.5) / 4)
    assert columns["feedback"] == "[helpfulness] It is 5.0.\n[honesty] It is 3.0."
    assert [one["rubric_name"] for one in columns["judgments"]] == ["helpfulness", "honesty"]
    assert (columns["score"], columns["score_probs"]) == (None, None)


def test_rubrics_on_several_scales_are_joined_on_the_unit_scale():
    columns = verdict(judgment(5.0), judgment(0.5), rubrics=(HELPFUL, PERCENT)).columns()
    assert columns["expected_score"] == columns["unit_score"] == pytest.approx(0.75)


def test_one_unscored_rubric_leaves_the_response_unscored():
    columns = verdict(judgment(5.0), UNSCORED, rubrics=(HELPFUL, HONEST)).columns()
    assert (columns["outcome"], columns["error"]) == ("engine_failed", "the server is down")
    assert columns["expected_score"] is columns["unit_score"] is columns["entropy"] is None


@pytest.mark.parametrize(
    ("chosen", "rejected", "margin", "agreement"),
    [
        (4.0, 3.0, log(0.625 / 0.375), "agrees"),  # a point of the scale: 0.51
        (3.0, 4.0, -log(0.625 / 0.375), "disagrees"),
        (3.0, 3.0, 0.0, "tie"),
        (5.0, 1.0, log(99), "agrees"),  # cut at 0.99
    ],
)
def test_the_margin_of_two_scores_is_in_logits(chosen, rejected, margin, agreement):
    columns = pair_columns(verdict(judgment(chosen)), verdict(judgment(rejected)), None)
    assert columns["margin"] == pytest.approx(margin)
    assert columns["agreement"] == agreement


@given(st.floats(1, 5), st.floats(1, 5))
def test_exchanging_the_sides_turns_the_margin_around(one, other):
    forth, back = (
        pair_columns(verdict(judgment(a)), verdict(judgment(b)), None) for a, b in ((one, other), (other, one))
    )
    assert forth["margin"] == pytest.approx(-back["margin"], abs=1e-9)
    assert (forth["margin"] > 0) == (forth["agreement"] == "agrees")
    assert forth["prob_chosen"] == pytest.approx(1 - back["prob_chosen"])


@given(st.floats(0.011, 0.989))
def test_a_logit_is_what_a_sigmoid_undoes(prob):
    assert 1 / (1 + exp(-logit(prob))) == pytest.approx(prob)


def test_an_unscored_side_leaves_the_pair_without_margin():
    columns = pair_columns(verdict(judgment(4.0)), verdict(UNSCORED), None)
    assert {columns[name] for name in PAIR_COLUMNS} == {None}
    assert columns["rejected_error"] == "the server is down"


@pytest.mark.parametrize(
    ("first", "second", "winner", "agreement"),
    [
        (comparison("A", 0.9), comparison("B", 0.2), "chosen", "agrees"),
        (comparison("B", 0.1), comparison("A", 0.6), "rejected", "disagrees"),
        (comparison("A", 0.9), comparison("A", 0.9), "tie", "tie"),  # it always takes the first
        (comparison("B", 0.3), comparison("B", 0.3), "tie", "tie"),
        (comparison("tie", 0.5), comparison("tie", 0.5), "tie", "tie"),
    ],
)
def test_a_winner_that_depends_on_the_order_is_a_tie(first, second, winner, agreement):
    columns = pair_columns(None, None, ranking((first, second)))
    assert (columns["ranking_winner"], columns["agreement"]) == (winner, agreement)
    assert columns["prob_chosen"] == pytest.approx((first.prob_a + 1 - second.prob_a) / 2)
    assert (columns["margin"] == 0) == (agreement == "tie")
    assert "chosen_score" not in columns


def test_an_unscored_order_leaves_the_pair_unranked():
    failed = Comparison(outcome=Outcome.TOO_LONG, error="too many tokens")
    columns = pair_columns(None, None, ranking((comparison("A", 0.9), failed)))
    assert (columns["ranking_outcome"], columns["ranking_error"]) == ("too_long", "too many tokens")
    assert columns["ranking_winner"] is columns["ranking_prob_chosen"] is columns["margin"] is None


def test_grading_and_ranking_that_differ_are_a_tie():
    against = ranking((comparison("B", 0.2), comparison("A", 0.8)))
    columns = pair_columns(verdict(judgment(4.0)), verdict(judgment(3.0)), against)
    assert (columns["agreement"], columns["margin"]) == ("tie", 0.0)
    assert columns["prob_chosen"] == pytest.approx((0.625 + 0.2) / 2)


def test_a_tie_of_one_leaves_the_word_to_the_other():
    undecided = ranking((comparison("A", 0.7), comparison("A", 0.7)))
    columns = pair_columns(verdict(judgment(4.0)), verdict(judgment(3.0)), undecided)
    assert columns["agreement"] == "agrees"
    assert columns["margin"] == pytest.approx(logit((0.625 + 0.5) / 2))


def test_an_entropy_that_one_judge_does_not_tell_is_not_taken_as_certain():
    silent = Judgment(outcome=Outcome.SCORED, score=3)
    columns = verdict(judgment(5.0, entropy=0.8), silent, rubrics=(HELPFUL, HONEST)).columns()
    assert columns["entropy"] is None
    assert columns["unit_score"] == pytest.approx((1 + 3 * 0.5) / 4)
