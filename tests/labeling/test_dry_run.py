from contextlib import closing

import pytest

from prom_reward import CascadeJudge, PanelJudge
from prom_reward.judging.cache import JudgmentCache
from prom_reward.labeling import dry_run as module
from prom_reward.labeling.dry_run import dry_run
from prom_reward.labeling.labeling import label
from prom_reward.labeling.shards import LabelFolder
from tests.labeling.label_inputs import pairs, scripted_judge, verdict, write_rows


def judged_tokens(folder):
    """The tokens of the prompts and of the feedback in all shards."""
    folder = LabelFolder(folder)
    answers = [answer for shard in folder.starts().items() for answer in folder.answers(*shard).values()]
    return [sum(getattr(one, f"num_{kind}_tokens") for one in answers) for kind in ("prompt", "generated")]


def skewed(count):
    """Short pairs, with a long one now and then: half of all text is in two of a hundred rows."""
    return [
        {**row, "chosen": f"{row['chosen']} " + "word " * (3000 if at % 50 == 7 else 20)}
        for at, row in enumerate(pairs(count))
    ]


@pytest.mark.parametrize("rows", [pairs(300), skewed(300)], ids=["alike", "skewed"])
@pytest.mark.parametrize("method", ["grade", "both"])
def test_the_counts_are_those_of_the_work_and_the_tokens_within_a_factor_of_two(tmp_path, rows, method):
    source = write_rows(tmp_path / "rows.jsonl", rows)
    judge = scripted_judge()
    expected = dry_run(source, judge=judge, rubric="helpfulness", method=method)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    label(source, judge=judge, rubric="helpfulness", method=method, out=tmp_path / "out")
    folder = LabelFolder(tmp_path / "out")
    assert expected.num_requests == sum(len(folder.answers(*shard)) for shard in folder.starts().items())
    prompt_tokens, generated_tokens = judged_tokens(tmp_path / "out")
    assert prompt_tokens / 2 < expected.num_prompt_tokens < prompt_tokens * 2
    assert generated_tokens / 2 < expected.num_generated_tokens < generated_tokens * 2


def test_a_cache_makes_no_forecast_short(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(20))
    with closing(JudgmentCache(tmp_path / "cache")) as cache:
        counting = [scripted_judge(cache=cache, mode="score") for _ in range(2)]
        for judge in counting:
            judge.engine._keeps_prompts = True
            composed = CascadeJudge(PanelJudge([judge, scripted_judge(name="other")]), scripted_judge(name="strong"))
            dry_run(source, judge=composed, rubric="helpfulness")
    first, second = (len(judge.engine.prompts) for judge in counting)
    assert first == second > 0


class Clock:
    """A clock that a judge moves on, as its prompts would take time."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize(("seconds_a_token", "is_fast"), [(1e-6, True), (0.01, False)])
def test_the_time_is_within_a_factor_of_two_and_a_slow_judge_is_asked_less(
    tmp_path, monkeypatch, seconds_a_token, is_fast
):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)

    def slow(prompt):
        clock.now += seconds_a_token * len(prompt.user) / 4
        return verdict(prompt)

    source = write_rows(tmp_path / "rows.jsonl", skewed(300))
    expected = dry_run(source, judge=scripted_judge(slow), rubric="helpfulness")
    assert (expected.timing.num_requests > 16) == is_fast
    clock.now = 0.0
    label(source, judge=scripted_judge(slow), rubric="helpfulness", out=tmp_path / "out")
    assert clock.now / 2 < expected.seconds < clock.now * 2


def test_rows_that_would_be_left_out_are_named(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", [*pairs(2), {"prompt": "a", "rejected": "b"}])
    found = dry_run(source, judge=scripted_judge(), rubric="helpfulness")
    assert (found.num_rows, found.num_problems, found.num_requests) == (3, 1, 4)
    assert [problem.partition(":")[0] for problem in found.problems] == ["line 3"]


def test_the_columns_of_every_role_and_the_unread_ones_are_told(tmp_path):
    row = {
        "id": "a",
        "prompt": "Hi?",
        "better": "Yes.",
        "rejected": "No.",
        "source": "x",
        "reference_answer": "Yes!",
        "reference": "No!",
    }
    other = {**row, "prompt": None, "question": "Hi?", "criteria": "Good?", "score1_description": "bad"}
    other |= {f"score{score}_description": f"level {score}" for score in range(2, 6)}
    source = write_rows(tmp_path / "rows.jsonl", [row, other])
    found = dry_run(source, judge=scripted_judge(), rubric="helpfulness", columns={"chosen": "better"})
    assert found.num_problems == 0
    columns = found.recognition.columns
    assert columns["prompt"] == ["prompt", "question"]
    assert columns["chosen"] == ["better"]
    assert columns["rubric"] == ["criteria", *(f"score{score}_description" for score in range(1, 6))]
    assert found.recognition.unread == {"reference": "line 1"}
