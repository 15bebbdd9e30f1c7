import pytest

from prom_reward.offline.training_groups import summarize_groups


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
