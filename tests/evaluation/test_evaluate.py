import json
import re

import pytest

from prom_reward import Judge, Judgment, Outcome, PrometheusJudge, ScriptedEngine, evaluate, evaluation_page
from prom_reward.data.labels.human_labels import LabelColumns
from prom_reward.errors import InputError
from prom_reward.evaluation.evaluate import labeled_input


def quality(prompt):
    said = re.search(r"quality (\d)", prompt.user)
    return f"Seen. [RESULT] {said[1]}" if said else "Nothing there. [RESULT] 5"


@pytest.fixture
def judge():
    return PrometheusJudge(ScriptedEngine(quality, confidence=1.0), name="good")


@pytest.fixture
def constant():
    return PrometheusJudge(ScriptedEngine(["Seen. [RESULT] 3"], confidence=1.0), name="constant")


def row(question, score, response=None):
    return {"instruction": f"Question {question}?", "response": response or f"quality {score}", "score": score}


ROWS = [row(at // 2, 1 + at % 5) for at in range(30)]
PAIRS = [
    {"prompt": f"Question {at}?", "chosen": "A quality 4", "rejected": f"quality {at % 4 + 1}"} for at in range(12)
]


def test_rows_in_memory_and_in_a_file_give_the_same(judge, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in ROWS))
    found = [evaluate(rows, judge=judge, rubric="helpfulness", resamples=20).to_dict() for rows in (ROWS, path)]
    assert found[0] == found[1]
    assert (found[0]["judge"], found[0]["n"], found[0]["left_out"]) == ("good", 30, 0)
    assert found[0]["pearson"]["integer"]["value"] == pytest.approx(1)
    assert "warning" not in found[0]["pearson"]["integer"]


def test_a_second_judge_is_compared_on_the_same_rows(judge, constant):
    asked = []
    found = evaluate(
        ROWS, judge=judge, against=constant, rubric="helpfulness", resamples=20, on_start=lambda *of: asked.append(of)
    )
    assert asked == [("good", 30), ("constant", 30)]
    assert found.difference["mae"].value == pytest.approx(-1.2)
    assert found.to_dict()["against"]["judge"] == "constant"
    pairs = evaluate(PAIRS, judge=judge, against=constant, rubric="helpfulness", resamples=20)
    assert pairs.figures.accuracy["integer"].value == pytest.approx((9 + 1.5) / 12)
    assert pairs.difference["pairwise_accuracy"].value == pytest.approx(0.375)


def test_an_interval_from_few_questions_carries_a_warning(judge):
    few = evaluate(ROWS[:18], judge=judge, rubric="helpfulness", resamples=20).to_dict()
    assert few["mae"]["constant"]["warning"] == "interval from 9 questions; expected at least 10"
    enough = evaluate(ROWS[:20], judge=judge, rubric="helpfulness", resamples=20).to_dict()
    assert "warning" not in enough["mae"]["constant"]
    few_pairs = evaluate(PAIRS[:9], judge=judge, rubric="helpfulness", resamples=20).to_dict()
    assert "warning" in few_pairs["pairwise_accuracy"]["expected"]


def test_rows_without_an_answer_are_measured_apart(judge):
    empty = [row(at, 1, text) for at, text in enumerate(["N/A", "No response.", " "])]
    found = evaluate([*ROWS, *empty], judge=judge, rubric="helpfulness", resamples=0).to_dict()
    assert found["n"] == 30
    assert found["mae"]["integer"]["value"] == 0
    assert found["without_answer"]["n"] == 3
    assert found["without_answer"]["mae"]["integer"]["value"] == 4  # it gives an empty answer 5 of 5
    pairs = [*PAIRS, {"prompt": "q", "chosen": "-", "rejected": "quality 1"}]
    found = evaluate(pairs, judge=judge, rubric="helpfulness", resamples=0).to_dict()
    assert (found["n"], found["without_answer"]["n"]) == (12, 1)
    assert "without_answer" not in evaluate(ROWS, judge=judge, rubric="helpfulness", resamples=0).to_dict()


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([*ROWS[:2], *PAIRS], {"rubric": "helpfulness"}, "got rows with scores \\(2\\) and preference pairs \\(12\\)"),
        ([], {}, "rows: no labeled row; it has no rows"),
        (ROWS, {}, "rows: no labeled row of [0-9]+; row 1: "),
        (ROWS, {"rubric": "helpfulness", "columns": LabelColumns(score="stars")}, "expected one of stars"),
    ],
)
def test_rows_are_checked_without_a_judge(rows, options, said):
    with pytest.raises(InputError, match=said):
        labeled_input(rows, **options)


def test_rows_that_cannot_be_used_are_named(judge):
    found = evaluate([*ROWS, {**ROWS[0], "score": "none"}], judge=judge, rubric="helpfulness", resamples=0)
    assert found.to_dict()["left_out"] == 1
    assert found.problems[0].startswith("row 31: got 'none' as the score")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [([1, 2], {}, "row 1: got int"), (ROWS, {"limit": -1}, "limit=-1"), (ROWS, {"resamples": -1}, "resamples=-1")],
)
def test_what_is_no_row_and_no_number_of_rows_is_refused(judge, rows, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(rows, judge=judge, rubric="helpfulness", **options)


class Counting(Judge):
    """A judge of a user's own that gives what its name says."""

    fingerprint = "counting"

    def __init__(self, gives):
        self.gives = gives

    def grade(self, requests):
        scores = [int(re.search(r"quality (\d)", request.response)[1]) for request in requests]
        return [Judgment(outcome=Outcome.SCORED, **dict.fromkeys(self.gives, one)) for one in scores]


@pytest.mark.parametrize("gives", [("score",), ("expected_score",), ("score", "expected_score")])
def test_a_judge_of_ones_own_is_measured_by_what_it_gives(gives):
    kinds = ["expected", *(["integer"] if "score" in gives else [])]
    rows = evaluate(ROWS, judge=Counting(gives), rubric="helpfulness", resamples=0)
    assert {kind: rows.figures.measures["pearson"][kind].value for kind in kinds} == pytest.approx(
        dict.fromkeys(kinds, 1)
    )
    pairs = evaluate(PAIRS, judge=Counting(gives), rubric="helpfulness", resamples=0).figures.accuracy
    assert {kind: pairs[kind].value for kind in kinds} == pytest.approx(dict.fromkeys(kinds, (9 + 1.5) / 12))
    assert ("integer" in pairs, "integer" in rows.figures.partial) == ("score" in gives, "score" in gives)
    assert "Confusion" in evaluation_page(rows) or "score" not in gives
