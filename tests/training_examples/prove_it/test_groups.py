import json

import pytest

from prom_reward.errors import InputError
from prom_reward.reports.training_folder import load_curves, summarize_curves
from prom_reward.rewards.judgment_log import JudgmentLog
from training_examples.prove_it.groups import forget_records_from, summarize_groups, summarize_training


def record(step, prompt, expected, *, score=3, reward=None, audit=None, rubric="r"):
    audited = {} if audit is None else {"audit_score": audit}
    shared = {"step": step, "instruction": prompt, "rubric": rubric, "score": score, "reward": reward}
    return {**shared, "expected_score": expected, **audited}


def test_spread_is_within_a_step_and_a_prompt_and_of_both_scores():
    groups = [
        *(record(0, "a", expected, score=score) for expected, score in ((1.0, 1), (3.0, 3))),
        *(record(0, "b", expected) for expected in (2.0, 2.0, 2.0)),
        *(record(1, "a", expected) for expected in (2.0, 2.2)),
        *(record(1, "a", expected, rubric="another") for expected in (4.0, 4.0)),
        record(1, "c", 5.0),  # a group of one
    ]
    found = summarize_groups(groups)
    assert found == pytest.approx(
        {
            "expected_sd": (1 + 0 + 0.1 + 0) / 4,
            "integer_sd": 1 / 4,
            "expected_same": 2 / 4,
            "integer_same": 3 / 4,
        }
    )


def test_the_reward_is_ranked_against_the_audit_judge_within_each_group():
    rows = [(0.1, 1.0), (0.2, 2.0), (0.3, 3.0)]
    up = [record(0, "a", 2.0, reward=reward, audit=audit) for reward, audit in rows]
    down = [record(1, "a", 2.0, reward=-reward, audit=10 * audit) for reward, audit in rows]
    same = [record(2, "a", 2.0, reward=0.5, audit=audit) for _, audit in rows]  # nothing to rank
    unasked = [record(2, "b", 2.0, reward=reward) for reward, _ in rows]
    assert summarize_groups(up)["audit_rank_correlation"] == pytest.approx(1)
    found = summarize_groups([*up, *down, *up[:0], *same, *unasked])
    assert found["audit_rank_correlation"] == pytest.approx(0)
    assert "audit_rank_correlation" not in summarize_groups([*same, *unasked])


def test_what_is_unscored_is_left_out():
    rows = [record(0, "a", 1.0), record(0, "a", None, score=None), record(0, "a", 2.0)]
    assert summarize_groups(rows)["expected_sd"] == pytest.approx(0.5)
    assert summarize_groups(rows[:2]) == {}
    assert summarize_groups([]) == {}


def test_a_training_comes_to_its_curves_and_its_groups(tmp_path):
    history = [{"step": 1, "reward": 0.25}, {"step": 2, "reward": 0.75, "step_time": 10.0}]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    assert summarize_training(tmp_path) == summarize_curves(load_curves(tmp_path))
    records = [
        {"step": step, "instruction": "i", "rubric": "r", "expected_score": row * step, "score": 1, "reward": 0.5}
        for step in (0, 1)
        for row in (0, 2)
    ]
    (tmp_path / "judgments.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    found = summarize_training(tmp_path)
    assert (found["reward_last"], found["expected_sd"], found["integer_same"]) == (0.75, 0.5, 1)
    early = summarize_training(tmp_path, last_step=1)
    assert (early["steps"], early["expected_sd"]) == (1, 0)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_resumed_training_forgets_what_it_will_log_again(tmp_path):
    path = tmp_path / "log.jsonl"
    log = JudgmentLog(path)
    log.append({"step": step, "row": row} for step in range(4) for row in range(2))
    with path.open("a") as file:
        file.write('{"step": 4, "ro')  # the process was killed here
    (tmp_path / "log.jsonl.tmp").write_text("another process's")
    forget_records_from(path, 2)
    assert read(path) == [{"step": step, "row": row} for step in range(2) for row in range(2)]
    log.append([{"step": 2, "row": 0}])
    assert len(read(path)) == 5
    forget_records_from(path, 0)
    assert read(path) == []
    assert {one.name for one in tmp_path.iterdir()} == {"log.jsonl", "log.jsonl.tmp"}
    assert (tmp_path / "log.jsonl.tmp").read_text() == "another process's"


@pytest.mark.parametrize("line", ["no record", '{"row": 1}', '{"step": null}', "[1]"])
def test_a_log_of_something_else_is_left_as_it_is(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(
        InputError, match=r"log\.jsonl: its records before step 1 cannot be kept \(\w+: .*\); expected a"
    ):
        forget_records_from(path, 1)
    assert path.read_text() == f"{line}\n"
    assert [one.name for one in tmp_path.iterdir()] == ["log.jsonl"]
