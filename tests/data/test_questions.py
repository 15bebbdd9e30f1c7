import json
import re

import pytest

from prom_reward.data.doubts.unread import unread_columns
from prom_reward.data.formats import RowFormat
from prom_reward.data.pairs.sides import warn_of_repeated_prompt
from prom_reward.errors import RowError
from prom_reward.rubrics.rubric import Rubric

Q, A, B, S = "Why does bread rise?", "The yeast makes gas.", "The oven does it.", "Answer in one sentence."
ASK = [{"role": "user", "content": Q}]
YES, NO = ([{"role": "assistant", "content": text}] for text in (A, B))
LONG = f"{Q} Say it in your own words."
SYSTEM = [{"role": "system", "content": S}]
HH = f"\n\nHuman: {Q}\n\nAssistant: "
BOTH = f"{S}\n\n{Q}"


def read(row):
    example = RowFormat(columns={}).example(row)
    requests = example.requests((Rubric.parse("helpfulness"),))
    return requests[0][0].instruction, [side[0].response for side in requests]


@pytest.mark.parametrize(
    ("row", "instruction"),
    [
        ({"system": S, "prompt": Q, "response": A}, BOTH),
        ({"system": [{"type": "text", "text": S}], "messages": ASK + YES}, BOTH),
        ({"system": {"role": "system", "content": S}, "prompt": Q, "response": A}, BOTH),
        ({"system": str([{"type": "text", "text": S}]), "prompt": Q, "response": A}, BOTH),
        ({"system": json.dumps({"role": "system", "content": S}), "prompt": Q, "response": A}, BOTH),
        ({"system": json.dumps({"parts": [{"text": S}]}), "prompt": Q, "response": A}, BOTH),
        ({"system": '{"content": "x"}', "prompt": Q, "response": A}, '{"content": "x"}\n\n' + Q),
        ({"system": '["Be brief."]', "prompt": Q, "response": A}, '["Be brief."]\n\n' + Q),
        ({"system": S, "prompt": json.dumps(ASK), "response": A}, BOTH),
        ({"system": S, "prompt": SYSTEM + ASK, "response": A}, BOTH),  # said once
        ({"system": S, "messages": SYSTEM + ASK + YES}, BOTH),
        *(({name: S, "prompt": Q, "response": A}, BOTH) for name in ("sys_prompt", "system_text", "system_role")),
        ({"system": " ", "prompt": Q, "response": A}, Q),
        ({"instruction": S, "input": Q, "output": A}, BOTH),
        ({"instruction": "Is it prime?", "input": 42, "output": A}, "Is it prime?\n\n42"),
        ({"instruction": S, "input": "", "output": A}, S),
        ({"instruction": "In 25 words?", "input": "5", "output": A}, "In 25 words?\n\n5"),  # a part of another number
        ({"instruction": "Is 2 or 3 odd?", "input": 2, "output": A}, "Is 2 or 3 odd?\n\n2"),  # by chance
        ({"instruction": "Is it odd? Input: 2\nAnswer:", "input": 2, "output": A}, "Is it odd? Input: 2\nAnswer:"),
        ({"instruction": S, "context": Q, "response": A}, BOTH),  # Dolly
        ({"user_input": S, "retrieved_contexts": ["Dough.", Q], "response": A}, f"{S}\n\nDough.\n\n{Q}"),  # Ragas
        ({"question": S, "documents": [{"id": "1", "title": "T", "text": Q}], "answer": A}, f"{S}\n\nT\n{Q}"),
        ({"input": S, "context": [Q], "actual_output": A}, BOTH),  # DeepEval
        ({"prompt": BOTH, "context": Q, "response": A}, BOTH),  # said once
        ({"instruction": Q, "context": "", "response": A}, Q),
        ({"context": Q, "response": A}, Q),
        ({"prompt": ASK, "documents": ["Dough."], "response": A}, Q),  # has no place; a warning names it
        ({"question": Q, "context": {"title": ["T"], "sentences": [["Dough."]]}, "answer": A}, Q),
        ({"messages": ASK, "response": A}, Q),
        ({"messages": ASK + YES, "response": A}, Q),
        ({"messages": json.dumps(ASK + YES)}, Q),
        ({"conversation": HH + A}, Q),
        ({"conversation": f"H: {Q}\n\nA: {A}"}, Q),
        ({"conversation": f"H: {Q}\n\nA: {A}", "response": A}, Q),
        ({"prompt": Q, "messages": ASK + YES}, Q),
        ({"prompt": Q, "response": ASK + YES}, Q),
        ({"prompt": Q, "response": json.dumps(ASK + YES)}, Q),
        ({"prompt": ASK, "completion": SYSTEM + ASK + YES}, BOTH),
        ({"completion": ASK + YES}, Q),
        ({"instructions": S, "input": ASK, "output": YES}, BOTH),  # OpenAI's Responses
        ({"preamble": S, "conversation": [{"input": Q, "output": A}]}, BOTH),  # Capybara's turns
        ({"messages": [{"type": "human", "content": Q}, {"type": "ai", "content": A}]}, Q),  # LangChain
    ],
)
def test_the_instruction_holds_system_text_and_input_once(row, instruction):
    assert read(row) == (instruction, [A])


@pytest.mark.parametrize(
    ("row", "instruction"),
    [
        ({"messages": ASK, "chosen": A, "rejected": B}, Q),
        ({"messages": ASK + YES, "chosen": ASK + YES, "rejected": ASK + NO}, Q),
        ({"conversations": ASK, "chosen": YES[0], "rejected": NO[0]}, Q),
        ({"prompt": Q, "chosen": json.dumps(ASK + YES), "rejected": json.dumps(ASK + NO)}, Q),
        ({"chosen": str(ASK + YES), "rejected": str(ASK + NO)}, Q),
        ({"system": S, "prompt": Q, "chosen": ASK + YES, "rejected": ASK + NO}, BOTH),
        ({"prompt": SYSTEM + ASK, "chosen": ASK + YES, "rejected": ASK + NO}, BOTH),
        ({"instruction": S, "input": Q, "chosen": A, "rejected": B}, BOTH),
        ({"system": S, "chosen": HH + A, "rejected": HH + B}, f"{S}\n\nHuman: {Q}\n\nAssistant:"),
        ({"prompt": Q, "chosen": HH + A, "rejected": HH + B}, Q),
        ({"prompt": Q, "completions": [ASK + YES, ASK + NO]}, Q),
        ({"prompt": Q, "chosen": {"response": A}, "rejected": {"response": B}}, Q),
        ({"messages": ASK + YES, "rejected_messages": ASK + NO}, Q),
        ({"chosen": ASK + YES, "rejected": [{**ASK[0], "time": 1}, *NO]}, Q),
    ],
)
def test_a_pairs_prompt_is_read_once(row, instruction):
    assert read(row) == (instruction, [A, B])


@pytest.mark.parametrize("history", [[["Hi", "Hello."]], [("Hi", "Hello.")], json.dumps(ASK[:0] + SYSTEM)])
def test_history_stands_before_the_question(history):
    instruction, _ = read({"query": Q, "history": history, "response": A})
    assert instruction.index("Hi" if "Hi" in str(history) else S) < instruction.index(Q)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"instruction": S, "input": [Q], "output": A}, f"got {[Q]!r:.60} as a text"),
        ({"instruction": S, "input": {"q": Q}, "output": A}, "the keys q"),
        ({"prompt": ASK, "input": "More.", "output": A}, "an 'input' beside them"),
        ({"system": {"text": 3, "x": S}, "prompt": Q, "response": A}, "got 3"),
        ({"messages": ASK + NO, "response": A}, "ends in another answer"),
        ({"prompt": "Else?", "response": ASK + YES}, "does not begin with the row's prompt 'Else?'"),
        (
            {"completions": [ASK + YES, [{"role": "user", "content": "Else?"}, *NO]]},
            "the prompts of the responses differ",
        ),
        ({"question": Q, "answer": "gold", "responses": [A, B]}, "--column responses=responses"),
        ({"conversation": "Why does bread rise?"}, "got a text in 'conversation'"),
        ({"prompt": json.dumps([Q, S]), "response": A}, "got a list of texts as the prompt"),
        ({"problem": Q, "answer": "4", "messages": ASK + YES}, "--column response=messages[-1].content"),
        ({"messages": [{"input": Q, "output": A, "more": B}, *YES]}, "got no role but the keys input, output, more"),
    ],
)
def test_what_would_lose_words_is_refused(row, said):
    with pytest.raises(RowError, match=re.escape(said)):
        read(row)


def test_an_answer_may_be_written_as_a_dialogue():
    assert read({"prompt": "Write a dialogue.", "response": HH + A}) == ("Write a dialogue.", [HH + A])


def test_another_prompt_beside_a_conversation_is_named_as_unread():
    example = RowFormat(columns={}).example({"context": "Bread is baked.", "messages": ASK + YES})
    assert unread_columns(example.columns) == ["context"]


@pytest.mark.parametrize(
    ("prompt", "beginning", "is_told"),
    [(LONG, f"{LONG}\n", True), (f"{Q}\n", f"{Q}\n", True), (LONG, "", False), ("Why", "Why ", False)],
)
@pytest.mark.parametrize("names", [("chosen", "rejected"), ("response",), ("completion",)])
def test_answers_that_begin_with_their_prompt_are_told_once(names, prompt, beginning, is_told, caplog):
    warn_of_repeated_prompt.cache_clear()
    row = {"prompt": prompt, **{name: f"{beginning}A {name}." for name in names}}
    for _ in range(2):
        read(row)
    assert len(caplog.messages) == is_told
    assert ("begins with its prompt, which the judge then reads twice" in caplog.text) is is_told


@pytest.mark.parametrize(("names", "is_told"), [(("chosen", "rejected"), True), (("response",), False)])
def test_a_short_prompt_may_be_the_beginning_of_one_answer(names, is_told, caplog):
    warn_of_repeated_prompt.cache_clear()
    read({"prompt": "The sky is", **{name: f"The sky is {name}." for name in names}})
    assert ("begins with its prompt" in caplog.text) is is_told


def test_a_pipelines_text_that_begins_with_a_prompt_of_one_word_is_told(caplog):
    warn_of_repeated_prompt.cache_clear()
    read({"prompt": "Prime?", "generated_text": "Prime? 7"})
    assert "an answer begins with its prompt" in caplog.text


def test_of_several_messages_of_the_assistant_at_the_end_the_last_is_judged():
    instruction, responses = read({"messages": ASK + NO + YES})
    assert (responses, instruction.endswith(f"User: {Q}\n\nAssistant:{B}\n\nAssistant: ")) == ([A], True)
    assert read({"responses": [ASK + NO + YES, ASK + YES]})[1] == [A, A]


def test_of_several_messages_of_the_assistant_on_both_sides_the_last_are_judged():
    example = RowFormat(columns={}).example({"chosen": ASK + NO + YES, "rejected": ASK + NO + NO})
    (asked, better), (asked_again, worse) = example.texts()
    assert (better, worse, asked == asked_again) == (A, B, True)
    assert asked.endswith(f"User: {Q}\n\nAssistant:{B}\n\nAssistant: ")
    assert example.prompt == ASK
