"""Train a policy with GRPO on rewards from a rubric.

    python training_examples/grpo.py --dataset configs/questions.jsonl --max-steps 20
    python training_examples/grpo.py --config configs/grpo.yaml

The data set has a `prompt` column and, if you like, `rubric` and `reference_answer`. On two CPU cores a step of
8 completions of 64 tokens with SmolLM2-135M as policy and judge takes about half a minute.
"""

import argparse

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from prom_reward import GRPORun, PrometheusReward, PromRewardError, load_grpo_run, load_judge, load_policy, read_prompts

DEFAULTS = {
    "output_dir": "grpo-output",
    "max_steps": 20,
    "per_device_train_batch_size": 8,
    "num_generations": 8,
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
    parser.add_argument("--config", help="a YAML file with policy, judge, rubric, dataset, reward, trainer")
    parser.add_argument("--judge", help="a preset, a folder, a hub id or a YAML file (default: smollm2-135m)")
    parser.add_argument("--policy", help="a preset, a folder or a hub id (default: smollm2-135m)")
    parser.add_argument("--dataset", help="a JSONL, JSON, CSV or Parquet file, or a datasets folder")
    parser.add_argument("--rubric", help="for rows without one (default: helpfulness)")
    parser.add_argument("--max-steps", type=int, help="optimizer steps")
    parser.add_argument("--out", help="the folder of policy, state and judgment log (default: grpo-output)")
    options = parser.parse_args()
    if not options.config and not options.dataset:
        parser.error("give --dataset or --config")
    run = load_grpo_run(options.config) if options.config else GRPORun(dataset=options.dataset)

    chosen = {"max_steps": options.max_steps, "output_dir": options.out}
    settings = {**DEFAULTS, **run.trainer, **{name: value for name, value in chosen.items() if value is not None}}
    out = settings["output_dir"]
    reward = PrometheusReward(
        load_judge(options.judge or run.judge),
        rubric=options.rubric or run.rubric or "helpfulness",
        **{**run.reward.model_dump(), "log_path": run.reward.log_path or f"{out}/judgments.jsonl"},
    )
    policy, tokenizer = load_policy(options.policy or run.policy)
    trainer = GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(read_prompts(options.dataset or run.dataset)),
        args=GRPOConfig(**settings),
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    print("reward by step:", " ".join(f"{value:.3f}" for value in rewards))
    print(f"saved in {out}; next: prom-reward report {run.reward.log_path or out}")


if __name__ == "__main__":
    try:
        main()
    except PromRewardError as error:
        raise SystemExit(f"error: {error}") from None
