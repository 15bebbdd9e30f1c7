import json
import re

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward.data.cells import (
    cut_answer,
    holds,
    is_empty,
    is_whole,
    messages_of,
    number_text,
    passages_text,
    read_answer,
    read_cell,
    stands_in,
)
from prom_reward.errors import RowError

ASK, YES = [{"role": "user", "content": "Hi?"}], [{"role": "assistant", "content": "Yes."}]
HH = "\n\nHuman: Hi?\n\nAssistant:"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Hi?", "Hi?"),
        (72, "72"),
        (json.dumps(ASK + YES), ASK + YES),
        (str(ASK + YES), ASK + YES),
        (json.dumps(YES[0]), YES),
        (YES[0], YES),
        ([{**YES[0], "tool_calls": None}], YES),
        (f"{HH} Yes.", f"{HH} Yes."),
        ('["Yes.", "No."]', '["Yes.", "No."]'),
    ],
)
def test_a_cell_is_a_text_or_messages(value, text):
    assert read_cell(value) == text


@pytest.mark.parametrize("key", ["response", "answer", "text", "content", "generation"])
def test_an_answer_may_stand_in_a_mapping(key):
    assert read_answer({"model": "x", key: "Yes.", "rank": 1}) == "Yes."


def test_a_mapping_that_is_no_message_is_refused_by_its_keys():
    found = r"^got a mapping with the keys id, raw; expected a text or messages: .* as --column ROLE=NAME\.raw$"
    with pytest.raises(RowError, match=found):
        read_cell({"id": 7, "raw": "Why?"})
    for message in (YES[0], {"content": "Hi?"}, {"type": "human", "data": {}}, {"input": "Hi?", "output": "Yes."}):
        assert read_cell(message)


@pytest.mark.parametrize("text", ["I look.", "", None])
@pytest.mark.parametrize("key", ["text", "content", "response"])
def test_an_answers_calls_are_a_part_of_it(key, text):
    calls = [{"name": "w", "arguments": {"city": "Rome"}}]
    [message] = messages_of(read_answer({key: text, "tool_calls": calls, "index": 0}))
    assert (message.role, message.text) == ("assistant", text or "")
    assert message.calls == ('[calls w with {"city": "Rome"}]',)
    assert read_answer({key: "I look.", "tool_calls": []}) == "I look."


@pytest.mark.parametrize("text", ["", " ", None])
def test_an_error_in_the_place_of_an_answer_is_none(text):
    with pytest.raises(RowError, match=r"^no response; got the error 'rate limit' in its place$"):
        read_answer({"text": text, "error": "rate limit"})
    assert read_answer({"text": "So.", "error": "cut off"}) == "So."
    assert read_answer({"text": "", "error": None}) == ""


@pytest.mark.parametrize("more", [{"explanation": "2 and 2."}, {"text": "Four."}, {"output": "5"}])
def test_an_answer_has_one_text(more):
    with pytest.raises(RowError, match=r"^got an answer with other words in 'answer' and .*ROLE=NAME\.answer$"):
        read_answer({"answer": "4", **more})


@pytest.mark.parametrize("more", [{"text": "4 "}, {"explanation": ""}, {"value": "good"}, {"critique": "Bad."}])
def test_what_stands_beside_an_answers_text_may_be_about_it(more):
    assert read_answer({"answer": "4", **more}) == "4"


@pytest.mark.parametrize("more", [{"sources": ["s"]}, {"name": "n"}, {"text": "No."}, {"id": "7"}])
@pytest.mark.parametrize("form", [json.dumps, str, lambda message: {"response": json.dumps(message)}])
def test_no_key_of_an_answer_in_json_is_dropped(form, more):
    written = form({**YES[0], **more})
    assert read_answer(written) == (written if isinstance(written, str) else written["response"])


@pytest.mark.parametrize("form", [json.dumps, str])
def test_an_answer_is_read_from_messages_that_are_stored_as_text(form):
    client = {
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
        "weight": None,
    }
    for message in (YES[0], {**YES[0], "tool_calls": None, "name": ""}, {**YES[0], **client}):
        assert messages_of(read_answer(form(message))) == messages_of(YES)
    assert messages_of(read_answer(form([{**YES[0], "id": "7"}]))) == messages_of(YES)
    whole = [{**ASK[0], "timestamp": 1}, {**YES[0], "timestamp": 2}]
    assert messages_of(read_answer(form(whole))) == messages_of(ASK + YES)
    thoughtful = messages_of(read_answer(form({**YES[0], "reasoning_content": "Why?"})))
    assert [(one.text, one.thoughts) for one in thoughtful] == [("Yes.", "Why?")]
    for strange in ({"role": "agent", "value": 3}, {"role": "user", "content": {"city": "x"}}, [ASK[0]]):
        assert read_answer(form(strange)) == form(strange)
    unknown = form([{**YES[0], "sources": ["s"]}])
    assert read_answer(unknown) == unknown
    question = form(ASK[0])
    assert read_answer(question) == question


@pytest.mark.parametrize(
    "value",
    [True, float("inf"), {"value": "Yes.", "aliases": ["Yes"]}, ["Yes."], {"choices": [{"message": YES[0]}]}, b"Yes."],
)
def test_what_is_no_answer_is_refused(value):
    with pytest.raises(RowError, match=r"as a text|the keys choices|with aliases"):
        read_answer(value)


@pytest.mark.parametrize(("number", "text"), [(4, "4"), (4.0, "4"), (0.1, "0.1"), (10**30, "1" + "0" * 30)])
def test_numbers_keep_their_digits(number, text):
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("answer", "prompt", "whole"),
    [
        (ASK + YES, None, True),
        (YES, None, False),
        ([], None, False),
        (f"{HH} Yes.", None, True),
        (f"{HH} Yes.", "Hi?", True),
        (f"{HH} Yes.", "Write a dialogue.", False),  # the answer is a dialogue
        ("Yes.", "Hi?", False),
    ],
)
def test_a_whole_conversation_begins_with_what_was_asked(answer, prompt, whole):
    assert is_whole(answer, prompt) is whole


def test_the_last_answer_is_cut_off():
    assert cut_answer(ASK + YES + ASK + YES) == (ASK + YES + ASK, YES)
    assert cut_answer(f"{HH} Yes.") == (HH, " Yes.")
    assert cut_answer("H: Hi?\n\nA: No.\n\nH: Hi?\n\nA: Yes.") == ("H: Hi?\n\nA: No.\n\nH: Hi?\n\nA:", " Yes.")
    with pytest.raises(RowError, match="does not end in an answer"):
        cut_answer(f"{HH} Yes.\n\nHuman: Thanks.")


def test_texts_are_held_whatever_the_spaces():
    assert holds([{"role": "user", "content": "Do  it.\n\nNow"}], "Do it. Now")
    assert not holds("Do it.", "Do that.")
    assert not holds("Say it 12 times.", "2")


def test_the_author_of_an_answer_is_no_role():
    answer = {"answer_id": 7, "author": "Ada", "pm_score": 2, "text": "Yes."}  # of Stack Exchange
    assert read_answer(answer) == "Yes."
    assert messages_of(read_answer({"author": "assistant", "text": "Yes."}))[0].role == "assistant"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" Rome is old. ", "Rome is old."),
        (["a", "b"], "a\n\nb"),
        ([{"title": "T", "text": "a", "url": "u"}, "b"], "T\na\n\nb"),
        ({"page_content": "a"}, "a"),
        ("['a', 'b']", "['a', 'b']"),  # which the question may be about
        ('[{"title": "T", "text": "a"}, "b"]', '[{"title": "T", "text": "a"}, "b"]'),
        ('["a", 1]', '["a", 1]'),
        ('[{"role": "user", "content": "a"}]', '[{"role": "user", "content": "a"}]'),
        ("[1] a", "[1] a"),
        ([], None),
        (["a", "", None], "a"),
        ("null", None),
        ("[]", None),
        (["a", 1], None),
        ([{"role": "user", "content": "a"}], None),
        ([{"title": "T"}], None),
        ({"title": ["T"], "sentences": [["a"]]}, None),
        (None, None),
    ],
)
def test_passages_in_plain_forms_are_one_text(value, text):
    assert passages_text(value) == text


def test_nothing_is_empty_in_every_form():
    for value in (None, float("nan"), "", " ", [], {}, [None], {"a": None, "b": ""}, "[]", "{}", "null"):
        assert is_empty(value), value
    assert not any(map(is_empty, (0, "0", "[1]", [0], {"a": 0})))


@settings(max_examples=300, deadline=None)
@given(st.text("a1_ .(é", min_size=1, max_size=4), st.text("a1_ .(é", max_size=12))
def test_a_text_stands_in_another_by_whole_words(text, other):
    begins, ends = (r"(?<!\w)" if text[0].isalnum() else ""), (r"(?!\w)" if text[-1].isalnum() else "")
    assert stands_in(text, other) == bool(re.search(f"{begins}{re.escape(text)}{ends}", other))
