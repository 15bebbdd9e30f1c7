import pytest
from datasets import Dataset

from prom_reward.data.grading import batch_rows, grade_batch, graded_row, graded_rows, row_requests
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import RowError, RubricError
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import Judgment, Outcome

DEFAULT = (Rubric.parse("helpfulness"),)
LEVELS = {f"score{label}_description": f"Level {label}." for label in range(1, 6)}
COLLECTION = {
    "instruction": "###Task Description: the whole prompt ###Feedback: ",
    "orig_instruction": "Be kind.",
    "orig_response": "I am.",
    "orig_reference_answer": "Gladly.",
    "orig_criteria": "Is it kind?",
    **{f"orig_{name}": text for name, text in LEVELS.items()},
    "output": "Feedback [RESULT] 4",
}
FIELDS = {"rubric_name", "rubric_digest", "rubric_weight", "outcome", "score", "expected_score", "score_probs"}
FIELDS |= {"entropy", "sampled_scores", "feedback", "is_partial", "flags", "error"}
FIELDS |= {"num_prompt_tokens", "num_computed_tokens", "num_generated_tokens"}


def only(values, default=DEFAULT):
    (request,) = row_requests(values, default)
    return request


@pytest.mark.parametrize("instruction", ["instruction", "prompt", "orig_instruction"])
@pytest.mark.parametrize("response", ["response", "completion", "orig_response"])
@pytest.mark.parametrize("reference", ["reference_answer", "reference", "orig_reference_answer"])
def test_the_columns_have_several_names(instruction, response, reference):
    request = only({instruction: "Q", response: "A", reference: "R", "other": 1})
    assert (request.instruction, request.response, request.reference_answer) == ("Q", "A", "R")
    assert request.rubric is DEFAULT[0]


def test_messages_are_read_like_a_trainers():
    prompt = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]
    request = only({"prompt": prompt, "completion": [{"role": "assistant", "content": "<think>x</think>A"}]})
    assert (request.instruction, request.response) == ("S\n\nQ", "A")


@pytest.mark.parametrize("reference", [None, ""])
def test_an_empty_response_is_graded_and_an_empty_reference_is_none(reference):
    request = only({"instruction": "Q", "response": "", "reference_answer": reference})
    assert (request.response, request.reference_answer) == ("", None)


def test_a_row_of_the_feedback_collection_is_read_from_its_own_columns():
    request = only(COLLECTION)
    assert (request.instruction, request.response, request.reference_answer) == ("Be kind.", "I am.", "Gladly.")
    assert (request.rubric.criteria, request.rubric.descriptions[5]) == ("Is it kind?", "Level 5.")


def test_flat_rubric_columns_without_prefix_are_read_and_none_is_absent():
    assert only({"prompt": "Q", "response": "A", "criteria": "Kind?", **LEVELS}).rubric.criteria == "Kind?"
    empty = dict.fromkeys(["criteria", *LEVELS])
    assert only({"prompt": "Q", "response": "A", **empty}).rubric is DEFAULT[0]


def test_a_rows_own_rubric_wins_over_flat_columns_and_default():
    values = {**COLLECTION, "rubric": ["honesty", "reasoning"]}
    assert [request.rubric.name for request in row_requests(values, DEFAULT)] == ["honesty", "reasoning"]


def test_the_default_may_be_several_rubrics():
    default = Rubric.parse(["honesty", "reasoning"])
    assert [one.rubric.name for one in row_requests({"prompt": "Q", "response": "A"}, default)] == [
        "honesty",
        "reasoning",
    ]


def test_a_row_that_lacks_something_says_what():
    with pytest.raises(RowError, match="no instruction; got the columns id, response"):
        row_requests({"response": "A", "id": 1}, DEFAULT)
    with pytest.raises(RowError, match="got True as a text"):
        row_requests({"prompt": True, "response": "A"}, DEFAULT)
    with pytest.raises(RowError, match="got preference pairs; expected one response per row"):
        row_requests({"prompt": "Q", "chosen": "A", "rejected": "B"}, DEFAULT)


def test_a_row_without_rubric_says_how_to_give_one():
    with pytest.raises(RubricError, match=r"^no rubric; give the row a 'rubric' column.*--rubric or rubric="):
        row_requests({"prompt": "Q", "response": "A"}, ())


def test_a_batch_loses_no_row_to_another():
    rows = [
        Row("line 1", {"prompt": "Q1", "response": "A1"}),
        BrokenRow("line 2", "not valid JSON"),
        Row("line 3", {"response": "A3"}),
        Row("line 4", {"prompt": "Q4", "response": "A4", "rubric": "helpfullness"}),
        Row("line 5", {"prompt": "Q5", "response": "A5", "rubric": ["honesty", "reasoning"]}),
    ]
    (batch,) = batch_rows(rows, DEFAULT)
    assert [(row.place, request.rubric.name) for row, request in batch.pairs] == [
        ("line 1", "helpfulness"),
        ("line 5", "honesty"),
        ("line 5", "reasoning"),
    ]
    assert [row.place for row in batch.broken] == ["line 2", "line 3", "line 4"]
    assert batch.broken[2].problem.startswith("column 'rubric': unknown rubric 'helpfullness'")
    assert batch.num_rows == 5


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (16, [5])])
def test_rows_come_in_batches(size, sizes):
    rows = [Row(f"line {number}", {"prompt": "Q", "response": str(number)}) for number in range(5)]
    batches = list(batch_rows(iter(rows), DEFAULT, batch_size=size))
    assert [batch.num_rows for batch in batches] == sizes
    assert [row for batch in batches for row, _ in batch.pairs] == rows


def test_a_graded_row_holds_its_columns_and_its_judgment():
    judge = PrometheusJudge(ScriptedEngine(["Poor. [RESULT] 2", "no verdict"], confidence=1.0))
    rows = [
        Row("line 1", {"prompt": "Q", "response": "A", "id": 7, "score": 3}),
        Row("line 2", {"prompt": "Q", "response": ""}),
    ]
    (batch,) = batch_rows(rows, DEFAULT)
    scored, unscored = graded_rows(batch, grade_batch(judge, batch))
    assert set(scored) == {"prompt", "response", "id", "input_score", *FIELDS}
    assert (scored["id"], scored["input_score"], scored["rubric_name"]) == (7, 3, "helpfulness")
    assert (scored["outcome"], scored["score"], scored["feedback"], scored["sampled_scores"]) == (
        "scored",
        2,
        "Poor.",
        [2],
    )
    assert scored["score_probs"] == pytest.approx({"1": 0, "2": 1, "3": 0, "4": 0, "5": 0}, abs=1e-9)
    assert (scored["expected_score"], scored["entropy"]) == (pytest.approx(2), pytest.approx(0, abs=1e-9))
    assert (unscored["outcome"], unscored["score"], unscored["score_probs"]) == ("no_result", None, None)


def test_a_batch_of_broken_rows_asks_no_engine():
    (batch,) = batch_rows([BrokenRow("line 1", "x")], DEFAULT)
    assert grade_batch(PrometheusJudge(engine=None), batch) == []


def test_every_column_that_collides_is_kept_under_another_name():
    values = dict.fromkeys(FIELDS, "mine")
    row = graded_row(values, only({"prompt": "Q", "response": "A"}), Judgment(outcome=Outcome.TOO_LONG, error="long"))
    assert {name: row[f"input_{name}"] for name in FIELDS} == values
    assert (row["outcome"], row["error"]) == ("too_long", "long")


def test_rubrics_of_a_datasets_folder_are_read_with_arrows_padding():
    polite = {"criteria": "Polite?", **LEVELS}
    short = {"criteria": "Short?", "scale": [1, 2], **{name: LEVELS[name] for name in list(LEVELS)[:2]}}
    dataset = Dataset.from_list([{"prompt": "Q", "response": "A", "rubric": one} for one in (polite, short, None)])
    rubrics = [only(row).rubric for row in dataset]
    assert [rubric.criteria for rubric in rubrics[:2]] == ["Polite?", "Short?"]
    assert (rubrics[1].scale.labels, rubrics[2]) == ((1, 2), DEFAULT[0])


def test_no_column_of_a_row_is_lost_beside_a_judgment():
    judgment = Judgment(outcome=Outcome.SCORED, score=4, expected_score=3.9)
    row = {"prompt": "Q", "response": "A", "score": 2}
    for named in ("input_score", "input_input_score", "input_input_input_score"):
        row = graded_row(row, only(row), judgment)
        assert (row[named], row["score"]) == (2, 4)
    own = {"prompt": "Q", "response": "A", "score": 2, "input_score": "a tool's", "input_text": "t"}
    kept = graded_row(own, only(own), judgment)
    assert (kept["input_score"], kept["input_input_score"], kept["input_text"]) == (2, "a tool's", "t")
