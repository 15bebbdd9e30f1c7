import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given

from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import InputError
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rewards.judgment_log import JudgmentLog, judgment_record
from prom_reward.rewards.reward_function import PrometheusReward
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import Judgment, Outcome, Rubric
from tests.strategies import attack_text, grading_requests

TWO = [{"rubric": "helpfulness", "weight": 0.75}, {"rubric": "honesty", "weight": 0.25}]


def certain_judge(*numbers):
    return PrometheusJudge(ScriptedEngine([f"Text {number}. [RESULT] {number}" for number in numbers], confidence=1.0))


def graded(reward, size, **columns):
    return reward(prompts=["Q"] * size, completions=["A"] * size, **columns)


def rounded(reward):
    return None if reward is None else round(reward, 9)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_records_are_appended_and_never_overwritten(tmp_path):
    path = tmp_path / "log.jsonl"
    JudgmentLog(path).append([{"a": 1}, {"a": 2}])
    JudgmentLog(path).append([{"a": "ü\n"}])
    assert read(path) == [{"a": 1}, {"a": 2}, {"a": "ü\n"}]
    assert "ü" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["log.csv", "log.Parquet", "log.jsonl.gz"])
def test_a_name_that_says_another_format_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"got a name that ends in \S+; expected \.jsonl, as JSON lines are written$"):
        JudgmentLog(tmp_path / name)


def test_every_rank_writes_a_file_of_its_own(tmp_path, monkeypatch):
    log = JudgmentLog(str(tmp_path / "log.jsonl"))
    log.append([{"rank": 0}])
    monkeypatch.setenv("RANK", "1")
    log.append([{"rank": 1}])
    assert log.path == tmp_path / "log.rank1.jsonl"
    assert (read(tmp_path / "log.jsonl"), read(log.path)) == ([{"rank": 0}], [{"rank": 1}])


@pytest.mark.parametrize(("place", "reason"), [("file/log.jsonl", "File exists"), (".", "Is a directory")])
def test_an_unwritable_path_fails_at_once(tmp_path, place, reason):
    (tmp_path / "file").touch()
    path = tmp_path / place
    message = f"{path}: cannot write the judgment log ({reason}); give a path in a writable folder"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        JudgmentLog(path)


def test_the_folder_is_created(tmp_path):
    path = tmp_path / "out" / "run" / "log.jsonl"
    JudgmentLog(path).append([{"a": 1}])
    assert read(path) == [{"a": 1}]


def test_text_that_utf_8_cannot_hold_is_written_with_a_stand_in(tmp_path):
    path = tmp_path / "log.jsonl"
    JudgmentLog(path).append([{"response": "a\ud800b"}])
    assert read(path) == [{"response": "a?b"}]


def test_a_record_holds_what_was_judged_and_what_came_of_it(request_of):
    judgment = Judgment(
        outcome=Outcome.FORCED,
        feedback="Fine.",
        score=4,
        score_probs={3: 0.25, 4: 0.75},
        expected_score=3.75,
        entropy=0.56,
        sampled_scores=(4, 3),
        error="one sample failed",
    )
    assert judgment_record(request_of("Paris."), judgment) == {
        "instruction": "Name the capital of France.",
        "response": "Paris.",
        "reference_answer": "Paris.",
        "rubric": "helpfulness",
        "rubric_digest": rubric_digest(Rubric.parse("helpfulness")),
        **judgment.to_dict(),
    }


@given(grading_requests(response=attack_text))
def test_an_unscored_record_is_json_whatever_the_text(request):
    record = judgment_record(request, Judgment(outcome=Outcome.NO_RESULT))
    assert json.loads(json.dumps(record)) == record
    assert (record["outcome"], record["score"], record["score_probs"], record["sampled_scores"]) == (
        "no_result",
        None,
        None,
        [],
    )


def test_the_log_says_what_became_of_every_judgment(tmp_path):
    path = tmp_path / "log.jsonl"
    reward = PrometheusReward(certain_judge(5, 3, 9, 1), TWO, log_path=path, on_unscored=0)
    graded(reward, 2, trainer_state=SimpleNamespace(global_step=7))
    graded(reward, 1)
    records = read(path)
    shown = [
        (one["step"], one["row"], one["rubric"], one["score"], one["weight"], rounded(one["reward"])) for one in records
    ]
    assert shown == [
        (7, 0, "helpfulness", 5, 0.75, 0.875),
        (7, 0, "honesty", 3, 0.25, 0.875),
        (7, 1, "helpfulness", None, 0.75, 0.0),
        (7, 1, "honesty", 1, 0.25, 0.0),
        (None, 0, "helpfulness", 5, 0.75, 0.875),
        (None, 0, "honesty", 3, 0.25, 0.875),
    ]
    assert (records[0]["feedback"], records[2]["outcome"]) == ("Text 5.", "off_scale")


def test_a_log_line_is_json_where_the_normalizer_gives_another_kind_of_number(tmp_path):
    import torch

    path = tmp_path / "log.jsonl"
    tensors = lambda scores_, scale: torch.tensor(scores_) / 4  # noqa: E731
    (graded_once,) = graded(PrometheusReward(certain_judge(2), "honesty", normalizer=tensors, log_path=path), 1)
    assert (type(graded_once), graded_once) == (float, pytest.approx(0.5))
    assert json.loads(path.read_text())["reward"] == graded_once


@pytest.mark.parametrize("left", ['{"a": 2, "b": "', '{"a": 2}', "x" * 3_000_000 + "\n" + '{"a'])
def test_a_log_that_a_killed_run_left_is_gone_on_with(tmp_path, left):
    path = tmp_path / "log.jsonl"
    path.write_text(f'{{"a": 1}}\n{left}')
    JudgmentLog(path).append([{"a": 3}])
    kept = [line for line in path.read_text().splitlines() if not line.startswith("x")]
    assert kept == ['{"a": 1}', *([left] if left.endswith("}") else []), '{"a": 3}']


def test_a_last_line_that_is_no_record_is_kept(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes")
    JudgmentLog(path)
    assert path.read_text() == "my notes\n"


def test_a_log_may_lie_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert JudgmentLog("~/log.jsonl").path == tmp_path / "log.jsonl"


def test_a_home_that_nobody_knows_is_one_line():
    with pytest.raises(InputError, match=r"^~nobody-here/log\.jsonl: no home folder is known for it; give the whole"):
        JudgmentLog("~nobody-here/log.jsonl")
