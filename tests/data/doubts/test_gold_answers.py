import pytest

from prom_reward.data.doubts.gold_answers import is_doubtful
from prom_reward.data.formats import RowFormat
from prom_reward.errors import RowError

Q = "Is 48 / 2 + 48 = 72?"


def example(row, **named):
    return RowFormat(columns=named).example(row)


@pytest.mark.parametrize("solution", ["2 + 2 is 4.", "", None])
def test_an_answer_beside_a_solution_may_be_the_truth_too(solution):
    row = {"problem": "2 + 2?", "answer": "4", "solution": solution}  # DeepScaleR, MATH-500
    with pytest.raises(RowError, match="'answer' and 'solution', which may both be the reference"):
        example(row)
    named = example(row, response="answer")
    assert (named.responses, named.reference_answer) == (("4",), solution or None)
    if solution:
        assert example({**row, "answer": "5"}, reference_answer="solution").reference_answer == solution
    else:
        assert example({**row, "model": "gpt-4"}).responses == ("4",)  # padded
    asked = example({"question": "2 + 2?", "answer": "5", "ground_truth": "4"})  # of older Ragas
    assert (asked.responses, asked.reference_answer) == (("5",), "4")


@pytest.mark.parametrize(
    ("more", "beside"),
    [
        ({"answer": "48 / 2 = <<48/2=24>>24\n#### 72"}, "the end '#### 72', as GSM8K's has"),
        ({"answer": "#### 1,000 ", "source": "x"}, "the end '#### 1,000'"),
        ({"answer": "Yes.", "supporting_facts": {"title": ["a"], "sent_id": [1]}}, "'supporting_facts'"),  # HotpotQA
        ({"answer": "Yes.", "llama8b_solve_rate": 0.9}, "'llama8b_solve_rate'"),  # Big-Math
    ],
)
def test_a_benchmarks_reference_is_no_response(more, beside):
    with pytest.raises(
        RowError, match=f"^got 'answer' with {beside}.*, which is a benchmark's reference; name the ans"
    ):
        example({"question": Q, **more})
    assert example({"question": Q, **more}, response="answer").responses == (more["answer"],)
    assert example({"question": Q, **more, "model": "gpt-4"}).responses == (more["answer"],)
    assert example({"question": Q, **more, "ground_truth": "72"}).responses == (more["answer"],)


@pytest.mark.parametrize("end", ["#### Sources", "#### 3 tips", "#### Step 2"])
def test_an_answer_that_ends_in_a_heading_is_no_benchmarks(end):
    answer = f"Drink water.\n\n{end}"
    assert example({"question": Q, "answer": answer}).responses == (answer,)


@pytest.mark.parametrize(
    ("more", "doubtful"),
    [
        ({}, True),  # Orca-Math and SimpleQA have the same columns
        ({"metadata": "{}", "id": 1, "context": "A text."}, True),
        ({"reward_model": {"style": "rule"}, "score": None}, True),
        ({"contexts": ["A text."]}, False),  # Ragas
        ({"reference": "Yes."}, False),
        ({"reward_model": {"ground_truth": "Yes."}}, False),
        ({"human_score": 4}, False),
        ({"modelName": "gpt-4"}, False),
        ({"is_correct": False}, False),
    ],
)
def test_an_answer_is_doubtful_if_nothing_says_that_a_model_gave_it(more, doubtful):
    row = {"question": Q, "answer": "Yes.", **more}
    assert is_doubtful(example(row).columns) == doubtful
    assert not is_doubtful(example(row, response="answer").columns)
    assert not is_doubtful(example({**row, "response": "No."}).columns)


@pytest.mark.parametrize(
    "row",
    [
        {"question": Q, "answers": ["Yes", "yes"]},  # WebQuestions
        {"query": Q, "answers": ["Yes."], "passages": {"passage_text": ["p"]}, "wellFormedAnswers": []},  # MS MARCO
        {"input": Q, "context": "Long.", "answers": ["Yes"], "all_classes": None},  # LongBench
        {"question": Q, "answers": [{"text": "Yes", "tokens": ["Yes"]}]},  # NarrativeQA
        {"index": 0, "input": Q, "outputs": ["7012"], "length": 4096},  # RULER
        {"index": 0, "input": Q, "outputs": ["VAR", "BED"], "length": 4096, "pred": "VAR"},
        {"input": Q, "outputs": ["It is, since half of 48 is 24, and 24 and 48 make 72."]},  # natural instructions
    ],
)
def test_a_list_of_answers_may_hold_references(row):
    name = "answers" if "answers" in row else "outputs"
    with pytest.raises(RowError, match=rf"^got '{name}' and no models, ratings or reference beside them"):
        example(row)
    assert example(row, responses=name).kind == "responses"


@pytest.mark.parametrize(
    "row",
    [
        {"answers": [{"answer": "Yes.", "model": "a", "rank": 1.0}, {"answer": "No.", "model": "b", "rank": 2.0}]},
        {"answers": [{"text": "Yes.", "pm_score": 4, "selected": True}, {"text": "No.", "pm_score": 1}]},
        {"answers": ["Yes.", "No."], "ratings": [5, 1]},
        {"answers": ["Yes.", "No."], "reference_answer": "Yes."},
        {"answers": ["Yes.", "No."], "models": ["a", "b"]},
    ],
)
def test_answers_with_models_ratings_or_a_reference_are_responses(row):
    assert example({"question": Q, **row}).responses == ("Yes.", "No.")


@pytest.mark.parametrize(
    "row",
    [
        {"outputs": ["Yes, half of 48 is 24, and 24 and 48 make 72.", "No."]},
        {"outputs": ["Yes.", "No."], "models": ["a", "b"]},
        {"outputs": [{"text": "Yes.", "finish_reason": "stop"}, {"text": "No.", "finish_reason": "stop"}]},  # vLLM
        {"outputs": ["Yes."], "reference_answer": "No."},
    ],
)
def test_long_outputs_and_those_of_models_are_responses(row):
    assert example({"prompt": Q, **row}).kind == "responses"
