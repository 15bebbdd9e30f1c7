import re
import time
from contextlib import suppress

import pytest
from rich.progress import Task
from rich.table import Table

from prom_reward.cli.parts.console import check_writable, distribution_bar, progress_bar, stderr, stdout
from prom_reward.errors import InputError


@pytest.mark.parametrize(
    ("probs", "bar"),
    [
        ({1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0, 5: 0.0}, "1   █ 5"),
        ({5: 0.5, 4: 0.25, 3: 0.125, 2: 0.125, 1: 0.0}, "1 ▁▁▂▄5"),
        ({0: 0.5, 1: 0.5}, "0▄▄1"),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_distribution_is_one_block_a_score(probs, bar):
    assert distribution_bar(probs) == bar


@pytest.mark.parametrize(("speed", "shown"), [(None, "--/s"), (12.34, "12.3/s"), (1.0, "1.0/s"), (0.25, "4.0s each")])
def test_the_rate_is_items_a_second_or_seconds_an_item(speed, shown):
    rate = progress_bar().columns[3]
    task = Task(0, "grading", 10, 0, finished_speed=speed, _get_time=lambda: 0.0)
    assert rate.render(task).plain == shown


def test_a_log_gets_a_line_at_the_start_and_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr("prom_reward.cli.parts.console._LINE_S", 0.01)
    lines = []
    with progress_bar() as progress:
        task = progress.add_task("auditing", total=9)
        progress.advance(task, 4)
        while not lines or not lines[-1].startswith("auditing: 4 of 9"):
            lines += capsys.readouterr().err.splitlines()
            time.sleep(0.01)
    assert lines[0] == "auditing: 0 of 9"
    assert {line.partition(", for ")[0] for line in lines} == {"auditing: 0 of 9", "auditing: 4 of 9"}
    assert lines[-1].endswith(" s")


def test_a_task_of_unknown_length_is_counted_without_a_question_mark(capsys):
    with progress_bar() as progress:
        task = progress.add_task("grading", total=None)
        progress.advance(task, 4)
        assert progress.columns[2].render(progress.tasks[0]).plain == "4"
    begun, ended = capsys.readouterr().err.splitlines()
    assert begun == "grading ..."
    assert " 4/4 " in ended
    with suppress(KeyboardInterrupt), progress_bar() as progress:
        progress.advance(progress.add_task("grading", total=None), 4)
        raise KeyboardInterrupt
    assert "4/4" not in capsys.readouterr().err


def test_what_is_printed_is_no_markup(capsys):
    table = Table("[red]head", title="a [/x] :smile:")
    table.add_row("[/INST] [red]x")
    for console in (stdout, stderr):
        console.print(table)
        console.print("[/line]")
        console.rule("[/rule]")
    with progress_bar() as progress:
        progress.add_task("auditing a [/task]", total=1)
    captured = capsys.readouterr()
    for text in ("[red]head", "a [/x] :smile:", "[/INST] [red]x", "[/line]", "[/rule]"):
        assert text in captured.out
        assert text in captured.err
    assert "auditing a [/task]" in captured.err


def test_what_steers_a_terminal_or_reorders_text_is_printed_as_code_points(capsys):
    hidden = "a\x1b[31m\u202eb\x9b"
    table = Table(hidden, title=hidden, caption=hidden)
    table.add_row(hidden)
    for console in (stdout, stderr):
        console.print(table)
        console.print(hidden, soft_wrap=True)
        console.rule(hidden)
    with progress_bar() as progress:
        progress.add_task(hidden, total=1)
    captured = capsys.readouterr()
    shown = r"a\u{1b}[31m\u{202e}b\u{9b}"
    assert (captured.out.count(shown), captured.err.count(shown)) == (
        6,
        8,
    )  # a task is told when it begins and when it ends
    assert not set(captured.out + captured.err) & {"\x1b", "\u202e", "\x9b"}


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def test_a_file_with_content_is_not_overwritten_unless_forced(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("x")
    with refused(f"{path}: the file exists; give another --out, or --force to overwrite it"):
        check_writable(path, force=False)
    check_writable(path, force=True)
    assert path.read_text() == "x"


def test_a_new_or_empty_file_is_writable_and_left_as_it_is(tmp_path):
    path = tmp_path / "out.jsonl"
    check_writable(path, force=False)
    assert not path.exists()
    path.touch()
    check_writable(path, force=False)
    assert path.exists()


@pytest.mark.parametrize(("place", "reason"), [("no/out.jsonl", "No such file or directory"), (".", "Is a directory")])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, place, reason):
    path = tmp_path / place
    with refused(f"{path}: cannot be written ({reason}); give another --out, in a writable folder"):
        check_writable(path, force=False)


def test_the_input_is_never_overwritten(tmp_path):
    path, link = tmp_path / "rows.jsonl", tmp_path / "link.jsonl"
    path.write_text("x")
    link.symlink_to(path)
    with refused(f"{link}: got the input file as output; give another --out"):
        check_writable(link, force=True, source=path)
    check_writable(tmp_path / "other.jsonl", force=False, source=path)
