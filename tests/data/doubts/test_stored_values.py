import pytest

from prom_reward.data.columns import Columns
from prom_reward.data.formats import RowFormat
from prom_reward.errors import RowError

TWO = "['a' \"it's\"]"
TURNS = "[{'role': 'user', 'content': 'Why?'}\n {'role': 'assistant', 'content': 'So.'}]"
GRADED = {"prompt": "Why?", "response": "So."}
PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({**PAIR, "rejected": TWO}, "rejected"),
        ({**PAIR, "chosen": TURNS, "rejected": TURNS}, "chosen"),
        ({**PAIR, "prompt": TURNS}, "prompt"),
        ({"context": TURNS, "response1": "7", "response2": "8", "overall_preference": 2}, "context"),
        ({"prompt": TWO, "response_a": TWO, "response_b": TWO, "winner": "a"}, "response_a"),
        ({"conversation_a": TURNS, "conversation_b": TURNS, "winner": "a"}, "conversation_a"),
        ({"messages": TURNS}, "messages"),
        ({"prompt": "Why?", "responses": TWO}, "responses"),
        ({**GRADED, "response": TWO}, "response"),
        ({**GRADED, "history": "[array(['a', 'b'], dtype=object)\n array(['c', 'd'], dtype=object)]"}, "history"),
        ({**GRADED, "contexts": TWO}, "contexts"),
        ({**GRADED, "response": "array(['a text'], dtype=object)"}, "response"),
        ({**GRADED, "reference_answer": "array(['a text'], dtype=object)"}, "reference_answer"),
        ({**GRADED, "reference_answer": TWO}, "reference_answer"),
        ({**GRADED, "reward_model": "{'ground_truth': array(['7'], dtype=object)}"}, "reward_model"),
    ],
)
def test_a_cell_that_numpy_printed_is_refused_by_its_column(row, column):
    with pytest.raises(RowError, match=f"^{column}: got a list as numpy prints it"):
        RowFormat(columns={}).example(row)


@pytest.mark.parametrize("role", ["response", "reference_answer"])
def test_a_path_does_not_lead_into_one(role):
    with pytest.raises(RowError, match=r"^found: got a list as numpy prints it"):
        RowFormat(columns={role: "found[0]"}).example({**GRADED, "found": TWO})


@pytest.mark.parametrize("role", ["response", "reference_answer"])
def test_one_that_the_caller_names_is_taken_as_it_stands(role):
    row = {**GRADED, "reference_answer": "So.", role: TWO}
    with pytest.raises(RowError, match=rf"to_parquet; --column {role}={role}.* takes it as it stands$"):
        RowFormat(columns={}).example(row)
    example = RowFormat(columns={role: role}).example(row)
    assert TWO in (example.reference_answer, *example.responses)


def test_one_that_is_not_read_is_no_problem():
    others = {"models": TWO, "answers": TWO, "reward_model": TWO}
    for row in (GRADED, PAIR):
        assert RowFormat(columns={}).example({**row, **others, "conversation": TURNS}).prompt == "Why?"


def test_a_reference_is_refused_in_a_reward_too():
    with pytest.raises(RowError, match=r"^ground_truth: got a list as numpy prints it"):
        Columns({"ground_truth": TWO}).reference()


def test_an_answer_that_only_looks_like_one_may_be_a_message():
    row = {**GRADED, "response": [{"role": "assistant", "content": TWO}]}
    assert RowFormat(columns={}).example(row).texts() == [("Why?", TWO)]
