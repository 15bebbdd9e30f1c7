import pytest
import uvicorn


def test_a_file_that_is_no_log_is_refused_at_once(run, rows_file):
    done = run("watch", rows_file({"prompt": "A?", "response": "B."}), "--port", "0")
    assert (done.status, "not a judgment log" in done.err) == (2, True)


def test_a_folder_that_nobody_can_fill_is_refused(run, tmp_path):
    done = run("watch", tmp_path / "typo/run", "--port", "0")
    assert (done.status, f"got no folder {tmp_path / 'typo'}" in done.err) == (2, True)


@pytest.mark.parametrize(("name", "log"), [("run", "run/judgments.jsonl"), ("log.jsonl", "log.jsonl")])
def test_a_training_that_is_not_there_yet_is_waited_for(run, tmp_path, monkeypatch, name, log):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    done = run("watch", tmp_path / name, "--port", "0")
    assert (done.status, f"{tmp_path / log}: not there yet" in done.err) == (0, True)
