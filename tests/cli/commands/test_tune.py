import json

import numpy as np
import pytest

from prom_reward import PrometheusJudge, ScriptedEngine, load_judge
from prom_reward.evaluation.evaluate import labeled_input
from prom_reward.evaluation.tuning.heads import hidden_states
from tests.evaluation.tuning.test_tune import GOOD, USELESS, judge, labeled_rows

__all__ = ["judge"]  # a fixture
RUBRIC = {"criteria": "Good?", **{f"score{label}_description": f"{label}" for label in range(1, 6)}}


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "dev.jsonl"
    rows = [
        {
            "question_id": one.cluster,
            "instruction": one.request.instruction,
            "response": one.request.response,
            "rubric": "helpfulness",
            "score": one.mean_score,
        }
        for one in labeled_rows().rows
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_tuned_judge_is_written_and_read(run, judged_by, judge, data, tmp_path):
    judged_by(judge, command="commands.tune")
    out = tmp_path / "tuned.yaml"
    notes = ("--note", USELESS, "--note", GOOD)
    done = run("tune", "smollm2-135m", "--data", data, "--out", out, *notes, "--resamples", 100, "--json")
    assert done.status == 0
    figures = json.loads(done.out)
    assert (figures["settings"], figures["calibrated"], figures["out"]) == (
        {"criteria_notes": [GOOD]},
        True,
        str(out),
    )
    tuned = load_judge(out)
    assert (tuned.criteria_notes, tuned.layout) == ((GOOD,), "response_last")
    assert tuned.calibration.high_slope > 0
    again = run("tune", "smollm2-135m", "--data", data, "--out", out)
    assert (again.status, "--force" in again.err) == (2, True)


def test_nothing_is_written_if_nothing_helps(run, judged_by, data, tmp_path):
    judged_by(PrometheusJudge(ScriptedEngine(lambda prompt: "[RESULT] 3"), mode="score"), command="commands.tune")
    out = tmp_path / "tuned.yaml"
    done = run("tune", "smollm2-135m", "--data", data, "--out", out, "--note", "[be] brief")
    assert done.status == 0
    assert "nothing helps beyond chance" in done.out
    assert "'[be] brief'" in " ".join(done.out.split())
    assert not out.exists()


@pytest.mark.parametrize("name", ["tuned.txt", "dev.jsonl"])
def test_a_wrong_output_is_refused_before_the_judge_is_loaded(run, data, tmp_path, name):
    done = run("tune", "smollm2-135m", "--data", data, "--out", tmp_path / name)
    assert done.status == 2


@pytest.fixture
def told_by_states(tiny_judge_folder, tmp_path):
    """A judge's file, and rows whose labels its hidden states tell."""
    file, rows = tmp_path / "judge.yaml", tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"model": str(tiny_judge_folder), "mode": "score", "device": "cpu"}), encoding="utf-8")
    values = [
        {"question_id": at // 2, "instruction": "Go.", "response": f"{at * 7919 % 1000} is it.", "rubric": RUBRIC}
        for at in range(48)
    ]
    states = hidden_states(
        load_judge(file), [row.request for row in labeled_input([{**one, "score": 3} for one in values]).rows]
    )
    ranks = (states @ np.linspace(-1, 1, states.shape[1])).argsort().argsort()
    lines = [{**one, "score": 1 + int(rank) * 5 // 48} for one, rank in zip(values, ranks, strict=True)]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file, rows


def test_a_head_is_written_beside_the_file_and_moves_with_it(run, told_by_states, tmp_path):
    file, rows = told_by_states
    out = tmp_path / "tuned.yaml"
    done = run("tune", file, "--data", rows, "--out", out, "--note", USELESS, "--resamples", 100)
    assert (done.status, "length alone" in done.out, "head: of strength" in done.out) == (0, True, True)
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in tmp_path.glob("tuned.*"):
        path.rename(moved / path.name)
    assert load_judge(moved / "tuned.yaml").head.fitted_on.scale.labels == (1, 2, 3, 4, 5)
    measured = json.loads(run("evaluate", rows, "--judge", moved / "tuned.yaml", "--json").out)
    assert measured["spearman"]["expected"]["value"] > 0.7
    again = run("tune", moved / "tuned.yaml", "--data", rows, "--out", tmp_path / "more.yaml")
    assert (again.status, "expected one without" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[:3], "got 1 question; expected at least 20"),
        (lambda rows: [{**row, "question_id": 1} for row in rows], "got 1 question; expected at least 20"),
        (lambda rows: [{**row, "score": 3} for row in rows], "got the label 3 in all rows"),
        (lambda rows: [{**row, "score": 9} for row in rows], "9"),
    ],
)
def test_rows_that_cannot_tune_are_refused_in_a_line_before_a_judge_is_made(
    run, data, tmp_path, monkeypatch, change, told
):
    monkeypatch.setattr("prom_reward.cli.commands.tune.load_prometheus_judge", None)
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    data.write_text("".join(json.dumps(row) + "\n" for row in change(rows)), encoding="utf-8")
    done = run("tune", "smollm2-135m", "--data", data, "--out", tmp_path / "tuned.yaml")
    assert (done.status, told in done.err) == (2, True)
