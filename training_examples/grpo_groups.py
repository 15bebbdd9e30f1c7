"""Train a policy with GRPO on rewards from comparisons inside of each group, half of them by a stronger judge.

    python training_examples/grpo_groups.py --dataset configs/questions.jsonl --max-steps 20

The cheap judge grades every response. The groups whose two best it scores closest go to the strong one as a whole, up
to a share of each call's responses: a call must hold more than one group.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from prom_reward import CascadeJudge, GroupReward, PromRewardError, load_judge, load_policy, read_prompts

SETTINGS = {
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_completion_length": 64,
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
    parser.add_argument("--rubric", default="helpfulness", help="for rows without one")
    parser.add_argument("--cheap", default="smollm2-135m-untuned", help="the judge of everything")
    parser.add_argument("--strong", default="smollm2-135m", help="the judge of undecided groups")
    parser.add_argument("--budget", type=float, default=0.5, help="the strong judge's share of a call")
    parser.add_argument("--policy", default="smollm2-135m", help="a preset, a folder or a hub id")
    parser.add_argument("--max-steps", type=int, default=20, help="optimizer steps")
    parser.add_argument("--out", default="grpo-groups-output", help="the folder of policy, state and judgment log")
    options = parser.parse_args()

    cheap = load_judge(options.cheap, mode="score", name="cheap")
    strong = load_judge(options.strong, mode="score", name="strong")
    log = Path(options.out) / "judgments.jsonl"
    reward = GroupReward(CascadeJudge(cheap, strong, budget=options.budget), options.rubric, log_path=log)
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
    given = Counter(record["given_by"] for record in records)
    print("judged by:", ", ".join(f"{name} {count}" for name, count in sorted(given.items())))
    spread = [entry["reward_std"] for entry in trainer.state.log_history if "reward_std" in entry]
    print("deviation of the rewards by step:", " ".join(f"{value:.3g}" for value in spread))
    print(f"saved in {options.out}; next: prom-reward report {options.out}")


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
