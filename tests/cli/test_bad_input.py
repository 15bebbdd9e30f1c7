"""What cannot be used is named in one line, with status 2, by every command that takes it."""

import pytest

GRADED = {"instruction": "Name a prime.", "response": "Seven.", "score": 4}
JUDGES = {
    "an empty folder": lambda at: at.mkdir(),
    "no such folder": lambda at: None,
    "a folder of no model": lambda at: (at.mkdir(), (at / "config.json").write_text("[]")),
    "no such file.yaml": lambda at: None,
    "broken.yaml": lambda at: at.write_text("model: ["),
    "mistyped.yaml": lambda at: at.write_text("preset: smollm2-135m\nmoed: score"),
    "weightless.yaml": lambda at: at.write_text("model: /no/such/folder"),
}
RUBRICS = {
    "no such file.yaml": lambda at: None,
    "broken.yaml": lambda at: at.write_text("criteria: ["),
    "levels.yaml": lambda at: at.write_text("criteria: Is it so?\nscore1_description: No."),
}
LABEL = ("label", "ROWS", "--out", "OUT", "--rubric", "helpfulness")
WITH_JUDGE = {
    "grade one": ("grade", "--instruction", "Q", "--response", "A", "--judge"),
    "grade": ("grade", "ROWS", "--rubric", "helpfulness", "--judge"),
    "grade --dry-run": ("grade", "ROWS", "--rubric", "helpfulness", "--dry-run", "--judge"),
    "label": (*LABEL, "--judge"),
    "label --dry-run": (*LABEL, "--dry-run", "--judge"),
    "evaluate": ("evaluate", "ROWS", "--rubric", "helpfulness", "--judge"),
    "evaluate --against": ("evaluate", "ROWS", "--rubric", "helpfulness", "--against"),
    "tune": ("tune", "--data", "ROWS", "--rubric", "helpfulness", "--out", "OUT.yaml"),
    "audit": ("audit", "--quick"),
    "rejudge": ("rejudge", "LOG", "--out", "OUT", "--judge"),
    "rubrics lint": ("rubrics", "lint", "helpfulness", "--rows", "ROWS", "--judge"),
    "serve": ("serve", "--port", "0"),
    "serve --audit-judge": ("serve", "--port", "0", "--audit-judge"),
    "train-judge": ("train-judge", "ROWS", "--rubric", "helpfulness", "--out", "OUT", "--judge"),
}
WITH_RUBRIC = {
    "grade": ("grade", "ROWS", "--rubric"),
    "label": ("label", "ROWS", "--out", "OUT", "--rubric"),
    "evaluate": ("evaluate", "ROWS", "--rubric"),
    "tune": ("tune", "smollm2-135m", "--data", "ROWS", "--out", "OUT.yaml", "--rubric"),
    "audit": ("audit", "--rubric"),
    "rejudge": ("rejudge", "LOG", "--out", "OUT", "--rubric"),
    "report": ("report", "LOG", "--rubric"),
    "watch": ("watch", "LOG", "--port", "0", "--rubric"),
    "serve": ("serve", "--port", "0", "--rubric"),
    "train-judge": ("train-judge", "ROWS", "--out", "OUT", "--rubric"),
}
WITH_ROWS = {
    "grade": ("grade", "--rubric", "helpfulness"),
    "label": ("label", "--out", "OUT", "--rubric", "helpfulness"),
    "evaluate": ("evaluate", "--rubric", "helpfulness"),
    "tune": ("tune", "smollm2-135m", "--rubric", "helpfulness", "--out", "OUT.yaml", "--data"),
    "audit --attacks": ("audit", "--attacks"),
    "audit --tasks": ("audit", "--tasks"),
    "rejudge": ("rejudge",),
    "report": ("report",),
    "rubrics lint": ("rubrics", "lint", "helpfulness", "--judge", "smollm2-135m", "--rows"),
    "train-judge": ("train-judge", "--rubric", "helpfulness", "--out", "OUT"),
    "build-training-data": ("build-training-data", "--out", "OUT", "--tasks"),
    "build-training-data --pairs": ("build-training-data", "--out", "OUT", "--pairs"),
}
ROWS = {
    "no such file.jsonl": lambda at: None,
    "an empty folder": lambda at: at.mkdir(),
    "broken.json": lambda at: at.write_text("["),
    "other.jsonl": lambda at: at.write_text('{"unknown": 1}\n'),
}
CONFIGS = {
    "no such file.yaml": lambda at: None,
    "broken.yaml": lambda at: at.write_text("judge: ["),
    "mistyped.yaml": lambda at: at.write_text("jugde: smollm2-135m"),
    "a list.yaml": lambda at: at.write_text("- judge"),
}


@pytest.fixture
def refused(run, rows_file, tmp_path, log):
    """Runs a command on something that cannot be used, and checks that one line with status 2 says so."""

    def check(arguments, make, name):
        bad = tmp_path / name
        make(bad)
        places = {"ROWS": rows_file(GRADED, GRADED), "LOG": log, "OUT": tmp_path / "out"}
        places["OUT.yaml"] = tmp_path / "out.yaml"
        shown = run(*(places.get(one, one) for one in arguments), bad)
        assert (shown.status, shown.err.splitlines()[-1].partition(" ")[0]) == (2, "error:"), shown.err
        assert shown.out == ""

    return check


@pytest.mark.parametrize("name", JUDGES)
@pytest.mark.parametrize("command", WITH_JUDGE)
def test_a_judge_that_is_none(refused, command, name):
    refused(WITH_JUDGE[command], JUDGES[name], name)


@pytest.mark.parametrize("name", RUBRICS)
@pytest.mark.parametrize("command", WITH_RUBRIC)
def test_a_rubric_that_is_none(refused, command, name):
    refused(WITH_RUBRIC[command], RUBRICS[name], name)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("command", WITH_ROWS)
def test_rows_that_are_none(refused, command, name):
    refused(WITH_ROWS[command], ROWS[name], name)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("command", ["grade", "label", "train-judge"])
def test_a_config_that_is_none(refused, command, name):
    refused((command, "--config"), CONFIGS[name], name)
