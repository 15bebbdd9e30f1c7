"""Every online trainer of the installed TRL takes the reward, knows every row again and trains on what was judged."""

import json
import zlib
from collections import Counter

import pytest

from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine
from tests.integration.trainers import FORMS, STANDARD, TRAINERS, logged_rewards, make

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

MATRIX = [
    pytest.param(
        name,
        form,
        mode,
        marks=pytest.mark.skipif(not kind.exists, reason=f"the installed TRL has no {name}; `.ci/run --full` has one"),
    )
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
    name, form, mode, tiny_judge_folder, smollm2_tokenizer, tmp_path
):
    engine = ScriptedEngine(by_content, confidence=1.0)
    reward = PrometheusReward(PrometheusJudge(engine), "helpfulness", log_path=tmp_path / "log.jsonl")
    given = reward.as_async() if mode == "async" else reward
    trainer = make(name, tiny_judge_folder, smollm2_tokenizer, given, rows_of(form), tmp_path / "out")
    trainer.train()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(records) in (8, 16)  # two steps of 4, or of 4 pairs
    for record in records:
        instruction = record["instruction"].removeprefix("Be brief.\n\n")
        assert record["reference_answer"].endswith(f" to: {instruction}")
        assert ("Be brief." in record["instruction"]) == (form == "conversational")
    uses = Counter(record["reference_answer"] for record in records)
    assert len(uses) in (4, 8) and len(set(uses.values())) == 1  # every row came back as often as any other
    steps = logged_rewards(name, trainer)
    assert len(steps) == 2
    assert sum(steps) / 2 == pytest.approx(sum(record["reward"] for record in records) / len(records), abs=1e-5)
    assert len({record["reward"] for record in records}) > 1
