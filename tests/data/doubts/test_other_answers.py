import pytest

from prom_reward.data.doubts.other_answers import other_answers
from prom_reward.data.formats import RowFormat
from prom_reward.errors import RowError


def example(row, **named):
    return RowFormat(columns=named).example(row)


@pytest.mark.parametrize("own", ["answer", "output"])
@pytest.mark.parametrize(
    "other",
    [
        *("model_answer", "llmAnswer", "Generated Answer", "student_answer", "candidate", "llm_response", "pred"),
        *("gpt4_answer", "generated", "reply", "final_model_output", "model_solution", "generated_solution", "attempt"),
        *("solution_str", "sampled", "output_text", "response_text", "completion_text", "responses_text", "resp"),
        *("rollout", "result", "llm", "gpt4", "assistant", "submission", "Response", "modelOutput", "hyp"),
        *("gpt-4o", "GPT-3.5-turbo-0125", "llama", "meta-llama/Llama-3.1-8B-Instruct", "claude-3-opus", "o1"),
        *("Meta-Llama-3-8B-Instruct", "DeepSeek-R1-Distill-Qwen-7B", "text-davinci-003", "zephyr-7b-beta"),
        *("answer_gpt4", "response_gpt4", "output_gpt4o", "model_out", "llm_out", "gpt-4_answer", "first_answer"),
        *("generated_answer_1", "gpt4o_answer_2", "pred_1", "yi-34b", "glm-4", "kimi-k2"),
        *("out", "gen", "ours", "hypothesis", "reply_text", "gen_text", "text_out", "raw_out", "out_text", "decoded"),
        *("output_base", "answer_ours", "outputSFT", "response_finetuned", "base_output", "llm_text", "ai_answer"),
        *("baseline", "sft", "greedy", "student", "run2", "continuation", "candidate_text", "answer2"),
        *("output_agent", "beam_out", "hypothesis_text", "model_hypothesis", "sampled_output", "gen_1"),
    ],
)
def test_an_answer_beside_another_may_be_the_truth(own, other):
    row = {"question": "2 + 2?", own: "4", other: "It is 5."}
    with pytest.raises(
        RowError, match=f"^got '{own}' and '{other}', of which one may be the reference; name the answer"
    ):
        example(row)
    assert example(row, response=other).responses == ("It is 5.",)
    assert example(row, response=own).responses == ("4",)


@pytest.mark.parametrize(
    "more",
    [
        {"model_answer": "4"},  # a copy
        {"student_answer": " "},
        {"answer_type": "number", "answer_id": "a7", "model": "gpt-4"},
        {"final_answer": "5"},  # a reference, of which recognition tells
        {"incorrect_answers": ["5"], "answer_length": 1},
        {"text": "Below is a question.\n\n### Question:\n2 + 2?\n\n### Answer:\n4"},  # Alpaca's
        {"text": "Q: 2 + 2?"},
        {"llama8b_solve_rate": 0.5, "gpt4_score": "5", "gpt4_reason": "Right.", "claude_id": "c"},
        {"rollouts": ["4", "5"]},  # one is the same
        {"samples": [], "code": " "},
        {"attempt": 2, "sample": 7, "pred": True, "model_answer": 4},
    ],
)
def test_columns_that_are_no_other_answer_leave_it_alone(more):
    assert example({"question": "2 + 2?", "answer": "4", **more}).responses == ("4",)


@pytest.mark.parametrize(
    "other",
    [
        *("rollouts", "sampled_answers", "model_responses", "samples", "llmCompletions", "gens", "hyps", "hypotheses"),
        *("generated_texts", "outs", "replies", "model_replies", "decoded"),
    ],
)
def test_an_answer_beside_several_others_may_be_the_truth(other):
    row = {"question": "2 + 2?", "answer": "4", other: ["5", "6"]}
    with pytest.raises(RowError, match=rf"^got 'answer' and '{other}', .* --column responses={other}$"):
        example(row)
    assert example(row, responses=other).responses == ("5", "6")


@pytest.mark.parametrize(
    "more",
    [
        *({"llm": "gpt-4o"}, {"bot": "alpaca-7b"}, {"assistant": "gpt-4"}, {"chatbot": "Bing"}, {"llm": "GPT 4 Turbo"}),
        *({"result": "pass"}, {"result": "21 C"}, {"predicted": "pos"}, {"candidate": "C-17"}, {"sample": "train"}),
        *({"tool_output": "21 C is it."}, {"error_output": "none at all"}, {"safety_pred": "safe"}),
        *({"judge_output": "It is [RESULT] 4"}, {"judge_response": "Score 4, since."}, {"verification_answer": "no"}),
        *({"score_output": 4}, {"language_prediction": "en"}, {"max_output": 512}, {"time_to_response": 1.5}),
        *({"type_of_answer": "short"}, {"has_answer": "True"}, {"num_response": "3"}, {"attempt": "1"}),
        *({"gpt-4": "4"}, {"gpt-4": 4}, {"gpt-4": "True"}, {"rollout": "3"}, {"submission": "2024-01-02"}),
        *({"user_response": "Thank you, friend."}, {"previous_answer": "It was 5."}, {"original_output": "It was 5."}),
        *({"student": "Mary Ann Smith"}, {"agent": "claims desk two"}, {"base": "qwen 2.5 7b"}, {"ours": "0.87"}),
        *({"agent": "You are a helpful agent."}, {"robot": "It has two arms."}, {"beam": "It is of steel."}),
        *({"agent": "Mozilla/5.0 " * 9}, {"base": "https://a.org/" * 9}, {"baseline": "https://a.org/" * 9}),
        *({"student": '{"name": "Ada", "grade": 4}' * 9}, {"result": "https://a.org/" * 9}, {"sample": "a1" * 99}),
        *({"public_outputs": ["5"]}, {"private_outputs": ["5"]}, {"sample_outputs": ["5"]}, {"hidden_outputs": ["5"]}),
        *({"example_outputs": ["5"]}, {"sample_output": "5 and 6 and 7."}, {"comment_replies": ["It is so."]}),
        *({"beams": ["steel", "wood"]}, {"null_hypothesis": "It is not."}, {"alternative_hypothesis": "It is."}),
        *({"out": 3}, {"out": "42"}, {"out": "1 2 3"}, {"out_1": "42"}, {"gen": "II"}, {"gen": "male"}),
        *({"decoded": "Hello"}, {"result": "gpt 4 turbo"}),
        *({"gen": 3}, {"gen": "3"}, {"greedy": "True"}, {"baseline": 0.5}, {"out": True}, {"run1": "pass"}),
        *({"time_out": "It was too late."}, {"policy": "It is a policy."}, {"rationale": "It is 2 and 2."}),
        *({"raw_output": "<think>2 and 2</think>It is 4."}, {"code": "en"}, {"code": "print(6 * 7)"}),
        *({"text": "Tom went home and then, tired, he slept."}, {"text": "A passage of a question."}),
    ],
)
def test_what_stands_beside_an_answer_under_such_a_name_is_none(more):
    assert example({"instruction": "2 + 2?", "output": "It is 4.", **more}).responses == ("It is 4.",)


@pytest.mark.parametrize(
    ("role", "name"),
    [
        *(("reference_answer", "model_answer"), ("reference_answer", "gpt-3.5"), ("system", "assistant")),
        *(("id", "submission"), ("input", "response_text"), ("context", "reply"), ("rubric", "result")),
    ],
)
def test_a_column_that_is_named_for_a_role_is_no_other_answer(role, name):
    row = {"instruction": "2 + 2?", "output": "4", name: "It is 5."}
    with pytest.raises(RowError, match=f"got 'output' and '{name}'"):
        example(row)
    assert example(row, **{role: name}).responses == ("4",)


def test_a_column_with_a_part_that_is_named_is_no_other_answer():
    row = {"instruction": "2 + 2?", "output": "4", "rollouts": ["It is 5."]}
    assert example(row, reference_answer="rollouts[0]").reference_answer == "It is 5."


def test_a_long_name_of_a_column_is_read_in_no_time():
    name = "gpt" + "1" * 5000 + "_1.1" * 5000 + "!"
    assert example({"instruction": "2 + 2?", "output": "4", name: "It is 5."}).responses == ("4",)


@pytest.mark.parametrize("name", ["pred", "hypothesis", "model_out"])
def test_an_answer_beside_a_number_may_be_the_truth(name):
    with pytest.raises(RowError, match=f"got 'answer' and '{name}'"):
        example({"question": "2 + 2?", "answer": 4, name: 5})


@pytest.mark.parametrize("name", ["out", "gen", "model_out"])
def test_a_models_column_that_is_null_has_no_stand_in(name):
    with pytest.raises(RowError, match=f"^no response: '{name}' is null, and 'output' may hold the reference"):
        example({"instruction": "2 + 2?", "output": "4", name: None})


@pytest.mark.parametrize(("name", "role"), [("out", "response"), ("my answer", "response"), ("gens", "responses")])
def test_a_row_without_an_answer_names_the_column_that_may_hold_it(name, role):
    row = {"question": "2 + 2?", "target": "4", name: ["It is 5."] if role == "responses" else "It is 5."}
    with pytest.raises(
        RowError, match=rf"^no response; .*; '{name}' may hold it: name it with --column {role}=\S+"
    ) as got:
        example(row)
    assert ("'" in str(got.value).rpartition("=")[2]) == (" " in name)
    with pytest.raises(RowError, match=r"to prompts are to be generated first$"):
        example({"question": "2 + 2?", "target": "4", "note": "It is 5."})


CONVERSATION = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "It is 4."}]
SURE = [
    {"messages": CONVERSATION},
    {"prompt": "2 + 2?", "completion": "It is 4."},
    {"instruction": "2 + 2?", "context": "", "response": "It is 4.", "category": "open_qa"},
]


@pytest.mark.parametrize("row", SURE)
@pytest.mark.parametrize(
    "other", ["pred", "model_answer", "gpt-4o", "rollout", "generated", "text-davinci-003", "gen", "out"]
)
def test_a_models_words_beside_a_sure_answer_are_told(row, other):
    def others(name, value, **named):
        read = example({**row, name: value}, **named)
        return other_answers(read.columns, read.responses[0])

    assert others(other, "It is 5.") == [other]
    assert others("filtered_resps", ["It is 5."]) == ["filtered_resps"]
    assert others(other, "It is 4.") == others(other, None) == others(other, " ") == others(other, True) == []
    assert others(other, "It is 5.", id=other) == []
    if "messages" not in row:
        assert others(other, "It is 5.", response=other) == []


@pytest.mark.parametrize("row", SURE)
@pytest.mark.parametrize(
    "more",
    [
        *({"model": "gpt-4o"}, {"gpt-4": "4"}, {"attempt": "It is my first."}, {"result": "It is a pass."}),
        *({"student_answer": "It is 5."}, {"judge_model_answer": "It is 4 of 5."}, {"score": "4"}, {"text": "a b c d"}),
    ],
)
def test_other_columns_beside_a_sure_answer_are_not_told(row, more):
    read = example({**row, **more})
    assert other_answers(read.columns, read.responses[0]) == []
