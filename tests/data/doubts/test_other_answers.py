import pytest

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
        *("rollout", "result", "llm", "gpt4", "text", "assistant", "code", "submission", "Response", "modelOutput"),
        *("gpt-4o", "GPT-3.5-turbo-0125", "llama", "meta-llama/Llama-3.1-8B-Instruct", "claude-3-opus", "o1"),
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
        {"model_answer": " "},
        {"answer_type": "number", "answer_id": "a7", "model": "gpt-4"},
        {"final_answer": "5"},  # a reference, of which recognition tells
        {"incorrect_answers": ["5"], "answer_length": 1},
        {"text": "Below is a question.\n\n### Question:\n2 +  2?\n\n### Answer:\n4"},  # Alpaca's
        {"text": "Q: 2 + 2?"},
        {"llama8b_solve_rate": 0.5, "gpt4_score": "5", "gpt4_reason": "Right.", "claude_id": "c"},
        {"rollouts": ["4", "5"]},  # one is the same
        {"samples": [], "code": " "},
        {"attempt": 2, "sample": 7, "pred": True, "model_answer": 4},
    ],
)
def test_columns_that_are_no_other_answer_leave_it_alone(more):
    assert example({"question": "2 + 2?", "answer": "4", **more}).responses == ("4",)


@pytest.mark.parametrize("other", ["rollouts", "sampled_answers", "model_responses", "samples", "llmCompletions"])
def test_an_answer_beside_several_others_may_be_the_truth(other):
    row = {"question": "2 + 2?", "answer": "4", other: ["5", "6"]}
    with pytest.raises(RowError, match=rf"^got 'answer' and '{other}', .* --column responses={other}$"):
        example(row)
    assert example(row, responses=other).responses == ("5", "6")


def test_code_that_stands_in_the_answer_is_a_part_of_it():
    row = {"instruction": "Print 1.", "output": "Use this:\n```\nprint(1)\n```", "code": "print(1)"}
    assert example(row).responses == (row["output"],)
    with pytest.raises(RowError, match="got 'output' and 'code'"):
        example({**row, "code": "print(2)"})


def test_an_answer_beside_a_number_may_be_the_truth():
    with pytest.raises(RowError, match="got 'answer' and 'pred'"):
        example({"question": "2 + 2?", "answer": 4, "pred": 5})
