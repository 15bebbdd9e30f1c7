"""Train a policy with PPO on rewards from a rubric.

    pip install ".[ppo]"     # TRL 1.12, the last release with PPO
    python training_examples/ppo.py --dataset configs/questions.jsonl --max-steps 10

The data set has a `prompt` column and, if you like, `rubric` and `reference_answer`: the reward model's collator
tokenizes the prompts and brings the rest to the judge.
"""

import argparse
import os

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

from datasets import Dataset
from transformers import AutoModelForSequenceClassification

try:
    from trl.experimental.ppo import PPOConfig, PPOTrainer
except ImportError:
    raise SystemExit("error: this TRL has no PPOTrainer; run: pip install '.[ppo]' in the clone") from None

from prom_reward import PrometheusReward, PromRewardError, load_judge, load_policy, read_prompts

BATCH = 8
SETTINGS = {
    "per_device_train_batch_size": BATCH,
    "local_rollout_forward_batch_size": BATCH,
    "num_mini_batches": 1,
    "num_ppo_epochs": 2,
    "num_sample_generations": 0,
    "response_length": 32,
    "stop_token": "eos",
    "learning_rate": 3e-6,
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
    parser.add_argument("--max-steps", type=int, default=10, help=f"updates, of {BATCH} rollouts each")
    parser.add_argument("--out", default="ppo-output", help="the folder of policy, state and judgment log")
    options = parser.parse_args()

    policy, tokenizer = load_policy(options.policy)
    log = f"{options.out}/judgments.jsonl"
    reward = PrometheusReward(load_judge(options.judge), rubric=options.rubric, log_path=log)
    reward_model = reward.as_reward_model(processing_class=tokenizer)
    trainer = PPOTrainer(
        model=policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=AutoModelForSequenceClassification.from_pretrained(policy.name_or_path, num_labels=1),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(read_prompts(options.dataset) * BATCH),  # PPO drops a batch that is not full
        data_collator=reward_model.data_collator,
        args=PPOConfig(output_dir=options.out, total_episodes=BATCH * options.max_steps, **SETTINGS),
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    scores = [entry["objective/scores"] for entry in trainer.state.log_history if "objective/scores" in entry]
    print("reward by step:", " ".join(f"{value:.3f}" for value in scores))
    print(f"saved in {options.out}; next: prom-reward report {options.out}")


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
