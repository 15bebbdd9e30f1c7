import json

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine, load_judge
from tests.evaluation.test_tuning import GOOD, USELESS, judge, labeled_rows

__all__ = ["judge"]  # a fixture


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
    done = run("tune", "smollm2-135m", "--data", data, "--out", out, "--note", USELESS)
    assert done.status == 0
    assert "nothing helps beyond chance" in done.out
    assert not out.exists()


@pytest.mark.parametrize("name", ["tuned.txt", "dev.jsonl"])
def test_a_wrong_output_is_refused_before_the_judge_is_loaded(run, data, tmp_path, name):
    done = run("tune", "smollm2-135m", "--data", data, "--out", tmp_path / name)
    assert done.status == 2
