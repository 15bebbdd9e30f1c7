"""Every online trainer of the installed TRL takes the reward, knows every row again and trains on what was judged."""

import json
import logging
import zlib
from collections import Counter
from pathlib import Path

import pytest

from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine
from tests.integration.trainers import (
    ENDS,
    FORMS,
    MEAN,
    OUT_OF_GROUP,
    SMALLEST,
    STANDARD,
    TRAINERS,
    logged_rewards,
    make,
    matrix_table,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def marks(kind, form, mode):
    """Skip what the installed TRL has not; of the newest trainers one variant is enough outside of the long leg."""
    is_enough = kind.releases != "1.16" or (form, mode) == ("conversational", "sync")
    missing = pytest.mark.skipif(not kind.exists, reason="the installed TRL has none; `.ci/run --full` has one")
    return [missing] if is_enough else [missing, pytest.mark.full]


MATRIX = [
    pytest.param(name, form, mode, marks=marks(kind, form, mode))
    for name, kind in TRAINERS.items()
    for form in FORMS
    for mode in (("sync", "async") if kind.is_async else ("sync",))
]


def by_content(prompt):
    """A score that depends on all that the judge sees."""
    return f"[RESULT] {zlib.crc32(prompt.user.encode()) % 5 + 1}"


def rows_of(form):
    """Eight rows; prompts come four times, each time with another reference answer."""
    return [
        {**FORMS[form][index % 2], "reference_answer": f"reference {index} to: {STANDARD[index % 2]['prompt']}"}
        for index in range(8)
    ]


@pytest.mark.parametrize(("name", "form", "mode"), MATRIX)
def test_a_trainer_trains_on_what_the_judge_said_of_its_rows(
    name, form, mode, tiny_judge_folder, small_tokenizer, tmp_path
):
    engine = ScriptedEngine(by_content, confidence=1.0)
    reward = PrometheusReward(PrometheusJudge(engine), "helpfulness", log_path=tmp_path / "log.jsonl")
    given = reward.as_async() if mode == "async" else reward
    trainer = make(name, tiny_judge_folder, small_tokenizer, given, rows_of(form), tmp_path / "out")
    trainer.train()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    trained_on = records[TRAINERS[name].num_before :]
    assert len(trained_on) in (8, 16)  # two steps of 4, or of 4 pairs
    for record in records:
        instruction = record["instruction"].removeprefix("Be brief.\n\n")
        assert record["reference_answer"].endswith(f" to: {instruction}")
        assert ("Be brief." in record["instruction"]) == (form == "conversational")
    uses = Counter(record["reference_answer"] for record in records)
    assert len(uses) in (4, 8) and len(set(uses.values())) == 1  # every row came back as often as any other
    steps = logged_rewards(name, trainer)
    assert len(steps) == 2
    assert sum(steps) / 2 == pytest.approx(sum(one["reward"] for one in trained_on) / len(trained_on), abs=1e-5)
    assert len({record["reward"] for record in records}) > 1


def test_the_table_in_the_readme_is_the_matrix():
    shown = README.partition("<!-- trainer matrix -->\n")[2].partition("\n<!-- end of the matrix -->")[0]
    assert shown == matrix_table()


UNSCORED = [
    pytest.param(name, marks=pytest.mark.skipif(not kind.exists, reason=f"the installed TRL has no {name}"))
    for name, kind in TRAINERS.items()
]


@pytest.mark.parametrize("name", UNSCORED)
def test_what_an_unscored_rollout_means(name, tiny_judge_folder, small_tokenizer, tmp_path, caplog):
    """One of two rollouts is scored with the best score; the other has no verdict."""
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 5", "no verdict"], confidence=1.0))
    reward = PrometheusReward(judge, "helpfulness", name="helpful", log_path=tmp_path / "log.jsonl")
    with caplog.at_level(logging.CRITICAL):
        trainer = make(name, tiny_judge_folder, small_tokenizer, reward, STANDARD * 4, tmp_path / "out")
        if TRAINERS[name].unscored == ENDS:
            with pytest.raises(TypeError):
                trainer.train()
            return
        trainer.train()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {record["reward"] and round(record["reward"], 6) for record in records} == {1.0, None}
    expected = {OUT_OF_GROUP: None, SMALLEST: 0.5, MEAN: 1.0}[TRAINERS[name].unscored]
    if expected is not None:
        assert logged_rewards(name, trainer) == pytest.approx([expected] * 2, abs=1e-5)
        return
    [first, second] = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert first["rewards/helpful/mean"] == second["rewards/helpful/mean"] == pytest.approx(1.0, abs=1e-5)
    assert first["grad_norm"] == second["grad_norm"] == 0  # one scored rollout is no group: all advantages are 0
