import json

import pytest

from prom_reward.errors import InputError
from prom_reward.reports.training_folder import (
    BeforeAfter,
    checkpoint_step,
    last_checkpoint,
    load_before_after,
    load_curves,
    summarize_curves,
    write_before_after,
)

HISTORY = [
    {"step": 1, "reward": 0.25, "judge/seconds": 2.0, "step_time": 10.0, "audit/seconds": 2.0, "note": "text"},
    {
        "step": 2,
        "reward": 0.75,
        "judge/seconds": 2.0,
        "step_time": 10.0,
        "audit/seconds": 2.0,
        "reward_std": float("nan"),
    },
    {"step": 2, "train_runtime": 20.0},
]


def state(folder, history):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))


def test_curves_are_what_the_trainer_logged(tmp_path):
    state(tmp_path, HISTORY)
    curves = load_curves(tmp_path)
    assert curves["reward"] == [(1, 0.25), (2, 0.75)]
    assert curves.keys() == {"reward", "judge/seconds", "step_time", "audit/seconds", "train_runtime"}


def test_the_seconds_of_several_rewards_are_added_up(tmp_path):
    state(tmp_path, [{"step": 1, "one/judge/seconds": 2.0, "two/judge/seconds": 1.0, "two/audit/seconds": 4.0}])
    curves = load_curves(tmp_path)
    assert (curves["judge/seconds"], curves["audit/seconds"]) == ([(1, 3.0)], [(1, 4.0)])


def test_without_a_state_of_its_own_the_last_whole_checkpoint_counts(tmp_path):
    assert load_curves(tmp_path) == {}
    state(tmp_path / "checkpoint-9", HISTORY[:1])
    state(tmp_path / "checkpoint-10", HISTORY)
    (tmp_path / "checkpoint-20").mkdir()  # cut off: its state is not there yet
    state(tmp_path / "checkpoint-best", [])
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert (checkpoint_step(last_checkpoint(tmp_path)), checkpoint_step(None)) == (10, 0)
    assert len(load_curves(tmp_path)["reward"]) == 2
    assert last_checkpoint(tmp_path / "checkpoint-9") is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"log_history": [{"loss": 1}]}', '{"log_history": [3]}'])
def test_what_is_no_state_is_one_line(tmp_path, content):
    (tmp_path / "trainer_state.json").write_text(content)
    with pytest.raises(
        InputError, match=r"trainer_state\.json: not a trainer's state \(\w+: .*\); expected the file of"
    ):
        load_curves(tmp_path)


def test_what_the_curves_come_to(tmp_path):
    curves = {"reward": [(step, step / 100) for step in range(1, 31)], "frac_reward_zero_std": [(1, 0.0), (2, 1.0)]}
    found = summarize_curves(curves)
    assert found == pytest.approx({"steps": 30, "reward_first": 0.02, "reward_last": 0.29, "share_without_spread": 0.5})
    early = summarize_curves(curves, last_step=10)  # no ends: a tenth of a part is a handful of prompts
    assert early == {"steps": 10, "share_without_spread": 0.5}
    state(tmp_path, HISTORY)
    timed = summarize_curves(load_curves(tmp_path))
    assert (timed["step_s"], timed["judge_s"], timed["audit_s"]) == (8, 2, 2)  # a step without the audit
    assert timed["judge_share"] == pytest.approx(0.25)
    assert summarize_curves({}) == {"steps": 0}


def test_answers_before_and_after_are_read_as_they_were_written(tmp_path):
    answers = [
        BeforeAfter(prompt="q", before="a\n", after="ü", before_score=1.0, after_score=3.5, after_feedback="Good."),
        BeforeAfter(prompt="q", before="a", after="b", before_score=1.0, after_score=1.0, rubric="Is it brief?"),
        BeforeAfter(prompt="q", before="", after=""),
    ]
    assert load_before_after(tmp_path) == []
    write_before_after(tmp_path, answers)
    assert load_before_after(tmp_path) == answers
    assert [one.change for one in answers] == [2.5, 0.0, 0.0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prompt": "q"}, "missing 2 required keyword-only arguments"),
        ({"prompt": "q", "before": "a", "after": "b", "score": 1}, "unexpected keyword argument 'score'"),
        ({"prompt": "q", "before": "a", "after": None}, "got a text that is no string"),
        ({"prompt": "q", "before": "a", "after": "b", "rubric": {}}, "got a text that is no string"),
        ({"prompt": "q", "before": "a", "after": "b", "before_score": "2"}, "got a score that is no number"),
    ],
)
def test_other_lines_are_refused(tmp_path, values, said):
    (tmp_path / "before_after.jsonl").write_text(json.dumps(values))
    with pytest.raises(
        InputError, match=rf"before_after\.jsonl: .*{said}.*; expected lines with prompt, before, after"
    ):
        load_before_after(tmp_path)
