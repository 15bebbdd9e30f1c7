"""Memory of a LoRA policy alone, with a judge beside it, and with the judge on the policy's own weights.

    python tests/benchmarks/bench_shared_judge.py --repeats 1 --json out.json

Each of the three runs in a process of its own: SmolLM2-135M in fp32 with a LoRA adapter (r 16, all linear layers)
trains `--steps` GRPO steps of 8 completions of 32 tokens. The rewards of "alone" are the completions' lengths.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTENDERS = ("alone", "beside", "shared")
QUESTIONS = Path(__file__).parents[2] / "configs/questions.jsonl"


def run(contender: str, steps: int) -> dict:
    """Train, and return what it took of memory."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer

    from prom_reward import PrometheusReward, load_judge
    from prom_reward.config import load_policy
    from prom_reward.data.rows import read_values
    from prom_reward.engines.model.adapters import adapter_folder

    def length(completions, **_):
        return [float(len(completion[0]["content"])) for completion in completions]

    judge = load_judge("smollm2-135m", dtype="float32", device="cpu")
    reward = length if contender == "alone" else PrometheusReward(judge, "helpfulness")
    policy, tokenizer = load_policy("smollm2-135m")
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=policy,
            processing_class=tokenizer,
            reward_funcs=reward,
            peft_config=LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"),
            train_dataset=Dataset.from_list(read_values(QUESTIONS)),
            args=GRPOConfig(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=8,
                num_generations=8,
                max_completion_length=32,
                save_strategy="no",
                report_to="none",
                bf16=False,
                use_cpu=True,
                gradient_checkpointing=False,
                disable_tqdm=True,
                seed=0,
            ),
        )
        if contender == "shared":
            reward.share_policy(trainer)
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    models = [trainer.model]
    if contender == "beside":
        models.append(judge.engine.loaded.model)
    held = {one.data_ptr(): one.numel() * one.element_size() for model in models for one in model.parameters()}
    source = reward.judge.engine.beside.source if contender == "shared" else None
    slot = Path(adapter_folder(source), "adapter_model.safetensors").stat().st_size if source and source.adapter else 0
    return {
        "contender": contender,
        "weights_mb": round((sum(held.values()) + slot) / 1e6, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1),
        "seconds_per_step": round(seconds / steps, 2),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print("\n" + json.dumps(run(options.contender, options.steps)))
        return
    results = []
    for contender in CONTENDERS * options.repeats:
        command = [sys.executable, __file__, "--contender", contender, "--steps", str(options.steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(results[-1]))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "commit": commit, "model": "SmolLM2-135M, fp32"}
    if options.json:
        Path(options.json).write_text(json.dumps({**machine, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
