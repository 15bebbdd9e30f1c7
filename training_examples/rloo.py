"""Train a policy with RLOO on rewards from a rubric; the judge works while other async rewards do.

    python training_examples/rloo.py --dataset configs/questions.jsonl --max-steps 20

The data set has a `prompt` column and, if you like, `rubric` and `reference_answer`. RLOO does not divide by the
group's deviation, so the scale of the reward matters: "centered" is [-1, 1].
"""

import argparse

from datasets import Dataset
from trl import RLOOConfig, RLOOTrainer

from prom_reward import PrometheusReward, PromRewardError, load_judge, load_policy, read_prompts

SETTINGS = {
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_completion_length": 32,
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
    parser.add_argument("--rubric", default="helpfulness", help="for rows without one")
    parser.add_argument("--max-steps", type=int, default=20, help="optimizer steps")
    parser.add_argument("--out", default="rloo-output", help="the folder of policy, state and judgment log")
    options = parser.parse_args()

    log = f"{options.out}/judgments.jsonl"
    reward = PrometheusReward(load_judge(options.judge), rubric=options.rubric, normalizer="centered", log_path=log)
    policy, tokenizer = load_policy(options.policy)
    trainer = RLOOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=reward.as_async(),  # the reward itself would do, too
        train_dataset=Dataset.from_list(read_prompts(options.dataset)),
        args=RLOOConfig(output_dir=options.out, max_steps=options.max_steps, **SETTINGS),
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    print("reward by step:", " ".join(f"{value:.3f}" for value in rewards))
    print(f"saved in {options.out}; next: prom-reward report {options.out}")


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
