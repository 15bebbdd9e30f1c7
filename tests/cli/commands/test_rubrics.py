import json
import re

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine

CHECKLIST = """
name: summary
criteria:
  - {text: "It is long.", name: long, weight: 2}
  - {text: "It is here.", name: here, weight: 1}
  - {text: "Avoids jargon.", name: jargon, weight: -1}
"""


@pytest.fixture
def checklist(tmp_path):
    path = tmp_path / "checklist.yaml"
    path.write_text(CHECKLIST)
    return path


@pytest.fixture
def judge():
    def met(prompt):
        is_long = "word word word word" in prompt.user
        return f"So. [RESULT] {int('here' in prompt.user or ('It is long' in prompt.user and is_long))}"

    return PrometheusJudge(ScriptedEngine(met, confidence=1.0))


@pytest.fixture
def answers(rows_file):
    return rows_file(*({"prompt": f"Question {at}", "response": "word " * at} for at in range(1, 13)))


def test_warnings_leave_the_exit_status_0(run, checklist):
    found = run("rubrics", "lint", checklist)
    assert (found.status, found.out.count("\n")) == (0, 1)
    assert re.match("warning double_negation: summary 3: ", found.out)


def test_a_rubric_that_cannot_be_read_is_an_error(run, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("- {text: 'It is short.', weight: 1}\n- {text: '', weight: 1}\n")
    found = run("rubrics", "lint", path, "--json")
    assert (found.status, json.loads(found.out)["errors"]) == (1, 1)
    assert "criterion 2" in json.loads(found.out)["findings"][0]["message"]


def test_rows_are_judged_and_tell_of_each_criterion(run, checklist, answers, judged_by, judge):
    judged_by(judge, command="commands.rubrics")
    found = json.loads(run("rubrics", "lint", checklist, "--rows", answers, "--judge", "smollm2-135m", "--json").out)
    told = {one["rule"]: one for one in found["findings"]}
    assert told["always_met"]["criteria"] == ["2"]
    assert told["never_met"]["criteria"] == ["3"]
    assert told["follows_length"]["criteria"] == ["1"]
    assert (found["rows"], found["criteria"]) == (12, 3)


def test_logged_judgments_need_no_judge(run, checklist, answers, judged_by, judge, tmp_path):
    judged_by(judge)
    graded = tmp_path / "graded.jsonl"
    run("grade", answers, "--rubric", checklist, "--out", graded)
    found = run("rubrics", "lint", checklist, "--rows", graded)
    assert (found.status, "rows 12" in found.err) == (0, True)
    assert "never_met: summary 3: 'jargon'" in found.out


def test_rows_with_rubrics_of_their_own_are_linted(run, rows_file):
    rows = [{"prompt": "Q", "rubrics": [{"criterion": f"Avoids the word {at}.", "points": -1}]} for at in range(25)]
    found = run("rubrics", "lint", rows_file(*rows, {"prompt": "Q"}))
    assert (found.status, "rows 26, errors 1, warnings 50" in found.err) == (1, True)
    assert found.out.count("warning double_negation") == 20
    assert "... and 5 more double_negation" in found.out
    message = "no rubric; give the row a 'rubric' column, or name its column: --column rubric=NAME"
    assert f"error unreadable: row: {message}" in found.out and "(line 26)" in found.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("nowhere.yaml",), "cannot read"),
        (("helpfulness", "--judge", "smollm2-135m"), "--judge without --rows"),
        (("helpfulness", "--mode", "score"), "--mode without --judge"),
        (("helpfulness", "--rows", "ANSWERS"), "give a --judge"),
        (("ANSWERS", "--rows", "ANSWERS"), "rubrics of their own"),
        (("TWICE", "--rows", "ANSWERS", "--judge", "smollm2-135m"), "two rubrics of the name 'checklist'"),
        (("helpfulness", "--rows", "nowhere.jsonl"), "no such file"),
        (("helpfulness", "--rows", "EMPTY"), "empty.jsonl: it has no rows; expected judged responses, or any rows"),
        (("helpfulness", "--rows", "ANSWERS", "--judge", "smolm2-135m"), "smollm2-135m"),
    ],
)
def test_bad_input_is_one_line(run, answers, arguments, problem, tmp_path):
    twice = tmp_path / "twice.yaml"
    twice.write_text("- rubric: {criteria: [It is short indeed.]}\n- rubric: {criteria: [It is here indeed.]}\n")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    files = {"ANSWERS": answers, "TWICE": twice, "EMPTY": empty}
    found = run("rubrics", "lint", *(files.get(one, one) for one in arguments))
    assert (found.status, problem in found.err) == (2, True), found.err
