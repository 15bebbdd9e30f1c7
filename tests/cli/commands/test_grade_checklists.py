import json
import re

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine

ITEMS = [
    {"criterion": "It is true indeed.", "points": 3},
    {"criterion": "It is rude somewhere.", "points": -2},
]
ROW = {"id": "a", "prompt": "Capital of France?", "response": "Paris.", "rubrics": ITEMS}
GATED = """
name: short
criteria:
  - {text: "It is short.", name: short, role: gate, check: {max_words: 3}}
  - {text: "It is true indeed.", name: "true"}
"""


@pytest.fixture
def judge():
    def met(prompt):
        return f"So. [RESULT] {int(re.search(r'It is (.....)', prompt.user)[1] == 'true ')}"

    return PrometheusJudge(ScriptedEngine(met, confidence=1.0))


def test_rows_are_graded_by_their_checklists(run, judged_by, judge, rows_file, tmp_path):
    judged_by(judge)
    out = tmp_path / "graded.jsonl"
    found = run("grade", rows_file(ROW), "--out", out)
    assert (found.status, "rubric from rubrics" in found.err) == (0, True)
    [row] = map(json.loads, out.read_text().splitlines())
    assert (row["id"], row["rubric_name"], row["outcome"]) == ("a", "checklist", "scored")
    assert row["expected_score"] == pytest.approx(1.0)
    assert [(part["name"], part["text"], part["weight"]) for part in row["parts"]] == [
        ("it_is_true_indeed", "It is true indeed.", 3),
        ("it_is_rude_somewhere", "It is rude somewhere.", -2),
    ]


def test_a_broken_checklist_is_named_with_its_line_and_left_out(run, judged_by, judge, rows_file, tmp_path):
    judged_by(judge)
    broken = {**ROW, "rubrics": [ITEMS[0], {"criterion": "It is rude."}]}
    found = run("grade", rows_file(ROW, broken), "--out", tmp_path / "graded.jsonl")
    assert found.status == 1
    assert "line 2: column 'rubrics': criterion 2: states no weight" in found.err


def test_a_file_with_a_gate_grades_one_response(run, judged_by, judge, tmp_path):
    judged_by(judge)
    path = tmp_path / "rubric.yaml"
    path.write_text(GATED)
    one = ("grade", "--instruction", "Why?", "--rubric", path, "--json", "--response")
    assert json.loads(run(*one, "Yes.").out)["expected_score"] == pytest.approx(1.0)
    closed = json.loads(run(*one, "Far too many words.").out)
    assert (closed["expected_score"], [part["source"] for part in closed["parts"]]) == (0.0, ["code", "nobody"])


def test_the_prompts_of_all_criteria_are_shown(run, tiny, rows_file):
    found = run("grade", rows_file(ROW), "--show-prompt", *tiny)
    assert [json.loads(line)["prompt"].count("It is") for line in found.out.splitlines()] == [1, 1]


def test_evaluate_measures_verdicts_on_criteria(run, judged_by, judge, rows_file, tmp_path):
    judged_by(judge, command="commands.evaluate")
    rows = [{**ROW, "prompt": f"Question {at}?", "labels": [at % 2 == 0, False]} for at in range(4)]
    page = tmp_path / "page.html"
    found = run("evaluate", rows_file(*rows), "--json", "--page", page, "--resamples", 20)
    figures = json.loads(found.out)
    assert (found.status, figures["n"], figures["accuracy"]["judge"]["value"]) == (0, 8, 0.75)
    assert figures["criteria"]["It is true indeed."]["accuracy"]["judge"]["value"] == 0.5
    assert "It is rude somewhere." in page.read_text()
    shown = run("evaluate", rows_file(*rows), "--resamples", 0)
    assert "8 verdicts on criteria" in shown.out and "It is rude somewhere." in shown.out


@pytest.mark.parametrize(
    ("more", "options", "problem"),
    [
        ({"score": 1}, (), "no verdicts on the criteria"),
        ({"labels": [True, False]}, ("--fit-calibration", "fit.json"), "--fit-calibration needs rows with scores"),
        ({"labels": [True, False]}, ("--groups", 4), "--groups and --cascade need"),
    ],
)
def test_what_verdicts_cannot_do_is_refused_in_one_line(run, tiny, rows_file, more, options, problem):
    found = run("evaluate", rows_file({**ROW, **more}), *tiny, *options)
    assert (found.status, problem in found.err) == (2, True), found.err


def test_a_labeling_shows_the_prompt_of_the_first_criterion(run, tiny, rows_file, tmp_path):
    found = run("label", rows_file(ROW), *tiny, "--out", tmp_path / "labels", "--dry-run")
    assert (found.status, "It is true indeed." in found.out + found.err) == (0, True)
