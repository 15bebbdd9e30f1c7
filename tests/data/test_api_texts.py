import json
import re

import pytest

from prom_reward.data.api_texts import api_answer, check_no_request
from prom_reward.data.cells import messages_of, read_answer
from prom_reward.data.formats import RowFormat
from prom_reward.errors import RowError

CHAT = {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "So."}}]}
TEXT = {"choices": [{"index": 0, "text": "So.", "finish_reason": "stop"}]}
GEMINI = {"candidates": [{"content": {"role": "model", "parts": [{"text": "So."}]}}]}
BLOCKS = [{"type": "text", "text": "So."}]
ANTHROPIC = {"id": "m", "type": "message", "role": "assistant", "content": BLOCKS, "usage": {"input_tokens": 3}}
ITEMS = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So."}]}]
OPENAI = {"object": "response", "output": ITEMS, "text": {"format": {"type": "text"}}, "error": None}
SAID = {"role": "assistant", "content": "So."}
OTHERS = [
    {"model": "m", "created_at": "2024-01-01", "message": SAID, "done": True, "eval_count": 3},  # Ollama's
    {"model": "m", "message": SAID, "done": True},
    {"model": "m", "response": "So.", "done": True},
    {"generated_text": "So."},  # TGI's
    {"generated_text": [{"role": "user", "content": "Why?"}, SAID]},
    {"index": 0, "message": SAID, "finish_reason": "stop"},
    {"id": "c", "message": {"role": "assistant", "content": BLOCKS}, "finish_reason": "COMPLETE"},  # Cohere's
    {"content": {"role": "model", "parts": [{"text": "So."}]}, "finishReason": "STOP"},
    {"completion": "So.", "stop_reason": "stop_sequence", "model": "m"},
    {"output": {"message": {"role": "assistant", "content": BLOCKS}}, "stopReason": "end_turn"},  # Bedrock's
    {"results": [{"outputText": "So.", "tokenCount": 3, "completionReason": "FINISH"}]},
    {"outputs": [{"text": "So.", "stop_reason": "stop"}]},
    {"content": "So.", "stop": True, "tokens_predicted": 3},  # llama.cpp's
    {"text": "So.", "meta_info": {"id": "x"}},  # SGLang's
    {"text": "So.", "finish_reason": "MAX_TOKENS"},
    {"text": "So.", "finish_reason": None},  # of a stream that did not end
    {"content": "So.", "stop_reason": "model_length"},
    {"text": "So.", "finishReason": "content-filter"},
    {"text": "So.", "finishReason": "FINISH_REASON_STOP"},
    {"text": "So.", "finishReason": "unknown"},
    {"text": "So.", "finish_details": {"type": "stop"}},
    {"text": "So.", "generation_id": "3f0c8a52-6c1e-4f0e-9d43-0a8c3f6b7d21"},
    {"index": 0, "message": SAID, "finish_reason": None},
    {"response": "So.", "total_duration": 5_191_566_416},
]
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Why?"}]}


@pytest.mark.parametrize("answer", [ANTHROPIC, OPENAI])
def test_an_apis_whole_answer_is_read_if_it_is_certain(answer):
    assert [message.text for message in messages_of(read_answer(answer))] == ["So."]


@pytest.mark.parametrize("answer", [CHAT, TEXT, GEMINI, OTHERS[0], OTHERS[3], OTHERS[10], [GEMINI], [OTHERS[3]]])
def test_other_answers_of_apis_are_refused_and_their_words_can_be_named(answer):
    row = {"prompt": "Why?", "response": answer}
    pair = {"prompt": "Why?", "chosen": answer, "rejected": "No."}
    for one in (row, pair):
        with pytest.raises(RowError, match=r"got an API's whole answer.*, .* --column ROLE=NAME\S+$") as error:
            RowFormat(columns={}).example(one)
    path = str(error.value).rpartition("=NAME")[2]
    assert RowFormat(columns={"response": f"response{path}"}).example(row).texts() == [("Why?", "So.")]


@pytest.mark.parametrize("form", [json.dumps, str])
@pytest.mark.parametrize(
    "answer",
    [
        *(ANTHROPIC, OPENAI, CHAT, TEXT, GEMINI, *OTHERS, *([answer] for answer in (CHAT, GEMINI, *OTHERS))),
        *(BLOCKS, [{"type": "thinking", "thinking": "Hm."}, *BLOCKS]),
    ],
)
def test_one_as_text_is_refused_and_can_be_reached_into_or_taken_as_it_stands(answer, form):
    row = {"prompt": "Why?", "response": form(answer)}
    told = (
        r"API's whole answer in 'response', .*with --column response=(\S+); --column response=response takes it as it"
    )
    with pytest.raises(RowError, match=told) as error:
        RowFormat(columns={}).example(row)
    path = re.search(told, str(error.value))[1]
    assert RowFormat(columns={"response": path}).example(row).texts() == [("Why?", "So.")]
    assert RowFormat(columns={"response": "response"}).example(row).texts() == [("Why?", row["response"])]


@pytest.mark.parametrize(
    "names", [("chosen", "rejected"), ("completions",), ("response_1", "response_2", "preference_strength")]
)
def test_one_as_text_is_refused_among_several_answers(names):
    values = {name: json.dumps(CHAT) for name in names}
    values |= {"completions": ["So.", json.dumps(CHAT)]} if "completions" in names else {}
    values |= {"preference_strength": -1} if len(names) == 3 else {}
    with pytest.raises(RowError, match=rf"^got an API's whole answer in '{names[0]}'"):
        RowFormat(columns={}).example({"prompt": "Why?", **values})


def test_the_words_beside_an_answers_choices_are_read():  # as Inspect writes them
    assert read_answer({**CHAT, "completion": "So."}) == "So."


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"text": "Rome", "is_right": True}]},
        {"choices": ["a", "b"]},
        {"choices": []},
        {"candidates": [{"name": "Ada", "content": "C++"}]},
        {"type": "message", "role": "assistant", "content": "So.", "to": "Ada"},
        {"object": "response", "output": "x"},
        {"messages": ["Hi."]},
        {"answer": 4},
        {"text": "Buy milk.", "done": False},  # a task
        [{"text": "Buy milk.", "done": False}],
        {"message": "So.", "finish_reason": "stop"},
        {"text": "So.", "usage": "rare"},
        {"content": "Yoga for beginners", "total_duration": "45 min"},
        {"content": "Yoga for beginners", "total_duration": 45},
        {"content": "A lesson on algebra", "meta_info": {"grade": 5}},
        {"text": "x", "stop_reason": "injury"},
        {"text": "x", "generation_id": 3},
        {"outputs": [{"text": "x", "stop_reason": "injury"}]},
        {"thought": "I know", "done": True, "response": "Paris"},
        {"message": SAID},
        [{"text": "So."}],
        [{"type": "text", "name": "title"}],
        [CHAT, "So."],
        [],
    ],
)
def test_an_answer_in_json_stands(answer):
    assert api_answer(json.dumps(answer)) is None
    assert read_answer(json.dumps(answer)) == json.dumps(answer)


@pytest.mark.parametrize(
    "text",
    [
        "ChatCompletion(id='c', choices=[Choice(finish_reason='stop', message=ChatCompletionMessage(content='So.'))])",
        "Message(id='msg_1', content=[TextBlock(text='So.', type='text')])",
        "[TextBlock(citations=None, text='So.', type='text')]",
        "[RequestOutput(request_id=0, outputs=[CompletionOutput(index=0, text='So.')])]",
        "model='m' created_at='2024' done=True message=Message(role='assistant', content='So.')",
        "content='So.' additional_kwargs={} response_metadata={} id='run-1'",
        str([*BLOCKS, *BLOCKS]),
    ],
)
def test_one_that_no_path_reaches_into_is_to_be_written_anew(text):
    with pytest.raises(RowError, match=r"got an API's whole answer in 'response', .*; expected its words: write"):
        RowFormat(columns={}).example({"prompt": "Why?", "response": text})
    assert RowFormat(columns={"response": "response"}).example({"prompt": "Why?", "response": text}).kind == "response"


@pytest.mark.parametrize(
    "text",
    [
        *("AIMessage(content='Hi.')", "AIMessage(content='Hi.', name='a')", "TextBlock(text='Hi.')"),
        *("Message(text='Hi.')", "Response(content='Hi.')", "content='Hi.'", "model='m'", "print(Choice(1))", "["),
    ],
)
def test_code_is_no_apis_answer(text):
    assert api_answer(text) is None


@pytest.mark.parametrize("name", ["prompt", "input", "instruction"])
@pytest.mark.parametrize("key", ["messages", "contents"])
def test_a_whole_request_is_no_prompt(name, key):
    row = {name: json.dumps({"model": "m", key: REQUEST["messages"]}), "response": "So."}
    with pytest.raises(RowError, match=rf"whole request in '{name}': .* --column prompt={name}\.{key}$"):
        RowFormat(columns={}).example(row)
    assert RowFormat(columns={"prompt": f"{name}.{key}"}).example(row).texts() == [("Why?", "So.")]


def test_a_request_that_the_prompt_asks_about_stays():
    row = {"instruction": "Correct this request.", "input": json.dumps(REQUEST), "response": "So."}
    assert RowFormat(columns={}).example(row).prompt.endswith(row["input"])
    for text in (json.dumps(REQUEST["messages"]), '{"messages": []}', '{"messages": ["Hi."]}', "{", "Why?"):
        check_no_request(text, "prompt")
