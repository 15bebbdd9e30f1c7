import json

import pytest

from prom_reward.errors import InputError
from prom_reward.reports.live.tail import LogTail

RECORD = {"instruction": "Q?", "response": "A.", "rubric": "honesty", "outcome": "scored", "score": 4, "feedback": ""}
RECORD |= {"expected_score": 4.0, "score_probs": None, "entropy": 0.0, "reward": 0.75}


def append(log, *records, end="\n"):
    with log.open("a") as file:
        file.write("\n".join(json.dumps({**RECORD, **one}) for one in records) + end)


def steps(judgments):
    return [(one.row, one.member) for one in judgments]


def test_a_step_comes_when_a_later_one_begins(tmp_path):
    log = tmp_path / "judgments.jsonl"
    tail = LogTail(log)
    assert tail.poll() == []  # there is no log yet
    append(log, {"step": 0, "row": 0})
    assert tail.poll() == []
    append(log, {"step": 0, "row": 1}, {"step": 1, "row": 0})
    assert steps(tail.poll()) == [(1, "1"), (1, "2")]
    assert tail.poll() == []


def test_the_last_step_comes_when_nothing_is_appended_any_more(tmp_path):
    log = tmp_path / "judgments.jsonl"
    append(log, {"step": 3, "row": 0}, {"step": 3, "row": 0, "mode": "eval"})
    tail = LogTail(log)
    assert [steps(tail.poll()) for _ in range(5)] == [[], [], [], [(4, "1")], []]


def test_half_a_line_waits_for_its_end(tmp_path):
    log = tmp_path / "judgments.jsonl"
    tail = LogTail(log)
    append(log, {"step": 0, "row": 0}, {"step": 1, "row": 0})
    line = json.dumps({**RECORD, "step": 2, "row": 0}) + "\n"
    with log.open("a") as file:
        file.write(line[:50])
    assert steps(tail.poll()) == [(1, "1")]
    with log.open("a") as file:
        file.write(line[50:])
    assert steps(tail.poll()) == [(2, "1")]


def test_other_ranks_logs_are_followed_too(tmp_path):
    log = tmp_path / "judgments.jsonl"
    append(log, {"step": 0, "row": 0})
    append(tmp_path / "judgments.rank1.jsonl", {"step": 0, "row": 0}, {"step": 1, "row": 0})
    assert steps(LogTail(log).poll()) == [(1, "1"), (1, "1.1")]


def test_a_log_of_something_else_or_a_shorter_one_is_one_line(tmp_path):
    log = tmp_path / "judgments.jsonl"
    append(log, {"step": 0, "row": 0}, {"step": 1, "row": 0})
    tail = LogTail(log)
    tail.poll()
    log.write_text("")
    with pytest.raises(InputError, match="became shorter"):
        tail.poll()
    log.write_text("[]\n")
    with pytest.raises(InputError, match="not a judgment log"):
        LogTail(log).poll()
