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


def test_sides_that_the_caller_named_or_a_verdict_told_have_no_contradiction():
    row = {**PAIR, "score_chosen": 2, "score_rejected": 5}
    assert found(row, chosen="rejected", rejected="chosen") == ""
    assert found({"prompt": "Q", "response_a": "one", "response_b": "other", "winner": "B", "score_chosen": 1}) == ""
    assert found({"prompt": "Q", "response": "Yes.", "score_chosen": 1, "score_rejected": 2}) == ""
