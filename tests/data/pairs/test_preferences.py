import re

import pytest

from prom_reward.data.columns import Columns
from prom_reward.data.formats import RowFormat
from prom_reward.data.pairs.preferences import NumberedVerdicts, voted_sides
from prom_reward.errors import InputError, RowError

NUMBERED, FROM_0, LETTERS = ("output_1", "output_2"), ("response_0", "response_1"), ("response_A", "response_B")


@pytest.mark.parametrize(
    ("names", "verdict", "value", "better"),
    [
        (NUMBERED, "label", 1, 0),
        (NUMBERED, "label", "2", 1),
        (NUMBERED, "preference", 1.9, 1),
        (NUMBERED, "preference", "output_2", 1),
        (FROM_0, "better_response_id", 0, 0),
        (FROM_0, "label", 1, 1),
        (FROM_0, "preference", "response_1", 1),
        (LETTERS, "label", "A>B", 0),
        (LETTERS, "label", "[[B>>A]]", 1),
        (LETTERS, "label", "A<B", 1),
        (LETTERS, "preference", "B", 1),
        (LETTERS, "winner", "model_b", 1),
        (("human_ref_A", "human_ref_B"), "labels", 1, 0),
        (("human_ref_A", "human_ref_B"), "labels", 0, 1),
        (("response1", "response2"), "overall_preference", -3, 0),
        (("response_1", "response_2"), "preference_strength", 1, 1),
        (("conversation_a", "conversation_b"), "winner", "zephyr", 1),
        (FROM_0, "safer_response_id", 1, 1),
    ],
)
def test_the_better_answer_comes_first(names, verdict, value, better):
    row = {names[0]: "one", names[1]: "other", verdict: value, "model_a": "llama", "model_b": "zephyr"}
    assert voted_sides(Columns(row)) == (("one", "other") if better == 0 else ("other", "one"))


@pytest.mark.parametrize(
    ("names", "verdict", "value", "said"),
    [
        (NUMBERED, "label", 0, "label=0, which names neither answer; expected output_1 or output_2"),
        (NUMBERED, "label", 1.5, "label=1.5: a tie, which is no pair"),
        (NUMBERED, "label", 3, "names neither answer"),
        (NUMBERED, "label", True, "names neither answer"),
        (LETTERS, "label", 1, "label=1, which names neither answer; expected A or B"),
        (LETTERS, "label", "A=B", ": a tie"),
        (LETTERS, "winner", "tie", ": a tie"),
        (LETTERS, "winner", "tie (bothbad)", r"winner='tie \(bothbad\)': a tie, which is no pair"),
        (LETTERS, "winner", "both_bad", ": a tie"),
        (LETTERS, "label", "C", "names neither answer"),
        (LETTERS, "label", float("nan"), "no column that says which is better; name it with --column winner="),
        (("human_ref_A", "human_ref_B"), "labels", 0.5, "names neither answer"),
        (("response1", "response2"), "overall_preference", 0, "overall_preference=0: a tie"),
        (("response1", "response2"), "overall_preference", "nan", "overall_preference='nan', which names neither"),
        (("response1", "response2"), "overall_preference", "-inf", "names neither answer"),
        (("response1", "response2"), "overall_preference", 10**400, "names neither answer"),
    ],
)
def test_a_verdict_that_could_mean_either_is_refused(names, verdict, value, said):
    with pytest.raises(RowError, match=said):
        voted_sides(Columns({names[0]: "one", names[1]: "other", verdict: value}))


@pytest.mark.parametrize(
    ("names", "verdict", "first_is_better"),
    [
        (("response_a", "response_b"), {"winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}, True),
        (("response_a", "response_b"), {"winner_model_a": "0", "winner_model_b": "1", "winner_tie": "0"}, False),
        (("response_a", "response_b"), {"winner_model_a": False, "winner_model_b": True}, False),
        (("answer_0", "answer_1"), {"score_0": -0.25, "score_1": 0.25}, False),
        (("answer_0", "answer_1"), {"score_0": 1.0, "score_1": -1.0}, True),
    ],
)
def test_a_verdict_may_stand_in_a_column_for_each_answer(names, verdict, first_is_better):
    columns = Columns({names[0]: "one", names[1]: "other", **verdict})
    assert voted_sides(columns) == (("one", "other") if first_is_better else ("other", "one"))
    assert columns.by_role()["winner"] == [name for name in verdict if name != "winner_tie"]


def test_a_tie_in_a_column_for_each_answer():
    row = {"response_a": "one", "response_b": "other", "winner_model_a": 0, "winner_model_b": 0, "winner_tie": 1}
    with pytest.raises(RowError, match="winner_model_a=0 and winner_model_b=0: a tie, which is no pair"):
        voted_sides(Columns(row))
    with pytest.raises(RowError, match="winner_model_a=1 and winner_model_b=None, which names neither"):
        voted_sides(Columns({**row, "winner_model_a": 1, "winner_model_b": None}))


def test_scores_of_unknown_meaning_are_no_verdict():
    row = {"response_0": "one", "response_1": "other", "score_0": 0.1, "score_1": 0.9}
    with pytest.raises(RowError, match="no column that says which is better"):
        voted_sides(Columns(row))
    assert voted_sides(Columns(row, {"winner": "score_0"})) == ("other", "one")


def test_two_verdicts_of_different_meaning_are_to_be_chosen_from():
    row = {"response_0": "one", "response_1": "other", "better_response_id": 0, "safer_response_id": 0}
    with pytest.raises(RowError) as caught:
        voted_sides(Columns(row))
    assert str(caught.value) == (
        "got better_response_id=0 and safer_response_id=0, verdicts that may name different answers; choose one: "
        "--column winner=better_response_id or --column winner=safer_response_id"
    )
    row["safer_response_id"] = 1
    assert voted_sides(Columns(row, {"winner": "better_response_id"})) == ("one", "other")
    assert voted_sides(Columns(row, {"winner": "safer_response_id"})) == ("other", "one")


def test_a_named_winner_wins_over_the_other_verdicts():
    row = {"response_A": "a", "response_B": "b", "winner": "A", "votes": {"safe": "B"}}
    assert voted_sides(Columns(row, {"winner": "votes.safe"})) == ("b", "a")
    with pytest.raises(RowError, match="no column 'vote' for winner"):
        voted_sides(Columns(row, {"winner": "vote"}))
    with pytest.raises(RowError, match="expected two answers for the winner"):
        voted_sides(Columns({"prompt": "Q", "winner": "A"}, {"winner": "winner"}))


@pytest.mark.parametrize("third", ["answer_2", "summaries[2]", "response_C"])
def test_a_third_answer_is_not_dropped(third):
    rows = {
        "answer_2": {"answer_0": "a", "answer_1": "b", "answer_2": "c", "label": 1},
        "summaries[2]": {"summaries": [{"text": "a"}, {"text": "b"}, {"text": "c"}], "choice": 0},
        "response_C": {"response_A": "a", "response_B": "b", "response_C": "c", "label": "A"},
    }
    with pytest.raises(RowError, match=f"and {re.escape(third)}; expected two answers"):
        voted_sides(Columns(rows[third]))


def test_a_row_without_two_answers_is_no_pair():
    assert voted_sides(Columns({"prompt": "Q", "response_A": "a", "label": "A"})) is None


def test_verdicts_that_contradict_each_other_are_refused():
    row = {"response_A": "a", "response_B": "b", "winner": "B"}
    with pytest.raises(RowError, match=r"winner='B' and label='A', verdicts that may .* --column winner=winner or"):
        voted_sides(Columns({**row, "label": "A"}))
    assert voted_sides(Columns({**row, "label": "B", "judgment": "harmless"})) == ("b", "a")


@pytest.mark.parametrize(
    ("names", "numbers", "is_refused"),
    [
        (NUMBERED, [1, 2, 1], False),
        (NUMBERED, [0, 1, 1], True),  # they count from 0: every 1 would be turned round
        (NUMBERED, [0.2, 1.0], True),
        (NUMBERED, [-1, 1], True),
        (NUMBERED, [0, 1, 2], False),  # 0 is a tie
        (NUMBERED, [1, 1], False),
        (NUMBERED, [1, 2, 3], True),  # 3 may be a tie, or the middle or the end of a scale
        (NUMBERED, [1, 2, 5], True),
        (NUMBERED, [-1, 1, 2], True),
        (FROM_0, [0, 1, 2], True),
        (FROM_0, [1, 2], True),
        (FROM_0, [0, 1, 0.5], False),
        (LETTERS, [0, 1], False),  # refused row by row
    ],
)
def test_a_file_that_counts_its_answers_from_another_number_is_refused(names, numbers, is_refused):
    verdicts = NumberedVerdicts()
    for number in numbers:
        verdicts.note({names[0]: "one", names[1]: "other", "label": number})
    if not is_refused:
        verdicts.check("rows.jsonl")
        return
    with pytest.raises(InputError, match=r"rows\.jsonl: got label = .* may be a scale, or count the answers"):
        verdicts.check("rows.jsonl")


def test_a_named_verdict_is_counted_too():
    verdicts = NumberedVerdicts({"winner": "vote"})
    for number in (0, 1, 1):
        verdicts.note({"output_1": "one", "output_2": "other", "vote": number})
    with pytest.raises(InputError, match=r"got vote = 0, 1, which may be a scale, or count the answers"):
        verdicts.check("rows.jsonl")


@pytest.mark.parametrize("name", ["overall_preference", "preference_strength"])
@pytest.mark.parametrize(
    ("numbers", "refused", "warned"),
    [
        ([-3, 1, 2] * 3, False, False),
        ([1, 2] * 4, False, True),
        ([1, 0, 2], False, False),  # too few to tell
        ([0] * 9, False, False),
        ([1, 2, 7], True, False),
    ],
)
def test_a_signed_verdict_is_checked_for_a_scale(name, numbers, refused, warned, caplog):
    verdicts = NumberedVerdicts()
    for number in numbers:
        verdicts.note({LETTERS[0]: "one", LETTERS[1]: "other", name: number})
    if refused:
        with pytest.raises(InputError, match=rf"{name} = 1, 2, 7; expected -3 to 3, under 0 if {LETTERS[0]} is better"):
            verdicts.check("rows.jsonl")
    else:
        verdicts.check("rows.jsonl")
    assert (f"{LETTERS[0]} is never better" in caplog.text) is warned


@pytest.mark.parametrize(
    ("name", "verdict", "better"), [("preferred", "B", "No."), ("better", "a", "Yes."), ("chosen", "response_b", "No.")]
)
def test_one_side_beside_two_answers_may_be_the_verdict(name, verdict, better):
    row = {"prompt": "Hi?", "response_a": "Yes.", "response_b": "No.", name: verdict}
    expected = (
        rf"got response_a, response_b and {name}='{verdict}', which may say which is better; .* winner={name}; else"
    )
    with pytest.raises(RowError, match=expected):
        RowFormat(columns={}).example(row)
    assert RowFormat(columns={"winner": name}).example(row).responses[0] == better
