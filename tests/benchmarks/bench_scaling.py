"""How a judge's time and memory grow with the number of prompts of one call.

    python tests/benchmarks/bench_scaling.py --sizes 8,32,128,512 --json out.json

Real answers from PROM_REWARD_DATA (dev/mtbench_gpt4.jsonl, the shortest ones), one rubric, score mode. The time should
be linear in the unique tokens; the peak of the process, less what it had before the weights were loaded, should be
weights plus what one pass and the longest prompt take, at every size. `--layers` cuts the judge: a few layers grow by
as much as all (`growth_mib`, beyond the first two prompts) in a fraction of the time.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from bench_judge import peak_bytes, reset_peak

from prom_reward import GradingRequest, Rubric, load_judge


def requests(count: int) -> list[GradingRequest]:
    """Return the shortest answers as requests, in file order."""
    path = Path(os.environ["PROM_REWARD_DATA"]) / "dev" / "mtbench_gpt4.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    limit = sorted(len(row["instruction"]) + len(row["response"]) for row in rows)[: count + 1][-1]
    short = [row for row in rows if len(row["instruction"]) + len(row["response"]) <= limit][:count]
    return [
        GradingRequest(
            instruction=row["instruction"],
            response=row["response"],
            reference_answer=row["reference_answer"],
            rubric=Rubric.parse("helpfulness"),
        )
        for row in short
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="8,32,128,512")
    parser.add_argument("--layout", default="prometheus", choices=("prometheus", "response_last"))
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--layers", type=int, help="the judge's first layers alone")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    cpu = torch.device("cpu")
    before = peak_bytes(cpu)
    judge = load_judge("smollm2-135m-untuned", mode="score", layout=options.layout, device="cpu", dtype=options.dtype)
    everything = requests(max(sizes))
    model = judge.engine.loaded.model
    packed_again = "lm_head" if model.config.tie_word_embeddings else None  # the embedding's weights
    own = [one for name, one in model.named_parameters() if name.partition(".")[0] != packed_again]
    weights = sum(one.numel() * one.element_size() for one in own)
    if options.layers:
        model.model.layers, model.config.num_hidden_layers = model.model.layers[: options.layers], options.layers
    reset_peak(cpu)
    judge.grade(everything[:2])
    settled = peak_bytes(cpu)
    rows = []
    for size in sizes:
        reset_peak(cpu)
        start, start_cpu = time.perf_counter(), time.process_time()
        judgments = judge.grade(everything[:size])
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
        tokens = sum(one.num_computed_tokens for one in judgments)
        rows.append(
            {
                "prompts": size,
                "unique_tokens": tokens,
                "total_tokens": sum(one.num_prompt_tokens for one in judgments),
                "s_per_1000_unique_tokens": 1000 * seconds / tokens,
                "cpu_s": cpu_seconds,
                "peak_over_weights": (peak_bytes(cpu) - before) / weights,
                "growth_mib": (peak_bytes(cpu) - settled) / 2**20,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    first = rows[0]["s_per_1000_unique_tokens"]
    print("time a unique token, over that of the first size:", end=" ")
    print(", ".join(f"{row['s_per_1000_unique_tokens'] / first:.2f}" for row in rows))
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
