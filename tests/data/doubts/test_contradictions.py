import pytest

from prom_reward.data.doubts.contradictions import contradiction
from prom_reward.data.formats import RowFormat

PAIR = {"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."}
MESSAGES = {side: [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": PAIR[side]}]
            for side in ("chosen", "rejected")}  # fmt: skip


def found(row, **named):
    return contradiction(RowFormat(columns=named).example(row).columns)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"score_chosen": 2, "score_rejected": 5}, "score_chosen=2 under score_rejected=5"),
        ({"chosen_score": "2.5", "rejected_score": "4"}, "chosen_score='2.5' under rejected_score='4'"),
        ({"chosen-rating": 1, "rejected-rating": 2.0}, "chosen-rating=1 under rejected-rating=2.0"),
        ({"ratingChosen": 1, "ratingRejected": 2}, "ratingChosen=1 under ratingRejected=2"),
        ({"rm_score_chosen": -1, "rm_score_rejected": 0}, "rm_score_chosen=-1 under rm_score_rejected=0"),
        ({"chosen_avg_rating": 1, "rejected_avg_rating": 2}, "chosen_avg_rating=1 under rejected_avg_rating=2"),
        ({"score_chosen": 5, "score_rejected": 2}, ""),
        ({"score_chosen": 2, "score_rejected": 2}, ""),
        ({"score_chosen": None, "score_rejected": 2}, ""),
        ({"score_chosen": [1], "score_rejected": [2]}, ""),
        ({"score_chosen": 1}, ""),
        ({"chosen_toxicity_score": 0.1, "rejected_toxicity_score": 0.9}, ""),
        ({"chosen_rank": 1, "rejected_rank": 2, "chosen_tokens": 1, "rejected_tokens": 9}, ""),
        ({"chosen_score": 1, "rejected_score": 2, "chosen_outcome": "scored"}, ""),  # a judge's, of `label`
        ({"score_w": 1, "score_l": 2}, "score_w=1 under score_l=2"),
        ({"rewardW": 1, "rewardL": 2}, "rewardW=1 under rewardL=2"),
        ({"chosen_score": 1, "reject_score": 2}, "chosen_score=1 under reject_score=2"),
        ({"preferred_rating": 1, "dispreferred_rating": 2}, "preferred_rating=1 under dispreferred_rating=2"),
        ({"better_score": 1, "worse_score": 2}, "better_score=1 under worse_score=2"),
        ({"winner_reward": 1, "loser_reward": 2}, "winner_reward=1 under loser_reward=2"),
        ({"gpt4_score_chosen": 1, "gpt4_score_rejected": 2}, "gpt4_score_chosen=1 under gpt4_score_rejected=2"),
        ({"score_w": 2, "score_l": 1}, ""),
        ({"w": 1, "l": 2, "word_w": 1, "word_l": 2, "positive_score": 1, "negative_score": 2}, ""),
        ({"margin": -0.5}, "margin=-0.5"),
        ({"score_diff": "-2"}, "score_diff='-2'"),
        ({"rewardMargin": -1}, "rewardMargin=-1"),
        ({"margin": 0.5, "score_gap": 0, "diff": -1, "delta": -2, "sentiment_margin": -1}, ""),
        ({"margin": -1, "chosen_outcome": "scored"}, ""),  # a judge's, of `label`
        ({"winner": "rejected"}, "winner='rejected'"),
        ({"label": "Rejected"}, "label='Rejected'"),
        ({"winner": "chosen", "preference": "strong"}, ""),
        ({"winner": "zephyr", "chosen_model": "llama", "rejected_model": "zephyr"}, "winner='zephyr'"),
        ({"winner": "llama", "chosen_model": "llama", "rejected_model": "zephyr"}, ""),
        ({"winner": "llama", "chosen_model": "llama", "rejected_model": "llama"}, ""),
        ({"response_a": "Yes.", "response_b": "No.", "winner": "B"}, "winner='B'"),
        ({"response_a": "Yes.", "response_b": "No.", "winner": "A"}, ""),
        ({"response_a": "Yes.", "response_b": "No.", "winner": "tie"}, ""),
        ({"response_a": "No.", "response_b": "Yes.", "winner": "B"}, ""),
        ({"response_0": "Yes.", "response_1": "No.", "preference": 1}, "preference=1"),
        ({"response_0": "Maybe.", "response_1": "Never.", "preference": 1}, ""),
        ({"winner": "B"}, ""),  # of answers that the row does not name
    ],
)
@pytest.mark.parametrize("sides", [PAIR, MESSAGES])
def test_columns_that_prefer_the_rejected_answer_are_found(sides, more, said):
    assert found({**PAIR, **sides, **more}) == said


def test_scores_inside_of_both_sides_are_found():
    sides = {"chosen": {"text": "Yes.", "overall_score": 3}, "rejected": {"text": "No.", "overall_score": 4}}
    assert found({**PAIR, **sides}) == "chosen.overall_score=3 under rejected.overall_score=4"
    sides["chosen"]["overall_score"] = 5
    assert found({**PAIR, **sides}) == ""
    assert found({**PAIR, "chosen": {"text": "Yes.", "rank": 1}, "rejected": {"text": "No.", "rank": 2}}) == ""


AB = {"prompt": "Hi?", "response_a": "Yes.", "response_b": "No."}
NUMBERED = {"prompt": "Hi?", "response_1": "Yes.", "response_2": "No."}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**AB, "winner": "A", "score_a": 1, "score_b": 2}, "winner='A' and score_a=1 under score_b=2"),
        ({**AB, "winner": "B", "score_a": 2, "score_b": "1"}, "winner='B' and score_b='1' under score_a=2"),
        ({**AB, "winner": "A", "scoreA": 1, "scoreB": 2}, "winner='A' and scoreA=1 under scoreB=2"),
        (
            {**AB, "winner": "A", "response_a_rating": 1, "response_b_rating": 2},
            "winner='A' and response_a_rating=1 und",
        ),
        (
            {**AB, "winner": "A", "gpt4_score_a": 1, "gpt4_score_b": 2},
            "winner='A' and gpt4_score_a=1 under gpt4_score_b",
        ),
        ({**NUMBERED, "preference": 1, "score1": 1, "score2": 2}, "preference=1 and score1=1 under score2=2"),
        ({**NUMBERED, "preference": 1, "score_1": 1, "score_2": 2}, "preference=1 and score_1=1 under score_2=2"),
        ({**NUMBERED, "preference": 1, "gpt4_score_1": 1, "gpt4_score_2": 2}, "preference=1 and gpt4_score_1=1 under"),
        ({**NUMBERED, "preference": 2, "score_1": 1, "score_2": 2}, ""),
        ({**AB, "winner": "A", "score_a": 2, "score_b": 1}, ""),
        ({**AB, "winner": "A", "score_a": 1, "score_b": 1}, ""),
        ({**AB, "winner": "A", "score_a": 1}, ""),
        ({**AB, "winner": "A", "toxicity_score_a": 1, "toxicity_score_b": 2, "rank_a": 1, "rank_b": 2}, ""),
        ({"question": "Hi?", "answer_0": "Yes.", "answer_1": "No.", "score_0": 1, "score_1": 0}, ""),  # the verdict
        (
            {
                "info": {"post": "P"},
                "summaries": [{"text": "a"}, {"text": "b"}],
                "choice": 0,
                "score_0": 1,
                "score_1": 2,
            },
            "",
        ),
    ],
)
def test_scores_that_a_verdict_contradicts_are_found(row, said):
    assert found(row).startswith(said) if said else found(row) == ""


def test_scores_against_a_verdict_that_the_caller_named_are_found():
    row = {**AB, "vote": "B", "score_a": 2, "score_b": 1}
    assert found(row, winner="vote") == "vote='B' and score_b=1 under score_a=2"


def test_sides_that_the_caller_named_or_a_verdict_told_have_no_contradiction():
    row = {**PAIR, "score_chosen": 2, "score_rejected": 5}
    assert found(row, chosen="rejected", rejected="chosen") == ""
    assert found({"prompt": "Q", "response_a": "one", "response_b": "other", "winner": "B", "score_chosen": 1}) == ""
    assert found({"prompt": "Q", "response": "Yes.", "score_chosen": 1, "score_rejected": 2}) == ""
