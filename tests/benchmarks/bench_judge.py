"""Score mode side by side: the engine, one plain forward pass a prompt, and padded batches of 16.

    python tests/benchmarks/bench_judge.py --workload a,b --repeats 3 --json out.json

Workloads, with SmolLM2-135M and the answers in PROM_REWARD_DATA: (a) a GRPO step, 8 questions with 8 answers each and
one rubric; (b) the same with three rubrics. `--quick` takes 2 questions with 4 answers. The contenders run in turn,
so a machine that changes its speed changes it for all; read the ratios, not the seconds.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch

from prom_reward import GradingRequest, Rubric, load_judge
from prom_reward.prompts.template import SCORE_PREFIX
from prom_reward.types import JudgePrompt

RUBRICS = {"a": ["helpfulness"], "b": ["helpfulness", "factual_validity", "reasoning"]}


def requests(workload: str, num_questions: int, num_answers: int) -> list[GradingRequest]:
    """Return real answers to real questions, grouped by question."""
    path = Path(os.environ["PROM_REWARD_DATA"]) / "train/mtbench_gpt4.jsonl"
    groups = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if len(row["instruction"]) < 1500 and len(row["response"]) < 2500:
            groups[row["instruction"]].append(row)
    chosen = [rows[:num_answers] for rows in groups.values() if len(rows) >= num_answers][:num_questions]
    return [
        GradingRequest(
            instruction=row["instruction"],
            response=row["response"],
            reference_answer=row["reference_answer"],
            rubric=Rubric.parse(name),
        )
        for rows in chosen
        for row in rows
        for name in RUBRICS[workload]
    ]


def contenders(judge, prompts: list[JudgePrompt]) -> dict[str, Callable[[], list]]:
    """Return what is timed; each gives the label logits' argmax or the engine's generations, all prompts each."""
    runtime = judge.engine.runtime
    model, pad = runtime.loaded.model, runtime.loaded.tokenizer.pad_token_id
    contexts = [runtime.context_ids(prompt) for prompt in prompts]

    def ours():
        return judge.engine.generate(prompts, judge.sampling)

    @torch.inference_mode()
    def one_by_one():
        return [model(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1] for ids in contexts]

    @torch.inference_mode()
    def padded():
        rows = []
        for start in range(0, len(contexts), 16):
            batch = contexts[start : start + 16]
            width = max(map(len, batch))
            ids = torch.tensor([[pad] * (width - len(one)) + one for one in batch])
            mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch])
            positions = (mask.cumsum(-1) - 1).clamp_min(0)
            rows += list(model(ids, attention_mask=mask, position_ids=positions, logits_to_keep=1).logits[:, -1])
        return rows

    return {"engine": ours, "one_by_one": one_by_one, "padded_16": padded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", default="a,b")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="2 questions with 4 answers")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    judge = load_judge("smollm2-135m", mode="score")
    rows = []
    for workload in options.workload.split(","):
        wanted = requests(workload, *((2, 4) if options.quick else (8, 8)))
        prompts = [judge.grading_prompt(request) for request in wanted]
        assert all(prompt.response_prefix == SCORE_PREFIX for prompt in prompts)
        timed = defaultdict(list)
        todo = contenders(judge, prompts)
        generations = todo["engine"]()  # warms up
        for _ in range(options.repeats):
            for name, run in todo.items():
                start = time.perf_counter()
                run()
                timed[name].append((time.perf_counter() - start) / len(prompts))
        total = sum(one.num_prompt_tokens for one in generations)
        computed = sum(one.num_computed_tokens for one in generations)
        lengths = sorted(one.num_prompt_tokens for one in generations)
        for name, seconds in timed.items():
            row = {
                "workload": workload,
                "contender": name,
                "s_per_item": {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds)},
                "of_one_by_one": statistics.median(
                    mine / plain for mine, plain in zip(seconds, timed["one_by_one"], strict=True)
                ),
                "computed_tokens": computed if name == "engine" else total,
                "total_tokens": total,
                "prompt_tokens": {"min": lengths[0], "median": statistics.median(lengths), "max": lengths[-1]},
                "num_prompts": len(prompts),
            }
            rows.append(row)
            print(
                f"({workload}) {name:11} {row['s_per_item']['median']:.3f} s an item, "
                f"{row['of_one_by_one']:.2f} x one_by_one, {row['computed_tokens']} of {total} tokens"
            )
    about = {
        "model": "smollm2-135m",
        "dtype": judge.engine.runtime.loaded.dtype,
        "prefixes": judge.engine.runtime.prefill.strategy,
        "threads": torch.get_num_threads(),
        "cpu": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "torch": torch.__version__,
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
    }
    result = {"about": about, "rows": rows}
    print(json.dumps(about))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
