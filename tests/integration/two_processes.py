"""One process of two that train together; `test_two_processes.py` starts it with torchrun.

two_processes.py TRAINER JUDGE_FOLDER OUT; with GRPO a second training, of `differing_ranks.py`, goes to OUT/differing
"""

import sys
from pathlib import Path

from peft import LoraConfig
from transformers import AutoTokenizer

from prom_reward import Comparison, GroupReward, Judge, Judgment, Outcome, PrometheusReward, load_judge
from tests.integration.differing_ranks import train_differing_ranks
from tests.integration.trainers import STANDARD, make


class ByLength(Judge):
    """Knows a response's quality: its length in steps of five."""

    fingerprint = "by-length"

    def grade(self, requests):
        scores = [1 + len(request.response) % 5 for request in requests]
        return [Judgment(outcome=Outcome.SCORED, score=score, expected_score=float(score)) for score in scores]

    def compare(self, requests):
        gaps = [len(request.response_a) % 5 - len(request.response_b) % 5 for request in requests]
        return [Comparison(outcome=Outcome.SCORED, winner="A", prob_a=0.6 + gap / 12) for gap in gaps]


SPLIT = {"per_device_train_batch_size": 2, "num_generations": 4, "log_completions": True, "max_steps": 2}
CHANGES = {
    "GRPO": {**SPLIT, "reward_weights": [1.0, 0.0]},  # the group's reward is only looked at
    "RLOO": SPLIT,
    "PPO": {"per_device_train_batch_size": 2, "total_episodes": 8},
}


def main() -> None:
    name, judge_folder, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    rows = [{**STANDARD[at % 2], "reference_answer": f"{at} {STANDARD[at % 2]['prompt']}"} for at in range(8)]
    adapter = sys.argv[4] if len(sys.argv) > 4 else None
    judge = load_judge(judge_folder, adapter=adapter, mode="score", dtype="float32", device="cpu")
    reward = PrometheusReward(judge, "helpfulness", name="helpful", log_path=out / "log.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(judge_folder)
    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM") if adapter else None
    changes = {**CHANGES[name], "ddp_backend": "gloo", "peft_config": lora}
    grouped = GroupReward(ByLength(), "helpfulness", name="grouped", log_path=out / "groups.jsonl")
    rewards = [reward, grouped] if name == "GRPO" else reward
    trainer = make(name, judge_folder, tokenizer, rewards, rows, out, **changes)
    assert trainer.accelerator.num_processes == 2
    if adapter:
        reward.share_policy(trainer)
    trainer.train()
    if name == "GRPO":
        train_differing_ranks(judge_folder, out / "differing")


if __name__ == "__main__":
    main()
