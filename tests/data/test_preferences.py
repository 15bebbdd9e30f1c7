import pytest

from prom_reward.data.columns import Columns
from prom_reward.data.preferences import CountedVerdicts, voted_sides
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
    ],
)
def test_the_better_answer_comes_first(names, verdict, value, better):
    row = {names[0]: "one", names[1]: "other", verdict: value, "model_a": "llama", "model_b": "zephyr"}
    assert voted_sides(Columns(row)) == (("one", "other") if better == 0 else ("other", "one"))


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (NUMBERED, 0),
        (NUMBERED, 1.5),
        (NUMBERED, 3),
        (NUMBERED, True),
        (LETTERS, 1),
        (LETTERS, "A=B"),
        (LETTERS, "tie (bothbad)"),
        (LETTERS, "C"),
        (LETTERS, float("nan")),
    ],
)
def test_a_verdict_that_could_mean_either_is_refused(names, value):
    with pytest.raises(RowError, match=r"names neither answer|no column that says which is better"):
        voted_sides(Columns({names[0]: "one", names[1]: "other", "label": value}))


def test_a_row_without_two_answers_is_no_pair():
    assert voted_sides(Columns({"prompt": "Q", "response_A": "a", "label": "A"})) is None


def test_verdicts_that_contradict_each_other_are_refused():
    row = {"response_A": "a", "response_B": "b", "winner": "B"}
    with pytest.raises(RowError, match="winner='B' and label='A', which name different answers"):
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
        (FROM_0, [1, 2], True),
        (FROM_0, [0, 1, 0.5], False),
        (LETTERS, [0, 1], False),  # refused row by row
    ],
)
def test_a_file_that_counts_its_answers_from_another_number_is_refused(names, numbers, is_refused):
    verdicts = CountedVerdicts()
    for number in numbers:
        verdicts.note({names[0]: "one", names[1]: "other", "label": number})
    if not is_refused:
        verdicts.check("rows.jsonl")
        return
    with pytest.raises(InputError, match=r"rows\.jsonl: got label = .* from another number than"):
        verdicts.check("rows.jsonl")
