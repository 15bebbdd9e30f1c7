"""vLLM called directly, in a Python that has it: reads one JSON request a line, answers each with one line.

{"model": FOLDER, "threads": 2, "dtype": "bfloat16"}            -> {"version": ...}
{"prompts": [[ids], ...], "labels": [ids], "num_tokens": 1}     -> {"seconds": ..., "peak_bytes": ...}
"""

import json
import os
import sys
import time
from pathlib import Path

OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # vLLM prints to standard output


def answer(values: dict) -> None:
    OUT.write(json.dumps(values) + "\n")
    OUT.flush()


def peak_bytes() -> int:
    """Return the summed peak memory of this process and its children."""
    own, peaks = {os.getpid()}, 0
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda one: int(one.name)):
        try:
            fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(folder.name) in own or int(fields["PPid"]) in own:
            own.add(int(folder.name))
            peaks += int(fields.get("VmHWM", "0 kB").split()[0]) * 1024
    return peaks


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    import vllm

    model = vllm.LLM(
        model=setup["model"],
        dtype=setup["dtype"],
        max_model_len=4096,
        enable_prefix_caching=True,
        disable_log_stats=True,
    )
    answer({"version": vllm.__version__})
    for line in sys.stdin:
        job = json.loads(line)
        prompts = [{"prompt_token_ids": ids} for ids in job["prompts"]]
        is_scored = job["num_tokens"] == 1
        sampling = vllm.SamplingParams(
            max_tokens=job["num_tokens"],
            temperature=0,
            ignore_eos=True,
            logprob_token_ids=job["labels"] if is_scored else None,
            detokenize=not is_scored,
        )
        model.reset_prefix_cache()
        start = time.perf_counter()
        model.generate(prompts, sampling, use_tqdm=False)
        answer({"seconds": time.perf_counter() - start, "peak_bytes": peak_bytes()})


if __name__ == "__main__":
    main()
