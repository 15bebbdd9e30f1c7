import json

import pytest

ROWS = (
    {"instruction": "Name a prime.", "input": "Below ten.", "output": "Seven.", "choices": ["4", "7"]},
    {"instruction": "Name a prime.", "input": "Below ten.", "output": "Seven.", "choices": ["4", "7"]},
    {"instruction": "Name a town.", "output": "Rome."},
    {"instruction": "Name a river."},
)
HELPFUL = ("--rubric", "helpfulness", "--dry-run")


def test_it_shows_what_grading_would_read_and_writes_nothing(run, tiny, rows_file, tmp_path):
    out = tmp_path / "graded.jsonl"
    out.write_text("of before")
    done = run("grade", rows_file(*ROWS), *HELPFUL, "--out", out, "--json", *tiny)
    found = json.loads(done.out)
    assert (done.status, out.read_text()) == (0, "of before")
    assert (found["rows"], found["problems"], found["requests"], found["repeated"]) == (4, 1, 3, 0)
    assert found["columns"] == {"prompt": ["instruction"], "input": ["input"], "response": ["output"]}
    assert found["unread"] == ["choices"]
    assert "###The instruction to evaluate:\nName a " in found["prompt"]
    assert 300 < found["prompt_tokens"] < 3000


def test_a_table_names_the_rows_that_would_be_left_out(run, tiny, rows_file):
    done = run("grade", rows_file(*ROWS), *HELPFUL, *tiny)
    assert "4, of which 1 would be left out" in done.out
    assert "from instruction" in done.out
    assert "###Task Description:" in done.out
    assert "line 4: no response" in done.err
    assert "loading the judge" in done.err  # it may take a minute


def test_one_response_has_a_dry_run_too(run, tiny):
    done = run("grade", "--instruction", "Sing.", "--response", "La.", "--dry-run", "--json", *tiny)
    assert json.loads(done.out)["requests"] == 1


def test_pairs_are_refused_as_in_grading(run, tiny, rows_file):
    done = run("grade", rows_file({"prompt": "a", "chosen": "b", "rejected": "c"}), *HELPFUL, *tiny)
    assert done.status == 2
    assert "use `prom-reward label`" in done.err


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"output": '{"model": "m", "response": "Seven.", "done": true}'}, "got an API's whole answer in 'output'"),
        ({"output": "array(['Seven.'], dtype=object)"}, "output: got a list as numpy prints it"),
        ({"output": "Seven.", "out": "It is nine."}, "got 'output' and 'out', of which one may be the reference"),
        ({"target": "Seven.", "gen": "It is nine."}, "'gen' may hold it: name it with --column response=gen"),
    ],
)
def test_a_row_that_may_be_read_wrongly_is_left_out(run, tiny, rows_file, row, told):
    good = {"instruction": "Name a prime.", "output": "Seven."}
    done = run("grade", rows_file(good, {"instruction": "Name a prime.", **row}), *HELPFUL, *tiny)
    assert f"line 2: {told}" in done.err or ("line 2: no response" in done.err and told in done.err)
    assert "2, of which 1 would be left out" in done.out


@pytest.mark.parametrize(
    ("response", "told"),
    [
        ("['It is seven.']", "1 row with a list of one text as an answer"),
        (
            "It is seven.\n\nHuman: And the next one?",
            "1 row with a response that goes on with the next turn of a dialogue",
        ),
        ("user\nWhich?\nassistant\nSeven.", "1 row with a text that looks like a dialogue"),
        ("<｜Assistant｜>Seven.<｜end▁of▁sentence｜>", "1 row with marks of a chat template"),
    ],
)
def test_a_response_that_may_hold_more_than_the_answer_is_told(run, tiny, rows_file, caplog, response, told):
    done = run("grade", rows_file({"instruction": "Name a prime.", "output": response}), *HELPFUL, *tiny)
    assert done.status == 0
    [warning] = caplog.messages
    assert told in warning
    assert "the first in line 1: got " in warning
