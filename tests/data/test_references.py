import json

import pytest

from prom_reward.data.advice import of_request
from prom_reward.data.columns import Columns
from prom_reward.data.references import _warn_of_text_form
from prom_reward.errors import RowError

ASSISTANT = {"role": "assistant", "content": "So."}
CALL = {"function": {"name": "w", "arguments": "{}"}}


def reference(value, **named):
    return Columns({"ground_truth": value}, named).reference()


@pytest.mark.parametrize("form", [json.dumps, str])
@pytest.mark.parametrize("value", [["7"], ['["7"]'], ["a", "b"], ASSISTANT, [ASSISTANT]])
def test_a_list_or_a_message_as_text_stands_and_is_told_once(value, form, caplog):
    _warn_of_text_form.cache_clear()
    for _ in range(2):
        assert reference(form(value)) == form(value)
        assert reference([form(value)]) == form(value)
    [told] = caplog.messages
    assert told.startswith("a reference answer in 'ground_truth' is a list or a message as text, which the judge reads")


def test_a_real_list_of_one_is_its_text():
    assert reference(["7"]) == "7"


@pytest.mark.parametrize(
    "text",
    [
        *("7", "[7]", "[1] So.", "{", "{}", '{"city": "Rome"}', '[{"a": 1}]', "['a'", "[]", "def check(x):\n  pass"),
        *('{"input": "a", "output": "b"}', '[{"input": "a", "output": "b"}]', '{"tests": ["CBC", "CRP"]}'),
        *('{"inputs": {"name": "x"}, "outputs": {}}', '{"inputs": [], "outputs": []}', "assert is a keyword."),
        *('{"inputs": ["a"], "outputs": []}', '[{"inputs": [{"type": "uint"}], "outputs": [{"type": "uint"}]}]'),
        *("def f(x):\n    assert x\n    return x", '{"functional": "yes"}', '[{"input": "1"}, {"output": "2"}]'),
    ],
)
def test_other_texts_stand(text, caplog):
    assert reference(text) == text
    assert caplog.messages == []


@pytest.mark.parametrize("form", [json.dumps, str, lambda value: value, lambda value: [json.dumps(value)]])
@pytest.mark.parametrize(
    "value",
    [
        {"inputs": ["1"], "outputs": ["2"], "fn_name": None},
        {"func_name": "validate_no_commas", "N": None},
        [{"instruction_id": ["punctuation:no_comma"], "kwargs": [None]}, {"instruction_id": [], "kwargs": []}],
        [{"input": "1", "output": "2"}, {"input": "2", "output": "3"}],
        ["assert f(1) == 2", " assert f(2) == 3"],
        [{"stdin": "a", "stdout": "b"}],
        [{"input": "a", "output": "b", "testtype": "stdin"}],
        {"stdin": ["1"], "expected_output": ["2"]},
        {"functional": "def check(candidate):\n    assert candidate(1) == 2"},
        {"tests": ["assert f(1) == 2"]},
        ["assert f(1) == 2"],
    ],
)
def test_tests_and_constraints_are_no_reference(value, form):
    with pytest.raises(
        RowError, match=r"^got tests or constraints in 'ground_truth', .*: drop the column, .* as it stands$"
    ):
        reference(form(value))


@pytest.mark.parametrize(
    "text",
    [
        "assert f(1) == 2\n\nassert f(2) == 3\n",
        "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(1) == 2",
    ],
)
def test_code_that_only_tests_is_no_reference(text):
    with pytest.raises(RowError, match=r"^got tests or constraints in 'ground_truth'"):
        reference(text)


def test_an_apis_answer_is_no_reference():
    got = "got an API's whole answer in 'ground_truth'"
    with pytest.raises(RowError, match=rf"^{got}, .*; expected one answer: .*--column reference_answer=ground_tr"):
        reference(json.dumps({"choices": [{"message": ASSISTANT}]}))


@pytest.mark.parametrize(
    "text", ['["7"]', "['a' 'b']", "assert f(1) == 2", '{"inputs": ["1"], "outputs": ["2"]}', json.dumps(ASSISTANT)]
)
def test_a_named_column_is_taken_as_it_stands(text, caplog):
    assert reference(text, reference_answer="ground_truth") == text
    assert caplog.messages == []


def test_a_request_is_told_to_send_words():
    with of_request(), pytest.raises(RowError, match=r"send it in words if it is an answer$"):
        reference("assert f(1) == 2")
