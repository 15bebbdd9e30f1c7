"""Train a policy with Online DPO: of two samples, the one that the judge scores higher is chosen.

    python training_examples/online_dpo.py --dataset configs/questions.jsonl --max-steps 20

The data set has a `prompt` column and, if you like, `rubric` and `reference_answer`. Online DPO trains on a tie, too,
with the first sample as the chosen one: the reward's expected scores hardly ever tie, integer scores often do. A
response that could not be scored counts as 0, the lowest reward of the default scale.
"""

import argparse
import os

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

from datasets import Dataset
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from prom_reward import PrometheusReward, PromRewardError, load_judge, load_policy, read_prompts

SETTINGS = {
    "per_device_train_batch_size": 4,
    "max_new_tokens": 32,
    "max_length": 512,
    "learning_rate": 5e-6,
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
    parser.add_argument("--out", default="online-dpo-output", help="the folder of policy, state and judgment log")
    options = parser.parse_args()

    log = f"{options.out}/judgments.jsonl"
    reward = PrometheusReward(load_judge(options.judge), rubric=options.rubric, log_path=log)
    policy, tokenizer = load_policy(options.policy)
    trainer = OnlineDPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=reward,  # not reward.as_async(): Online DPO takes no coroutine functions
        train_dataset=Dataset.from_list(read_prompts(options.dataset)),
        args=OnlineDPOConfig(output_dir=options.out, max_steps=options.max_steps, **SETTINGS),
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
