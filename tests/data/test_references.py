import json

import pytest

from prom_reward.data.advice import of_request
from prom_reward.data.columns import Columns
from prom_reward.errors import RowError

ASSISTANT = {"role": "assistant", "content": "So."}
CALL = {"function": {"name": "w", "arguments": "{}"}}


def reference(value, **named):
    return Columns({"ground_truth": value}, named).reference()


@pytest.mark.parametrize("form", [json.dumps, str])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["7"], "7"),
        ([" "], " "),
        (['["7"]'], "7"),
        (ASSISTANT, "So."),
        ([ASSISTANT], "So."),
        ({**ASSISTANT, "content": None, "tool_calls": [CALL]}, "[calls w with {}]"),
    ],
)
def test_the_words_of_a_reference_are_read_from_text(value, text, form):
    assert reference(form(value)) == text


@pytest.mark.parametrize(
    "text",
    ["7", "[7]", "[1] So.", "{", "{}", '{"city": "Rome"}', '[{"a": 1}]', "['a'", '{"input": "a", "output": "b"}', "[]"],
)
def test_other_texts_stand(text):
    assert reference(text) == text


@pytest.mark.parametrize("form", [json.dumps, str, lambda value: value, lambda value: [json.dumps(value)]])
@pytest.mark.parametrize(
    "value",
    [
        {"inputs": ["1"], "outputs": ["2"], "fn_name": None},
        {"func_name": "validate_no_commas", "N": None},
        [{"instruction_id": ["punctuation:no_comma"], "kwargs": [None]}, {"instruction_id": [], "kwargs": []}],
        [{"input": "1", "output": "2"}, {"input": "2", "output": "3"}],
        ["assert f(1) == 2", " assert f(2) == 3"],
    ],
)
def test_tests_and_constraints_are_no_reference(value, form):
    with pytest.raises(
        RowError, match=r"^got tests or constraints in 'ground_truth', .*: drop the column, .* as it stands$"
    ):
        reference(form(value))


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (["a", "b"], r"a list of 2 texts in 'ground_truth'"),
        ({"choices": [{"message": ASSISTANT}]}, r"an API's whole answer in 'ground_truth'"),
    ],
)
def test_what_may_be_no_answer_is_refused(value, got):
    with pytest.raises(RowError, match=rf"^got {got}, .*; expected one answer: .*--column reference_answer=ground_tr"):
        reference(json.dumps(value))


@pytest.mark.parametrize("text", ['["7"]', '["a", "b"]', '{"inputs": [], "outputs": []}', json.dumps(ASSISTANT)])
def test_a_named_column_is_taken_as_it_stands(text):
    assert reference(text, reference_answer="ground_truth") == text


def test_a_request_is_told_to_send_words():
    with of_request(), pytest.raises(RowError, match=r"send it in words if it is an answer$"):
        reference('["a", "b"]')
