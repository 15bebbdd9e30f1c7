"""A broken checklist is one line and exit status 2 in every command, before a judge is loaded."""

import json

import pytest

DOSE, RUDE = {"text": "It names a dose.", "weight": 1}, {"text": "It is rude.", "weight": -1}
BROKEN = {
    "all weights are 0": [{**DOSE, "weight": 0}, {**RUDE, "weight": 0}],
    "criterion 2: got no text": [DOSE, {"text": " ", "weight": 1}],
    "criterion 2: has the name 'a' of criterion 1": [{**DOSE, "name": "a"}, {**RUDE, "name": "a"}],
    "requires itself": [{**DOSE, "name": "a", "requires": ["b"]}, {**RUDE, "name": "b", "requires": ["a"]}],
    "the weights of its children are all 0": [{"text": "Both parts.", "children": [{**DOSE, "weight": 0}]}],
    "Did you mean 'max_words'?": [{**DOSE, "check": {"max_word": 60}}],
    "Did you mean 'loads'?": [{**DOSE, "check": "json:lods"}],
    "No module named 'no_such_module'": [{**DOSE, "check": "no_such_module:lods"}],
    "got 1001 criteria; expected at most 1000": [{"text": f"It has word number {at}."} for at in range(1001)],
    "expected 'weight' or 'points'": [{"text": "It names a dose.", "score": 5}],
}
COMMANDS = {
    "grade": ["grade", "--instruction", "Hi", "--response", "Hello"],
    "grade rows": ["grade", "rows.jsonl", "--out", "graded.jsonl"],
    "label": ["label", "rows.jsonl", "--out", "labels"],
    "dry run": ["label", "rows.jsonl", "--out", "labels", "--dry-run"],
    "evaluate": ["evaluate", "rows.jsonl", "--judge", "smollm2-135m"],
    "train-judge": ["train-judge", "rows.jsonl", "--out", "judge"],
    "audit": ["audit", "smollm2-135m", "--quick"],
    "serve": ["serve", "smollm2-135m"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    def loaded(*args, **settings):
        raise AssertionError("the judge was loaded")

    monkeypatch.setattr("prom_reward.engines.local.transformers_engine.load_model", loaded)
    monkeypatch.chdir(tmp_path)
    row = {"prompt": "Hi", "response": "Hello", "score": 3}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(row)}\n" * 3)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_broken_rubric_file_is_refused(run, folder, command):
    for message, criteria in BROKEN.items():
        (folder / "own.json").write_text(json.dumps({"criteria": criteria}))
        ended = run(*COMMANDS[command], "--rubric", "own.json")
        assert ended.status == 2, ended.err
        assert ended.err.startswith("error: own.json: ") and message in ended.err
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize("command", ["grade rows", "label", "dry run", "evaluate", "train-judge"])
def test_broken_checklists_in_all_rows_are_refused(run, folder, command):
    for message, criteria in list(BROKEN.items())[:6]:
        row = {"prompt": "Hi", "response": "Hello", "score": 3, "rubric": {"criteria": criteria}}
        (folder / "rows.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
        ended = run(*COMMANDS[command])
        assert ended.status == 2, ended.err
        assert message in ended.err.splitlines()[-1]
        assert "line 1: column 'rubric'" in ended.err.splitlines()[-1]
