import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.errors import RowError

Q = "Which is a fruit?"
CHOICES = ["hammer", "pear"]


def example(row, **named):
    return RowFormat(columns=named).example(row)


@pytest.mark.parametrize(
    ("row", "choices"),
    [
        ({"question": Q, "choices": CHOICES, "answer": 1}, "choices"),  # MMLU
        ({"question": Q, "choices": CHOICES, "answer": " B"}, "choices"),
        ({"question": Q, "choices": {"text": CHOICES, "label": ["A", "B"]}, "answer": "(B)"}, "choices"),
        ({"article": "A pear fell.", "question": Q, "options": CHOICES, "answer": "B"}, "options"),  # RACE
        ({"question": Q, "option_a": "hammer", "option_b": "pear", "output": "b."}, "option_a"),
        ({"question": Q, "choices": CHOICES, "answer": "A, B"}, "choices"),
        ({"question": Q, "choices": CHOICES, "answer": "AB"}, "choices"),
        ({"question": Q, "choices": CHOICES, "answer": "Option B"}, "choices"),
        ({"question": Q, "choices": CHOICES, "answer": "pear"}, "choices"),
        ({"question": Q, "option1": "hammer", "option2": "pear", "answer": "pear"}, "option1"),
        ({"question": Q, "A": "hammer", "B": "pear", "answer": "B"}, "A"),  # MMLU's CSV files
    ],
)
def test_a_key_to_choices_is_no_response(row, choices):
    with pytest.raises(RowError, match=f"and '{choices}', to which it may be the key"):
        example(row)


@pytest.mark.parametrize(
    "row",
    [
        {"question": Q, "choices": CHOICES, "answer": "The pear."},
        {"question": "2 + 2?", "answer": 4},
        {"question": "2 + 2?", "choices": [], "answer": "4"},
        {"question": Q, "choices": CHOICES, "response": "B"},  # a model's own
    ],
)
def test_answers_in_words_and_answers_without_choices_are_responses(row):
    given = row.get("response", row.get("answer"))
    assert example(row).responses == (str(given),)


def test_a_key_that_is_named_is_taken():
    row = {"question": Q, "choices": CHOICES, "answer": 1}
    assert example(row, response="answer").responses == ("1",)
    assert example({**row, "text": "B"}, response="text").responses == ("B",)


@pytest.mark.parametrize(("chosen", "rejected"), [(0, 1), ("1", "2"), (1.0, 0.0)])
def test_two_numbers_beside_several_responses_are_no_pair(chosen, rejected):
    row = {"prompt": Q, "responses": ["The pear.", "The hammer."], "chosen": chosen, "rejected": rejected}
    with pytest.raises(RowError, match="which may point at other columns' answers"):
        example(row)
    named = example(row, chosen="responses[0]", rejected="responses[1]")
    assert named.responses == ("The pear.", "The hammer.")


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": 0, "rejected": 1, "response_0": "The pear.", "response_1": "The hammer."},
        {"chosen": 1, "rejected": 2, "response_a": "The pear.", "response_b": "The hammer."},
        {"chosen": "A", "rejected": "B", "text_a": "The pear.", "text_b": "The hammer."},
        {"chosen": "model b", "rejected": "model a", "responses": ["The pear.", "The hammer."]},
        {"chosen": "0", "rejected": "1", "responses": '["The pear.", "The hammer."]'},
        {"chosen": "pear_text", "rejected": "other_text", "pear_text": "The pear.", "other_text": "The hammer."},
    ],
)
def test_sides_that_name_other_columns_are_no_pair(row):
    with pytest.raises(RowError, match="which may point at other columns' answers"):
        example({"prompt": Q, **row})
    named = example({"prompt": Q, **row}, chosen="chosen", rejected="rejected")
    assert named.responses == (str(row["chosen"]), str(row["rejected"]))


def test_numbers_and_texts_may_be_answers_of_a_pair():
    assert example({"prompt": "2 + 2?", "chosen": 4, "rejected": 5, "score_chosen": 1}).responses == ("4", "5")
    several = {"prompt": Q, "responses": ["The pear.", "A pear."], "chosen": "A pear.", "rejected": "1"}
    assert example(several).responses == ("A pear.", "1")
