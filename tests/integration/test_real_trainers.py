"""GRPO, with the judge beside and on the policy, and PPO, each with the real SmolLM2 as policy and as judge."""

import json

import pytest
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from prom_reward import PrometheusReward, load_judge
from prom_reward.engines.local.adapter_engine import AdapterEngine
from tests.integration.trainers import CONVERSATIONAL, TRAINERS, logged_rewards, make

pytestmark = [
    pytest.mark.full,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]


@pytest.mark.parametrize("name", ["GRPO", "PPO"])
@pytest.mark.parametrize("shares", [False, True])
def test_the_real_judge_trains_the_real_policy(name, shares, smollm2_folder, smollm2_tokenizer, tmp_path):
    if not TRAINERS[name].exists:
        pytest.skip(f"the installed TRL has no {name}; `.ci/run --full` has one")
    log = tmp_path / "log.jsonl"
    reward = PrometheusReward(load_judge("smollm2-135m", dtype="float32"), "helpfulness", log_path=log)
    policy = AutoModelForCausalLM.from_pretrained(smollm2_folder)
    lora = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM") if shares else None
    trainer = make(name, policy, smollm2_tokenizer, reward, CONVERSATIONAL * 4, tmp_path / "out", peft_config=lora)
    if shares:
        reward.share_policy(trainer)
        assert isinstance(reward.judge.engine, AdapterEngine)
    trainer.train()
    rewards = [json.loads(line)["reward"] for line in log.read_text().splitlines()]
    assert len(rewards) == 8
    assert all(0 < value < 1 for value in rewards) and len({round(value, 4) for value in rewards}) > 2
    assert sum(logged_rewards(name, trainer)) / 2 == pytest.approx(sum(rewards) / 8, abs=1e-4)
