import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.data.rows import read_rows
from prom_reward.errors import RowError

ASK = [{"role": "user", "content": "2 + 2?"}]
GOLD = [*ASK, {"role": "assistant", "content": "4"}]
PAIR = {"prompt": "2 + 2?", "response_a": "4", "response_b": "5"}


def example(row, **named):
    return RowFormat(columns=named).example(row)


@pytest.mark.parametrize(
    ("row", "null", "gold"),
    [
        ({"question": "2 + 2?", "answer": "4", "response": None}, "response", "answer"),
        ({"question": "2 + 2?", "answer": "4", "response": float("nan")}, "response", "answer"),
        ({"instruction": "2 + 2?", "output": "4", "prediction": None}, "prediction", "output"),
        ({"prompt": ASK, "completion": None, "answer": "4"}, "completion", "answer"),  # verifiers
        ({"question": "2 + 2?", "answer": "4", "responses": None}, "responses", "answer"),
        ({"question": "2 + 2?", "answers": ["4", "four"], "response": None}, "response", "answers"),
        ({"question": "2 + 2?", "answer": "4", "response_a": "5", "response_b": None}, "response_b", "answer"),
        ({"messages": GOLD, "response": None}, "response", r"messages\[-1\].content"),
        ({"prompt": "2 + 2?", "conversations": GOLD, "generation": None}, "generation", r"conversations\[-1\].content"),
        ({"messages": GOLD, "response": None, "rejected": "5"}, "response", r"messages\[-1\].content"),
        ({"prompt": "2 + 2?", "answer": "4", "response": None, "rejected": "5"}, "response", "answer"),
    ],
)
def test_the_reference_does_not_stand_in_for_a_response_that_is_null(row, null, gold):
    with pytest.raises(RowError, match=f"^no response: '{null}' is null, and '{gold}' may hold the reference; leave"):
        example(row)


def test_a_null_gives_way_to_a_column_of_the_same_meaning_and_to_one_that_is_named():
    padded = {"prompt": "2 + 2?", "completion": None, "response": "5", "answer": "4"}
    assert example(padded).responses == ("5",)
    assert example({"prompt": "2 + 2?", "response": None, "completions": ["4", "5"]}).kind == "responses"
    assert example({"prompt": "2 + 2?", "response": None, "answer": "4"}, response="answer").responses == ("4",)
    assert example({"messages": GOLD, "response": None}, response="messages[-1].content").responses == ("4",)
    assert example({"messages": GOLD, "response": None}, messages="messages").kind == "response"
    assert example({"messages": GOLD, "answer": None, "output": None}).kind == "response"  # no answer's own columns
    assert example({**PAIR, "response": None, "winner": "A"}).kind == "pair"


@pytest.mark.parametrize("own", ["answer", "output"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("gpt-4", None), ("pred", None), ("Response", None), ("rollouts", []), ("model_answer", ""), ("resps", [[]])],
)
def test_the_reference_does_not_stand_in_for_an_empty_answer_of_a_model(own, name, value):
    row = {"question": "2 + 2?", own: "4", name: value}
    nothing = "null" if value is None else "empty"
    with pytest.raises(RowError, match=f"^no response: '{name}' is {nothing}, and '{own}' may hold the reference"):
        example(row)
    assert example(row, response=own).responses == ("4",)
    assert example(row, reference_answer=name).responses == ("4",)
    assert example({"messages": GOLD, name: value}).kind == "response"  # one with words is told there


@pytest.mark.parametrize(
    ("row", "role"),
    [
        ({"messages": GOLD, "pred": None}, "response"),
        ({"question": "2 + 2?", "messages": GOLD, "pred": float("nan")}, "response"),
        ({"question": "2 + 2?", "completions": ["4", "5"], "pred": None}, "response"),
        ({"question": "2 + 2?", "response": "4", "pred": None}, "response"),
        ({"question": "2 + 2?", "response": "4", "pred": None}, "responses"),
        ({"messages": GOLD, "pred": {"text": None}}, "response"),
    ],
)
def test_nothing_stands_in_for_a_named_answer_that_is_null(row, role):
    path = "pred.text" if isinstance(row["pred"], dict) else "pred"
    with pytest.raises(RowError, match=f"^no response: '{path}' is null; leave the row out$"):
        example(row, **{role: path})


def test_tables_of_two_forms_pad_the_question_with_null_too():
    both = {"messages": GOLD, "prompt": None, "completion": None}
    assert example(both).columns.by_role() == {"messages": ["messages"]}
    assert example({"messages": None, "prompt": "2 + 2?", "completion": "5"}).responses == ("5",)
    assert example({"instruction": "2 + 2?", "output": "4", "prompt": None, "completion": None}).responses == ("4",)
    with pytest.raises(RowError, match=r"^no response: 'response' is null"):
        example({"question": "2 + 2?", "context": None, "answer": "4", "response": None})
    with pytest.raises(RowError, match=r"^no response: 'completion' is null"):
        example({"instruction": "2 + 2?", "output": "4", "completion": None})  # the row alone does not tell why


def test_an_empty_cell_of_a_csv_file_is_null(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("question,answer,model_output\n2 + 2?,4,5\n2 + 3?,5,\n", encoding="utf-8")
    first, second = read_rows(path)
    assert example(first.values).responses == ("5",)
    with pytest.raises(RowError, match=r"^no response: 'model_output' is null"):
        example(second.values)


@pytest.mark.parametrize("label", ["label", "labels", "judgment", "choice"])
def test_a_label_does_not_stand_in_for_a_verdict_that_is_null(label):
    with pytest.raises(RowError, match="no verdict: 'winner' is null; leave the row out, or name it with --column"):
        example({**PAIR, "winner": None, label: "A"})
    assert example({**PAIR, "winner": None, label: "A"}, winner=label).responses == ("4", "5")
    assert example({**PAIR, "winner": None, "preference": "B", label: "B"}).responses == ("5", "4")
    with pytest.raises(RowError, match="may name different answers"):
        example({**PAIR, "winner": None, "preference": "A", label: "B"})


def test_no_response_becomes_the_chosen_answer_if_that_is_null():
    with pytest.raises(RowError, match="a pair without 'chosen'"):
        example({"prompt": "2 + 2?", "response": "4", "chosen": None, "rejected": "5"})


def test_no_message_becomes_the_chosen_answer_if_a_named_response_is_null():
    messages = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    row = {"messages": messages, "rejected_response": "5", "pred": None}
    assert [text for _, text in example(row).texts()] == ["4", "5"]
    with pytest.raises(RowError, match="no response: 'pred' is null"):
        example(row, response="pred")
