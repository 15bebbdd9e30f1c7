import pytest
import uvicorn


def test_a_file_that_is_no_log_is_refused_at_once(run, rows_file):
    done = run("watch", rows_file({"prompt": "A?", "response": "B."}), "--port", "0")
    assert (done.status, "not a judgment log" in done.err) == (2, True)


def test_a_folder_that_nobody_can_fill_is_refused(run, tmp_path):
    done = run("watch", tmp_path / "typo/run", "--port", "0")
    assert (done.status, f"got no folder {tmp_path / 'typo'}" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("run", "run: the folder does not exist yet; waiting for its first judgments"),
        ("made", "made/judgments.jsonl: not there yet; waiting for its first judgments"),
        ("log.jsonl", "log.jsonl: not there yet; waiting for its first judgments"),
    ],
)
def test_a_training_that_is_not_there_yet_is_waited_for(run, tmp_path, monkeypatch, name, told):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    (tmp_path / "made").mkdir()
    done = run("watch", tmp_path / name, "--port", "0")
    assert done.status == 0
    assert done.err.startswith(f"{tmp_path / told}\nwatching ")
