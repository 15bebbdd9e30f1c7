import json

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward.errors import RowError
from prom_reward.prompts.content import Message
from prom_reward.prompts.dialogues import dialogue_messages
from prom_reward.prompts.messages import ROLES, read_messages, stored_messages
from prom_reward.prompts.transcripts import transcript

words = st.lists(st.from_regex(r"[a-z]{3,9}", fullmatch=True), min_size=1, max_size=6).map(" ".join)


def openai(turns):
    return [{"role": role, "content": text} for role, text in turns]


def blocks(turns):
    return [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]


def output_blocks(turns):
    kinds = {"user": "input_text", "assistant": "output_text", "system": "input_text"}
    return [{"role": role, "content": [{"type": kinds[role], "text": text}]} for role, text in turns]


def sharegpt(turns):
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": names[role], "value": text} for role, text in turns]


def gemini(turns):
    names = {"user": "user", "assistant": "model", "system": "system"}
    return [{"role": names[role], "parts": [{"text": text}]} for role, text in turns]


def thoughtful(turns):
    return [
        {"role": role, "content": [{"type": "thinking", "thinking": "SECRET"}, {"type": "text", "text": text}]}
        if role == "assistant"
        else {"role": role, "content": text}
        for role, text in turns
    ]


def refusing(turns):
    return [
        {"role": role, "content": None, "refusal": text} if role == "assistant" else {"role": role, "content": text}
        for role, text in turns
    ]


def old(turns):
    return [{"role": f"{role.upper()}: ", "text": text, "content": None} for role, text in turns]


def assistants_api(turns):
    return [{"role": role, "content": [{"type": "text", "text": {"value": text}}]} for role, text in turns]


def harmony(turns):
    return [
        one
        for role, text in turns
        for one in [
            *([{"role": role, "channel": "analysis", "content": "SECRET"}] if role == "assistant" else []),
            {"role": role, "content": text},
        ]
    ]


def spoken(turns):
    return [
        {"role": role, "content": None, "audio": {"transcript": text}}
        if role == "assistant"
        else {"role": role, "content": text}
        for role, text in turns
    ]


def padded(turns):
    return [{"role": role, "content": text, "name": None, "tool_calls": None, "refusal": None} for role, text in turns]


LAYOUTS = [
    openai,
    blocks,
    output_blocks,
    sharegpt,
    gemini,
    thoughtful,
    refusing,
    padded,
    old,
    assistants_api,
    harmony,
    spoken,
]


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=15)
@given(question=words, first=words, again=words, last=words)
def test_every_word_of_the_last_answer_is_in_the_response(layout, question, first, again, last):
    turns = [("system", "be kind"), ("user", question), ("assistant", first), ("user", again)]
    instruction, response = transcript(layout(turns), layout([("assistant", last)]))
    assert response == last
    assert set(f"be kind {question} {first} {again}".split()) <= set(instruction.replace(":", ": ").split())
    assert "SECRET" not in instruction + response
    assert "Assistant:\n" not in instruction
    both = [*turns, ("assistant", last)]
    assert transcript(layout(turns), layout(both)) == (instruction, response)  # the whole conversation
    assert transcript(json.dumps(layout(turns)), layout([("assistant", last)])) == (instruction, response)


@pytest.mark.parametrize("role", ROLES)
def test_every_known_role_is_read(role):
    assert [one.role for one in read_messages([{"role": role.upper(), "content": "a"}])] == [ROLES[role]]


def test_tools_results_inside_of_a_users_turn_are_turns_of_the_tool():
    messages = [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "1", "name": "search", "input": {"q": "bread"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "Yeast gives off gas."}]},
        {"role": "assistant", "content": "The yeast makes gas."},
    ]
    assert read_messages(messages) == [
        Message(role="assistant", text="Let me look.", calls=('[calls search with {"q": "bread"}]',)),
        Message(role="tool", text="Yeast gives off gas."),
        Message(role="assistant", text="The yeast makes gas."),
    ]


def test_sharegpt_and_gemini_calls_are_calls():
    call = '[calls add with {"a": 2}]'
    written = json.dumps({"name": "add", "arguments": {"a": 2}})
    assert read_messages([{"from": "function_call", "value": written}])[0].calls == (call,)
    parts = [{"functionCall": {"name": "add", "args": {"a": 2}}}]
    assert read_messages([{"role": "model", "parts": parts}])[0].calls == (call,)
    answered = [{"functionResponse": {"name": "add", "response": {"sum": 4}}}]
    assert read_messages([{"role": "user", "parts": answered}]) == [Message(role="tool", text='{"sum": 4}', name="add")]


def test_harmonys_channels_are_thoughts_and_answer():
    said = [
        {"role": "assistant", "content": "They ask about bread.", "channel": "analysis"},
        {"role": "assistant", "content": "The yeast makes gas.", "channel": "final"},
    ]
    assert transcript("Why?", said)[1] == "The yeast makes gas."
    assert "They ask" not in transcript("Why?", said)[0]


def test_items_of_openais_responses_are_messages():
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "1", "name": "add", "arguments": '{"a": 2}'},
        {"type": "function_call_output", "call_id": "1", "output": "4"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is 4."}]},
    ]
    assert read_messages(items) == [
        Message(role="assistant", thoughts="Hm.", calls=('[calls add with {"a": 2}]',)),
        Message(role="tool", text="4"),
        Message(role="assistant", text="It is 4."),
    ]


def test_arrow_pads_parts_with_none():
    parts = [{"text": None, "functionCall": None, "functionResponse": {"name": "add", "response": "4"}}]
    assert read_messages([{"role": "user", "parts": parts}]) == [Message(role="tool", text="4", name="add")]


def test_magistrals_thoughts_are_thoughts():
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "4"}]
    assert read_messages([{"role": "assistant", "content": content}]) == [
        Message(role="assistant", text="4", thoughts="Hm.")
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Dough."}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Dough."}]}},
        {"type": "document", "document": {"id": "1", "data": "Dough."}},  # Cohere
    ],
)
def test_the_words_of_a_document_are_read(document):
    asked = {"role": "user", "content": [document, {"type": "text", "text": "Why?"}]}
    assert read_messages(asked)[0].text == "Dough.\n\nWhy?"


def test_a_document_without_words_is_named():
    block = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}
    assert read_messages({"role": "user", "content": [block]})[0].text == "[document]"


def test_custom_and_unnamed_tools_are_shown():
    calls = [{"type": "custom", "custom": {"name": "run", "input": "ls"}}, {"function": {"arguments": "{}"}}]
    [message] = read_messages({"role": "assistant", "tool_plan": "I look.", "tool_calls": calls})
    assert message.calls == ("[calls run with ls]", "[calls an unnamed tool with {}]")
    assert message.thoughts == "I look."


@pytest.mark.parametrize(
    "more",
    [
        {"function_calls": "[calls_of_python(city='Oslo')]"},  # Dolci
        {"tool_calls": "look(city='Oslo')"},
        {"tool_calls": {"name": "look", "arguments": {"city": "Oslo"}}},
        {"additional_kwargs": {"tool_calls": [{"function": {"name": "look", "arguments": '{"city": "Oslo"}'}}]}},
        {"tool_calls": ["look(city='Oslo')"], "additional_kwargs": {"function_call": {"name": "again"}}},
    ],
)
def test_calls_are_read_wherever_a_message_keeps_them(more):
    for content in ("", None):
        [message] = read_messages({"role": "assistant", "content": content, **more})
        [call] = message.calls
        assert call.startswith("[calls ") and "Oslo" in call


def test_the_blocks_of_bedrock_and_vercel_are_read():
    blocks = [
        {"type": "step-start"},
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "x"}}},
        {"text": "I look."},
        {"toolUse": {"toolUseId": "1", "name": "look", "input": {"city": "Oslo"}}},
    ]
    [message] = read_messages({"role": "assistant", "content": blocks})
    assert (message.thoughts, message.text) == ("Hm.", "I look.")
    assert message.calls == ('[calls look with {"city": "Oslo"}]',)
    told = read_messages({"role": "user", "content": [{"toolResult": {"content": [{"text": "Rain."}]}}]})
    assert told[0].role == "tool" and "Rain." in told[0].text


def test_media_beside_a_messages_content_are_shown():
    told = {"role": "user", "content": "What is it?", "images": ["aGk="], "video_url": "https://x", "audio": None}
    [message] = read_messages(told)
    assert message.text == "What is it?[image][video]"


def test_content_that_is_written_twice_is_read_once():
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes, I do."}]
    [message] = read_messages({"sender": "assistant", "text": "Yes,\nI do.", "content": blocks})
    assert (message.text, message.thoughts) == ("Yes, I do.", "Hm.")
    with pytest.raises(RowError, match="content under content and text"):
        read_messages({"sender": "assistant", "text": "Yes.", "content": blocks})


def test_langchains_classes_name_roles():
    told = [{"type": "HumanMessage", "content": "Hi?"}, {"type": "AIMessage", "content": "Yes."}]
    assert [(one.role, one.text) for one in read_messages(told)] == [("user", "Hi?"), ("assistant", "Yes.")]


def test_a_dialogues_answer_may_hold_paragraphs_that_look_like_turns():
    text = "\n\nHuman: Q?\n\nAssistant: Two ways.\n\nA: yes\n\nH: no"
    assert [one.text for one in dialogue_messages(text)] == ["Q?", "Two ways.\n\nA: yes\n\nH: no"]
    assert transcript("", text) == ("Q?", "Two ways.\n\nA: yes\n\nH: no")
    assert transcript("\n\nHuman: Q?\n\nAssistant:", text) == ("Q?", "Two ways.\n\nA: yes\n\nH: no")


def test_an_answer_that_is_written_as_a_dialogue_is_an_answer():
    text = "Human: Hello!\n\nAssistant: Good morning."
    assert transcript("Write a dialogue.", text) == ("Write a dialogue.", text)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_beside_the_content_are_shown_on_request_only(key):
    said = [{"role": "assistant", key: "SECRET", "content": "A"}]
    assert transcript("Q", said)[1] == "A"
    assert transcript("Q", said, include_reasoning=True)[1] == "SECRET\n\nA"


@pytest.mark.parametrize("kind", ["image", "image_url", "input_image", "audio", "video", "file", "document"])
def test_media_are_named(kind):
    content = [{"type": "text", "text": "Look: "}, {"type": kind, "url": "x"}]
    assert read_messages([{"role": "user", "content": content}])[0].text.startswith("Look: [")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        "[{}]",
        '[{"author": "A", "text": "B"}]',
        '[{"role": "chef", "content": "B"}]',
        '[{"a": 1}]',
        "[{'role': 'user'",
        "Human after all",
        "A: yes",
        '{"role": "chef", "content": "B"}',
    ],
)
def test_a_text_that_holds_no_messages_is_a_text(text):
    assert stored_messages(text) is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "critic", "content": "a"}, "unknown role 'critic'"),
        ({"role": "assitant", "content": "a"}, "Did you mean 'assistant'"),
        ({"role": "user", "utterance": "a"}, "got no content but the keys role, utterance"),
        ({"role": "user", "content": "a", "value": "b"}, "got content under content and value"),
        ({"role": 3, "content": "a"}, "got the role 3"),
        ({"role": "user", "content": 5}, "got 5 as content"),
        ({"role": "user", "content": [{"type": "hologram"}]}, "unknown content block 'hologram'"),
        ({"role": "assistant", "content": "a", "tool_calls": [3]}, "got a tool call of type int"),
        ({"role": "assistant", "content": "a", "tool_calls": 3}, "got tool calls of type int"),
    ],
)
def test_what_is_not_understood_is_refused(message, said):
    with pytest.raises(RowError, match=f"^prompt, message 1: .*{said}"):
        read_messages([message], "prompt")


CALL = {"name": "add", "arguments": {"a": 1}}


@pytest.mark.parametrize("one", [CALL, [CALL], json.dumps(CALL), json.dumps([CALL])])
def test_one_tool_call_is_read_as_several_are(one):
    expected = read_messages([{"role": "assistant", "content": None, "tool_calls": [CALL]}])
    assert read_messages([{"role": "assistant", "content": None, "tool_call": one}]) == expected
    assert read_messages([{"role": "assistant", "content": None, "tool_call": one, "tool_calls": [CALL]}]) == expected


@pytest.mark.parametrize("one", [False, True, None, "", "call_1", "3"])
def test_a_flag_or_an_id_is_no_tool_call(one):
    [message] = read_messages([{"role": "assistant", "content": "Sure.", "tool_call": one}])
    assert (message.text, message.calls) == ("Sure.", ())
