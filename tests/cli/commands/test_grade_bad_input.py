import io
import json

import pytest

from prom_reward.data.columns import COLUMN_NAMES

ROWS = [
    {"id": "a", "instruction": "Capital of France?", "response": "Paris."},
    {"id": "b", "instruction": "Say “hi”.", "response": ""},
    {"id": "c", "instruction": "Name a prime.", "response": "7"},
]
ONE = ("--instruction", "Name a prime.", "--response", "Seven.", "--rubric", "helpfulness")


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_broken_line_is_named_and_the_rest_is_graded(run, tiny, rows_file, tmp_path):
    path = rows_file(ROWS[0], '{"instruction": "Q",', {"instruction": "Q"}, ROWS[2])
    out = tmp_path / "graded.jsonl"
    shown = run("grade", path, *tiny, "--rubric", "helpfulness", "--out", out, "--json")
    line_3 = (
        f"no response; got the columns instruction, expected one of {', '.join(COLUMN_NAMES['response'])}, or messages "
        "with the answer last; a policy's responses to prompts are to be generated first"
    )
    line_2 = "not valid JSON (Expecting property name enclosed in double quotes at column 21)"
    assert shown.status == 1
    assert [row["id"] for row in read(out)] == ["a", "c"]
    assert f"line 2: {line_2}; left out\n" in shown.err
    assert f"line 3: {line_3}; left out\n" in shown.err
    assert f"{path}: 2 rows left out, the others graded\n" in shown.err
    summary = json.loads(shown.out)
    assert (summary["written"], summary["outcomes"]) == (2, {"scored": 2})
    assert summary["left_out"] == [f"line 2: {line_2}", f"line 3: {line_3}"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["{", "[]"], "the first problem, line 1: not valid JSON (Expecting property name enclosed in double quotes"
         " at column 2)"),
        ([], "it has no rows"),
        ([{"response": "x"}], "the first problem, line 1: no instruction; got the columns response, expected one of "
         + ", ".join(COLUMN_NAMES["prompt"])),
    ],
)  # fmt: skip
def test_a_file_without_a_gradable_row_is_status_2(run, tiny, rows_file, lines, problem):
    path = rows_file(*lines)
    shown = run("grade", path, *tiny, "--rubric", "helpfulness")
    assert (shown.status, shown.out) == (2, "")
    assert shown.err.endswith(f"error: {path}: no row could be graded; {problem}\n")


def test_an_existing_file_is_kept_unless_forced(run, tiny, rows_file, tmp_path):
    out = tmp_path / "graded.jsonl"
    out.write_text("precious\n")
    command = ("grade", rows_file(ROWS[0]), *tiny, "--rubric", "honesty", "--out", out)
    shown = run(*command)
    assert (shown.status, out.read_text()) == (2, "precious\n")
    assert shown.err == f"error: {out}: the file exists; give another --out, or --force to overwrite it\n"
    assert run(*command, "--force").status == 0
    assert [row["id"] for row in read(out)] == ["a"]


def test_the_input_is_not_overwritten_even_when_forced(run, rows_file):
    path = rows_file(*ROWS)
    before = path.read_bytes()
    shown = run("grade", path, "--rubric", "honesty", "--out", path, "--force")
    assert (shown.status, path.read_bytes()) == (2, before)
    assert shown.err == f"error: {path}: got the input file as output; give another --out\n"


FOUR_LEVELS = "[Good?]\nScore 1: a\nScore 2: b\nScore 3: c\nScore 4: d"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "got no input; give a file, or --instruction with --response"),
        (("--instruction", "Q"), "got no --response; give one, or --response - to read it from standard input"),
        (("-",), "got - and a terminal as standard input; pipe rows into the command"),
        (("--response", "A", "--rubric", "honesty"), "got no input; give a file, or --instruction with --response"),
        ((*ONE[:4], "--rubric", "helpfullness"), "unknown rubric 'helpfullness'; expected one of factual_validity, "),
        ((*ONE[:4], "--rubric", FOUR_LEVELS), "rubric 'good' on the scale 1 to 5 has no description for [5]; "),
        (
            (*ONE[:4], "--rubric", "[Good?]\nScore 1: a\nScore 3: b\nScore 5: c"),
            "rubric 'good' on the scale 1 to 5 has no description for [2, 4]; describe every score from 1 to 5, or "
            "number the 3 levels without gaps, from 1 to 3, with scale: [1, 3]",
        ),
        ((*ONE[:4], "--rubric", "no.yaml"), "no.yaml: cannot read the file (No such file or directory)"),
        ((*ONE, "--judge", "no.yaml"), "no.yaml: cannot read the file (No such file or directory)"),
        ((*ONE, "--judge", "m-prometheus"), "unknown judge 'm-prometheus'; expected one of smollm2-135m, "),
        (
            (*ONE, "--out", "no/folder/out.jsonl"),
            "no/folder/out.jsonl: cannot be written (No such file or directory)",
        ),
        (("no.jsonl", "--rubric", "honesty"), "no.jsonl: no such file; expected a JSONL, JSON, CSV or Parquet file, "),
        (("no.jsonl", *ONE), "got a file and --instruction or --response; give either the file or one response"),
        (("--config", "no.yaml"), "no.yaml: cannot read the file (No such file or directory)"),
        ((*ONE, "--out", "out.csv"), "out.csv: got a name that ends in .csv; expected .jsonl, as JSON lines are wri"),
        (
            ("--instruction", "", *ONE[2:]),
            "got an empty --instruction; give the question",
        ),
    ],
)
def test_bad_input_is_status_2_and_one_line(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    shown = run("grade", *arguments, "--json")
    assert (shown.status, shown.out) == (2, "")
    (error,) = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_row_without_any_rubric_is_status_2(run, tiny, rows_file):
    shown = run("grade", rows_file(ROWS[0]), *tiny)
    assert (shown.status, shown.out) == (2, "")
    assert "line 1: no rubric; give the row a 'rubric' column, or all rows one: --rubric" in shown.err


def test_a_column_of_known_meaning_that_stays_unread_is_told_or_refused(run, tiny, rows_file):
    path = rows_file({"prompt": "Q", "response": "A", "answer": "42"})
    shown = run("grade", path, *tiny, "--rubric", "helpfulness", "--json")
    assert shown.status == 0
    assert "one response per row: prompt from prompt, response from response; unread: answer" in shown.err
    refused = run("grade", path, *tiny, "--rubric", "helpfulness", "--strict")
    assert refused.status == 2
    assert "the column answer stays unread" in refused.err
    named = run("grade", path, *tiny, "--rubric", "helpfulness", "--strict", "--json", "--column", "response=answer",
                "--column", "reference_answer=response")  # fmt: skip
    assert named.status == 0


def test_strict_refuses_what_a_late_row_leaves_unread(run, tiny, rows_file, monkeypatch, caplog):
    rows = [{"prompt": f"Q{at}", "response": "A"} for at in range(20)]
    path = rows_file(*rows, {"prompt": "Q", "response": "A", "answer": "42"})
    command = ("grade", path, *tiny, "--rubric", "helpfulness", "--json")
    said = f"{path}, line 21: the column answer stays unread"
    shown = run(*command)
    assert (shown.status, caplog.text.count(said)) == (0, 1)  # a warning
    monkeypatch.setattr("prom_reward.cli.commands.grade.load_judge", lambda *_, **__: pytest.fail("loaded"))
    refused = run(*command, "--strict")
    assert (refused.status, refused.out, f"error: {said}" in refused.err) == (2, "", True)


def test_strict_refuses_a_late_row_of_another_form_also_from_standard_input(run, tiny, monkeypatch):
    rows = [{"prompt": f"Q{at}", "response": "A"} for at in range(20)]
    text = "\n".join(map(json.dumps, [*rows, {"prompt": "Q", "output": "A"}]))
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    refused = run("grade", "-", *tiny, "--rubric", "helpfulness", "--strict")
    assert refused.status == 2
    assert (
        "error: -, line 21: got a row with response from output, after rows with response from response" in refused.err
    )


def test_a_file_without_a_gradable_row_fails_before_the_judge_is_loaded(run, rows_file, monkeypatch):
    monkeypatch.setattr(
        "prom_reward.cli.commands.grade.load_judge", lambda *settings, **overrides: pytest.fail("loaded")
    )
    shown = run("grade", rows_file(ROWS[0]))
    assert (shown.status, "line 1: no rubric" in shown.err) == (2, True)
    assert "unknown judge 'gpt4'" in run("grade", rows_file(ROWS[0]), "--judge", "gpt4").err
