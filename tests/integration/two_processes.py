"""One process of two that train together; `test_two_processes.py` starts it with torchrun.

two_processes.py TRAINER JUDGE_FOLDER OUT
"""

import sys
from pathlib import Path

from peft import LoraConfig
from transformers import AutoTokenizer

from prom_reward import PrometheusReward, load_judge
from tests.integration.trainers import STANDARD, make

SPLIT = {"per_device_train_batch_size": 2, "num_generations": 4, "log_completions": True, "max_steps": 2}
CHANGES = {
    "GRPO": SPLIT,
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
    trainer = make(name, judge_folder, tokenizer, reward, rows, out, **changes)
    assert trainer.accelerator.num_processes == 2
    if adapter:
        reward.share_policy(trainer)
    trainer.train()


if __name__ == "__main__":
    main()
