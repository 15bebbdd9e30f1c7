import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from prom_reward.data.doubts.unread import unread_columns
from prom_reward.data.formats import RowFormat
from prom_reward.data.labels.human_labels import labeled_requests
from prom_reward.errors import RowError
from prom_reward.prompts.prometheus import task_texts
from prom_reward.prompts.template import grading_prompt
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest
from tests.data.layout_rows import LAYOUTS, A, B, Q, S, table
from tests.prompts.test_messages import openai, sharegpt

HELPFUL = (Rubric.parse("helpfulness"),)
ASK = [{"role": "user", "content": "Hi?"}]
ASK_NOTHING = [{"role": "user", "content": " "}]
YES, NO = ([{"role": "assistant", "content": text}] for text in ("Yes.", "No."))


def example(values, **columns):
    return RowFormat(columns=columns).example(values)


def problem(values, **columns):
    with pytest.raises(RowError) as error:
        example(values, **columns)
    return str(error.value)


@pytest.mark.parametrize(
    ("values", "kind", "prompt", "responses"),
    [
        ({"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."}, "pair", "Hi?", ("Yes.", "No.")),
        ({"question": "Hi?", "chosen": "Yes.", "rejected": "No."}, "pair", "Hi?", ("Yes.", "No.")),
        ({"prompt": ASK, "chosen": YES, "rejected": NO}, "pair", ASK, (YES, NO)),
        ({"chosen": ASK + YES, "rejected": ASK + NO}, "pair", ASK, (YES, NO)),
        (
            {"prompt": "Hi?", "chosen": ASK + YES, "rejected": ASK + NO},
            "pair",
            ASK,
            (YES, NO),
        ),  # UltraFeedback binarized
        ({"prompt": ASK, "chosen": ASK + YES, "rejected": ASK + YES}, "pair", ASK, (YES, YES)),
        (
            {"chosen": "\n\nHuman: A?\n\nAssistant: Bee", "rejected": "\n\nHuman: A?\n\nAssistant: Bear"},
            "pair",
            "\n\nHuman: A?\n\nAssistant:",
            (" Bee", " Bear"),
        ),
        ({"prompt": "Hi?", "completion": "Yes."}, "response", "Hi?", ("Yes.",)),
        ({"instruction": "Hi?", "response": ""}, "response", "Hi?", ("",)),
        ({"prompt": ASK, "completion": YES}, "response", ASK, (YES,)),
        ({"instruction": "whole", "orig_instruction": "Hi?", "orig_response": "Yes."}, "response", "Hi?", ("Yes.",)),
        ({"prompt": "Hi?", "completions": ["Yes.", "No."]}, "responses", "Hi?", ("Yes.", "No.")),
        ({"prompt": ASK, "completions": [YES, NO]}, "responses", ASK, (YES, NO)),
        ({"prompt": ASK, "completions": [*YES, *NO]}, "responses", ASK, (YES, NO)),
        (
            {
                "instruction": "Hi?",
                "completions": [{"model": "a", "response": "Yes."}, {"model": "b", "response": "No."}],
            },
            "responses",
            "Hi?",
            ("Yes.", "No."),
        ),
    ],
)
def test_every_known_form_is_recognized(values, kind, prompt, responses):
    found = example(values)
    assert (found.kind, found.prompt, found.responses) == (kind, prompt, responses)
    rubrics = example({**values, "rubric": "honesty"}).requests(HELPFUL)
    assert [[one.rubric.name for one in requests] for requests in rubrics] == [["honesty"]] * len(responses)


def test_columns_have_the_names_that_options_give():
    values = {"q": "Hi?", "better": "Yes.", "worse": "No.", "key": 7, "ideal": "Yes!", "how": "honesty"}
    columns = {"prompt": "q", "chosen": "better", "rejected": "worse", "id": "key"}
    found = example(values, **columns, reference_answer="ideal", rubric="how")
    assert (found.kind, found.prompt, found.responses, found.id) == ("pair", "Hi?", ("Yes.", "No."), "7")
    [[chosen], [rejected]] = found.requests(HELPFUL)
    assert chosen == GradingRequest(
        instruction="Hi?", response="Yes.", rubric=Rubric.parse("honesty"), reference_answer="Yes!"
    )
    assert rejected.response == "No."


def test_a_reference_is_the_rows_own_or_the_one_for_all():
    row_format = RowFormat(columns={}, reference_answer="for all")
    rows = [{"prompt": "Hi?", "completion": "Yes.", "reference_answer": value} for value in ("own", "", None)]
    assert [row_format.example(row).reference_answer for row in rows] == ["own", "for all", "for all"]


def test_several_rubrics_of_a_row_give_several_requests():
    row = {"prompt": "Hi?", "chosen": "a", "rejected": "b", "rubric": ["honesty", "helpfulness"]}
    assert [[one.rubric.name for one in side] for side in example(row).requests(())] == [["honesty", "helpfulness"]] * 2


def test_a_published_prompt_is_taken_apart(rubric):
    request = GradingRequest(instruction="Hi?", response="Yes.", rubric=rubric, reference_answer="Yes!")
    text = grading_prompt(request, task_texts("prometheus-v2", "prometheus"), guard=False).user
    found = example({"id": "a", "prompt": text})
    assert (found.kind, found.prompt, found.responses, found.id) == ("response", "Hi?", ("Yes.",), "a")
    [[made]] = found.requests(())
    assert (made.reference_answer, made.rubric.text) == ("Yes!", rubric.text)


TURNS = (
    lambda text, verdict: {"instruction": text, "output": verdict},
    lambda text, verdict: {"prompt": text, "completion": verdict},
    lambda text, verdict: {"prompt": turns(text), "completion": turns(text, verdict)[1:]},
    lambda text, verdict: {"messages": turns(text, verdict)},
    lambda text, verdict: {"messages": [{"role": "system", "content": "Judge."}, *turns(text, verdict)]},
    lambda text, verdict: {"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": verdict}]},
)
"""Rows that train a judge, in the layouts of other trainings."""


def turns(text, *answers):
    return [{"role": "user", "content": text}, *({"role": "assistant", "content": answer} for answer in answers)]


@pytest.mark.parametrize("row", TURNS)
def test_a_row_that_trains_a_judge_is_what_the_judge_was_asked(row):
    request = GradingRequest(instruction="Hi?", response="Yes.", rubric=HELPFUL[0], reference_answer="Yes!")
    text = grading_prompt(request, task_texts("prometheus-v2", "prometheus"), guard=False).user
    found = example(row(text, "Kind. [RESULT] 4"))
    assert (found.prompt, found.responses, found.reference_answer) == ("Hi?", ("Yes.",), "Yes!")
    [labeled] = labeled_requests(found)
    assert (labeled.scores, labeled.feedback) == ((4.0,), "Kind.")
    assert unread_columns(found.columns) == []
    assert example(row(text, "No verdict.")).responses != ("Yes.",)


def test_a_row_that_trains_a_judge_has_its_label_beside_an_empty_output_too():
    request = GradingRequest(instruction="Hi?", response="Yes.", rubric=HELPFUL[0])
    text = grading_prompt(request, task_texts("prometheus-v2", "prometheus"), guard=False).user
    [labeled] = labeled_requests(example({"messages": turns(text, "Kind. [RESULT] 4"), "output": ""}))
    assert labeled.scores == (4.0,)


@pytest.mark.parametrize("answers", [{"chosen": "A. [RESULT] A", "rejected": "B."}, {"responses": ["[RESULT] A", "B"]}])
def test_verdicts_of_a_judge_that_compares_are_judged_themselves(answers):
    text = "###Task Description:\nCompare.\n\n###Response A:\none\n\n###Response B:\nother\n\n###Feedback: "
    assert len(example({"prompt": text, **answers}).responses) == 2


@pytest.mark.parametrize("row", TURNS)
def test_a_row_that_trains_a_judge_to_compare_is_refused(row):
    text = "###Task Description:\nCompare.\n\n###Response A:\none\n\n###Response B:\nother\n\n###Feedback: "
    with pytest.raises(RowError, match="with two responses to compare; expected the responses in columns"):
        example(row(text, "A is kind. [RESULT] A"))


def test_keys_that_arrow_pads_with_none_are_gone():
    padded = [{"role": "assistant", "content": "Yes.", "tool_calls": None}]
    assert example({"prompt": "Hi?", "chosen": padded, "rejected": padded}).responses == (YES, YES)


def test_nested_nulls_are_empty_texts():
    silent = [{"role": "assistant", "content": None}]
    found = example({"prompt": ASK, "chosen": silent, "rejected": YES, "rubric": None, "reference_answer": None})
    assert [[one.response for one in side] for side in found.requests(HELPFUL)] == [[""], ["Yes."]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": "a", "label": 1}, "unknown format: got label, text; expected chosen and rejected"),
        ({"ask": "a", "reply": "b"}, "for example --column prompt=MY_QUESTION --column response=MY_ANSWER"),
        ({"data": {"ask": "a", "reply": "b"}}, "response=MY_ANSWER (a path as data.ask reaches into a mapping)"),
        (
            {"Prompt": "a", "Model Response": "b"},
            "for example --column prompt=Prompt --column response='Model Response'",
        ),
        ({"text": "Human: a\n\nAssistant: b"}, "for example --column messages=text for a whole dialogue"),
        ({"instruction": "Q", "completions": [{"response": "A"}, {"response": None}]}, "answer 2: got nothing in an"),
        ({}, "unknown format: got no columns"),
        *(({"prompt": blank, "response": "A"}, "the instruction is empty") for blank in ("", " \n", [], ASK_NOTHING)),
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "the instruction is empty"),
        ({"prompt": "a", "response": None}, "no response; got the columns prompt, response (null), expected"),
        ({"prompt": "a", "rejected": "b"}, "a pair without 'chosen'"),
        ({"prompt": "a", "chosen": None, "rejected": "b"}, "a pair without 'chosen'"),
        ({"prompt": "a", "chosen": "b", "rejected": None}, "a pair without 'rejected'"),
        ({"chosen": "same", "rejected": "same"}, "no prompt: got two answers and no column with the question"),
        ({"chosen": "Say yes now", "rejected": "Say yesterday"}, "no prompt: got two answers"),
        ({"chosen": YES, "rejected": NO}, "no prompt: got two answers"),
        ({"chosen": ASK + YES, "rejected": [{"role": "user", "content": "Else?"}, *NO]}, "differ: message 1"),
        ({"chosen": ASK + YES, "rejected": "No."}, "got a text and messages as the two sides"),
        ({"prompt": "a", "chosen": True, "rejected": 2}, "got True as a text"),
        ({"prompt": "Why?", "chosen": ASK + YES, "rejected": ASK + NO}, "does not begin with the row's prompt 'Why?'"),
        (
            {"chosen": "\n\nHuman: A?\n\nAssistant: x", "rejected": "\n\nHuman: B?\n\nAssistant: y"},
            "the prompts of chosen and rejected differ: ",
        ),
        ({"prompt": "a", "chosen": ["b"], "rejected": ["c", "d"]}, "got 2 answers as 'rejected'"),
        ({"prompt": "a", "completions": []}, "got [] as the responses"),
        ({"prompt": "a", "completions": ["b", "c"], "labels": [True, False]}, "the steps of one answer"),
        ({"prompt": "a", "completions": "b"}, "got 'b' as the responses"),
        ({"prompt": "a", "completions": [{"model": "x"}]}, "got an answer with the keys model"),
        ({"completion": "b"}, "no instruction; got the columns completion"),
        ({"prompt": "a", "completion": "b", "reference": ["c", "d"]}, "got list as the reference answer"),
        ({"prompt": "a", "completion": "b", "history": 3}, "got 3 as the history"),
        ({"prompt": ASK, "completion": "b", "input": "c"}, "got messages and an 'input' beside them"),
        ({"messages": ASK}, "no response; got the columns messages, expected one of orig_response, "),
        ({"prompt": "a", "response_a": "b", "response_b": "c"}, "no column that says which is better"),
        ({"prompt": "a", "response_a": "b", "response_b": "c", "winner": "tie"}, ": a tie, which is no pair"),
    ],
)
def test_what_is_wrong_is_said(values, said):
    assert said in problem(values)


def test_a_named_column_that_is_missing_is_said():
    assert "no column 'q' for prompt" in problem({"p": "a", "completion": "b"}, prompt="q")


def test_a_path_reaches_into_lists_and_mappings():
    row = {"turns": [{"text": "Hi?"}, {"text": "Yes."}], "extra": {"gold": 7}}
    found = example(row, prompt="turns[0].text", response="turns[-1].text", reference_answer="extra.gold")
    assert (found.prompt, found.responses, found.reference_answer) == ("Hi?", ("Yes.",), "7")


def words(letters):
    return st.lists(st.text(letters, min_size=3, max_size=9), min_size=1, max_size=5).map(" ".join)


@given(question=words("abc"), answer=words("def"), other=words("ghi"), system=words("jkl"), past=words("mno"))
def test_every_word_of_the_question_and_of_the_answer_is_read_in_every_layout(question, answer, other, system, past):
    ask, yes, no = openai([("user", question)]), openai([("assistant", answer)]), openai([("assistant", other)])
    dialogue = f"\n\nHuman: {question}\n\nAssistant: "
    rows = [
        {"instruction": system, "input": question, "output": answer},
        {"system": system, "question": question, "response": answer, "history": [[past, past]]},
        {"system_prompt": system, "prompt": ask, "completion": yes},
        {"messages": ask + yes},
        {"conversations": sharegpt([("user", question), ("assistant", answer)])},
        {"chosen": dialogue + answer, "rejected": dialogue + other},
        {"prompt": question, "chosen": ask + yes, "rejected": ask + no},
        {"input": question, "chosen": answer, "rejected": other},
        {"history": question, "human_ref_A": other, "human_ref_B": answer, "labels": 0},
        {"messages": ask + yes, "rejected_response": other},
        {"instruction": question, "completions": [{"response": answer}, {"response": other}]},
    ]
    for row in rows:
        first = example(row).requests(HELPFUL)[0][0]
        assert first.response == answer
        given_words = set(question.split()) | (set(system.split()) if system in row.values() else set())
        given_words |= set(past.split()) if "history" in row and "system" in row else set()
        assert given_words <= set(first.instruction.replace("Assistant:", " ").split())


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_public_layout_gives_question_and_answer(name):
    found = example(LAYOUTS[name])
    requests = found.requests(HELPFUL)
    assert Q in requests[0][0].instruction
    assert requests[0][0].response == A
    assert [side[0].response for side in requests[1:]] == ([B] if len(requests) > 1 else [])
    assert (S in requests[0][0].instruction) == (S in str(LAYOUTS[name]))


def test_the_readmes_table_is_what_the_code_reads():
    text = (Path(__file__).parents[2] / "prom_reward/data/README.md").read_text(encoding="utf-8")
    assert table() in text


def arena_row(prompts, first, second, **more):
    """A row of the arena's CSV file: turns as JSON lists."""
    texts = {"prompt": prompts, "response_a": first, "response_b": second}
    return {
        **{name: json.dumps(text) for name, text in texts.items()},
        "winner_model_a": 0,
        "winner_model_b": 1,
        **more,
    }


def test_turns_in_lists_are_one_question_and_two_answers():
    found = example(arena_row([Q], [A], [B], winner_tie=0, model_a="x", model_b="y"))
    assert (found.kind, found.prompt, found.responses) == ("pair", Q, (B, A))
    assert example({**arena_row([Q], [A], [B]), "prompt": [Q], "response_a": [A], "response_b": [B]}).prompt == Q


def test_several_turns_in_lists_are_a_conversation():
    found = example(arena_row([Q, "And salt?"], ["So.", A], ["So.", B]))
    said = [(text["role"], text["content"]) for text in found.prompt]
    assert said == [("user", Q), ("assistant", "So."), ("user", "And salt?")]
    assert [response[0]["content"] for response in found.responses] == [B, A]
    assert "prompts of chosen and rejected differ" in problem(arena_row([Q, "And salt?"], ["So.", A], ["No.", B]))


@pytest.mark.parametrize("second", [[None], [B, B], "text"])
def test_lists_of_other_lengths_are_refused(second):
    assert "as an answer; expected a text for each" in problem(arena_row([Q], [A], second))


def test_the_post_of_two_summaries_is_their_prompt():
    info = {"id": "1", "subreddit": "Baking", "title": "Bread", "post": "It rose.", "site": None, "article": None}
    row = {"info": info, "summaries": [{"text": A}, {"text": B}], "choice": 1}
    found = example(row)
    assert found.prompt == "SUBREDDIT: r/Baking\n\nTITLE: Bread\n\nPOST: It rose.\n\nTL;DR:"
    assert found.responses == (B, A)
    article = {"id": "1", "subreddit": None, "title": "Bread", "post": None, "site": "cnndm", "article": "It rose."}
    assert example({**row, "info": article}).prompt == "TITLE: Bread\n\nARTICLE: It rose.\n\nTL;DR:"
    assert example({**row, "prompt": Q}).prompt == Q
    assert "no prompt" in problem({**row, "info": {"id": "1"}})


def test_webgpt_asks_the_full_text_and_its_quotes_are_named_as_unread():
    row = {**LAYOUTS["WebGPT"], "quotes_0": {"title": ["Bread"], "extract": ["Dough holds gas."]}}
    found = example(row)
    assert (found.prompt, found.responses) == (Q, (A, B))
    assert unread_columns(found.columns) == ["quotes_0"]
