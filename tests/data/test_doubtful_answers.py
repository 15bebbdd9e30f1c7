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


def test_an_answer_beside_a_solution_may_be_the_truth_too():
    row = {"problem": "2 + 2?", "answer": "4", "solution": "2 + 2 is 4."}  # DeepScaleR, MATH-500
    with pytest.raises(RowError, match="'answer' and 'solution', which may both be the reference"):
        example(row)
    named = example(row, response="answer")
    assert (named.responses, named.reference_answer) == (("4",), "2 + 2 is 4.")
    asked = example({"question": "2 + 2?", "answer": "5", "ground_truth": "4"})  # of older Ragas
    assert (asked.responses, asked.reference_answer) == (("5",), "4")


@pytest.mark.parametrize(("chosen", "rejected"), [(0, 1), ("1", "2"), (1.0, 0.0)])
def test_two_numbers_beside_several_responses_are_no_pair(chosen, rejected):
    row = {"prompt": Q, "responses": ["The pear.", "The hammer."], "chosen": chosen, "rejected": rejected}
    with pytest.raises(RowError, match="beside several responses, which they may count"):
        example(row)
    named = example(row, chosen="responses[0]", rejected="responses[1]")
    assert named.responses == ("The pear.", "The hammer.")


def test_numbers_and_texts_may_be_answers_of_a_pair():
    assert example({"prompt": "2 + 2?", "chosen": 4, "rejected": 5}).responses == ("4", "5")
    several = {"prompt": Q, "responses": ["The pear.", "A pear."], "chosen": "A pear.", "rejected": "1"}
    assert example(several).responses == ("A pear.", "1")
