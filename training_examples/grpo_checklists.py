"""Train a policy with GRPO on a checklist per row: signed criteria and a gate that code checks.

    python training_examples/grpo_checklists.py --dataset configs/checklists.jsonl --max-steps 20

The data set has a `prompt` column and one with checklists (`rubric`, `rubrics`, `checklist`, ...). The last step's
criteria are printed; the log has those of every response.
"""

import argparse
import json
from pathlib import Path

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from prom_reward import PrometheusReward, PromRewardError, load_judge, load_policy, read_prompts

SETTINGS = {
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_completion_length": 48,
    "learning_rate": 1e-5,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "bf16": False,
    "gradient_checkpointing": False,
    "seed": 0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="a JSONL, JSON, CSV or Parquet file, or a datasets folder")
    parser.add_argument("--judge", default="smollm2-135m", help="a preset, a folder, a hub id or a YAML file")
    parser.add_argument("--policy", default="smollm2-135m", help="a preset, a folder or a hub id")
    parser.add_argument("--max-steps", type=int, default=20, help="optimizer steps")
    parser.add_argument("--out", default="grpo-checklists-output", help="the folder of policy, state and judgment log")
    options = parser.parse_args()

    log = Path(options.out) / "judgments.jsonl"
    reward = PrometheusReward(load_judge(options.judge, mode="score", criterion_text="compact"), log_path=log)
    policy, tokenizer = load_policy(options.policy)
    trainer = GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(read_prompts(options.dataset)),
        args=GRPOConfig(output_dir=options.out, max_steps=options.max_steps, **SETTINGS),
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for part in records[-1]["parts"]:
        print(f"{part['name']}: value {part['value']}, weight {part['weight']}, by {part['source']}")
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    print("reward by step:", " ".join(f"{value:.3f}" for value in rewards))
    print(f"saved in {options.out}; next: prom-reward report {options.out}")


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
