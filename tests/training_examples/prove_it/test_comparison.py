import json

import pytest
from hypothesis import given, strategies as st

from prom_reward.evaluation.agreement import Estimate, shown_estimate
from training_examples.prove_it.comparison import AnswerPair, compare_policies, shown_change


def pair(prompt, before, after, prob=0.5):
    return AnswerPair(prompt=str(prompt), before={"score": before}, after={"score": after}, prob_after={"judge": prob})


def test_means_and_their_difference():
    found = compare_policies([pair(0, 1.0, 2.0), pair(0, 2.0, 2.5), pair(1, 3.0, 3.0)])
    change = found.changes["score"]
    assert (found.num_prompts, found.num_pairs, change.num_pairs) == (2, 3, 3)
    assert (change.before, change.after) == (2.0, 2.5)
    assert change.change.value == 0.5
    assert change.change.low <= 0.5 <= change.change.high
    assert json.loads(json.dumps(found.to_dict()))["changes"]["score"]["change"]["value"] == 0.5


def test_the_answers_to_one_prompt_stay_together():
    # 40 prompts that rise or fall as a whole: drawing answers by themselves would make the interval half as wide.
    together = [pair(at, 0.0, 1.0 if at % 2 else -1.0) for at in range(40) for _ in range(4)]
    apart = [pair(f"{at} {copy}", 0.0, 1.0 if at % 2 else -1.0) for at in range(40) for copy in range(4)]
    widths = []
    for pairs in (together, apart):
        change = compare_policies(pairs).changes["score"].change
        widths.append(change.high - change.low)
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.1)
    assert widths[0] == pytest.approx(2 * 1.96 / 40**0.5, rel=0.1)


def test_differences_are_paired():
    # Prompts differ much more than policies: unpaired, a rise of 0.1 would be lost.
    pairs = [pair(at, float(at), at + 0.1) for at in range(50)]
    change = compare_policies(pairs).changes["score"].change
    assert change.low == pytest.approx(0.1)
    assert change.p_value < 0.01


def test_what_one_side_lacks_is_left_out_of_that_measure():
    odd = AnswerPair(
        prompt="2", before={"score": None, "words": 5.0}, after={"score": 4.0, "words": 7.0}, prob_after={}
    )
    found = compare_policies([pair(0, 1.0, 2.0), pair(1, 1.0, 1.0), odd])
    assert (found.num_pairs, found.changes["score"].num_pairs, found.changes["words"].num_pairs) == (3, 2, 1)
    assert found.changes["words"].change.undefined.startswith("no interval: all rows are of one question")
    assert found.win_rates["judge"].value == 0.5
    unscored = [AnswerPair(prompt="0", before={"score": None}, after={"score": 1.0}, prob_after={"judge": None})]
    nothing = compare_policies(unscored)
    assert (nothing.changes, nothing.win_rates) == ({}, {})


def test_rankings_stand_beside_scores_with_the_share_on_which_both_orders_agree():
    scored = {"prob_after": {"judge": 0.9}, "before": {}, "after": {}}
    rankings = [(0.2, 1.0), (0.4, 0.0), (0.6, 0.0), (None, None)]
    pairs = [
        AnswerPair(prompt=str(at), **scored, prob_ranked={"judge": prob}, orders_agree={"judge": agree})
        for at, (prob, agree) in enumerate(rankings)
    ]
    found = compare_policies(pairs)
    assert found.win_rates["judge"].value == 1
    assert found.ranked_win_rates["judge"].value == pytest.approx(1 / 3)
    assert found.order_agreement == {"judge": pytest.approx(1 / 3)}
    shown = found.to_dict()
    assert shown["ranked_win_rates"]["judge"]["value"] == pytest.approx(1 / 3)
    assert shown["order_agreement"]["judge"] == pytest.approx(1 / 3)
    assert compare_policies([pair(0, 1.0, 2.0)]).ranked_win_rates == {}


def test_a_win_is_more_than_half_and_a_tie_is_half_of_one():
    found = compare_policies([pair(at, 0.0, 0.0, prob) for at, prob in enumerate((0.9, 0.51, 0.5 + 1e-12, 0.2))])
    assert found.win_rates["judge"].value == pytest.approx((1 + 1 + 0.5 + 0) / 4)


def worded(prompt, score, words):
    """A pair whose second answer has more of both by so much."""
    sides = {"before": {"judge": 2.0, "words": 30.0}, "after": {"judge": 2.0 + score, "words": 30.0 + words}}
    return AnswerPair(prompt=str(prompt), **sides, prob_after={"judge": 0.5})


def test_a_rise_that_is_the_length_alone_is_none_with_words_held():
    longer = [worded(at, 0.1 * words, words) for at, words in enumerate((1.0, 3.0, 5.0, 9.0))]
    found = compare_policies(longer)
    assert found.changes["judge"].change.low > 0
    assert found.words_held["judge"].value == pytest.approx(0, abs=1e-9)
    better = [worded(at, 0.5 + 0.1 * words, words) for at, words in enumerate((1.0, -3.0, 5.0, -9.0))]
    assert compare_policies(better).words_held["judge"].value == pytest.approx(0.5)
    assert found.to_dict()["words_held"]["judge"]["value"] == found.words_held["judge"].value


def test_with_words_that_all_change_alike_nothing_can_be_held():
    same = [worded(at, 0.5, 4.0) for at in range(3)]
    assert compare_policies(same).words_held["judge"].value == pytest.approx(0.5)  # no line: the change itself
    assert compare_policies([pair(0, 1.0, 2.0)]).words_held == {}


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=30))
def test_the_other_way_round_everything_has_the_other_sign(rows):
    there = compare_policies([pair(*row) for row in rows], resamples=20).changes["score"]
    back = compare_policies([pair(at, after, before) for at, before, after in rows], resamples=20).changes["score"]
    assert there.change.value == pytest.approx(-back.change.value)
    if there.change.low is not None:
        assert there.change.low == pytest.approx(-back.change.high, abs=1e-9)


def test_figures_as_text():
    change = compare_policies([pair(at, 2.0, 2.25) for at in range(4)]).changes["score"]
    assert shown_change(change) == "2.00 → 2.25: +0.25 [0.25, 0.25]"
    assert shown_change(None) == shown_estimate(None) == shown_estimate(Estimate(None)) == "-"
    assert shown_estimate(Estimate(0.5)) == "0.500"
    assert shown_estimate(Estimate(-0.5, -1.0, 0.0), digits=1, sign="+") == "-0.5 [-1.0, 0.0]"
