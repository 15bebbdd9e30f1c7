"""The engine of another checkout, which is first on PYTHONPATH; answers each JSON line with one.

{"checkout": FOLDER, "dtype": "bfloat16", "device": "cpu"}    -> {"commit": ...}
{"workload": "a", "is_quick": true}                           -> {"total_chars": ...}
{"run": "engine"}                                             -> {"seconds": ..., "peak_bytes": ...}

`peak_bytes` is the process's own peak since it began, with the loading of the model.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print is no answer


def answer(values: dict) -> None:
    OUT.write(json.dumps(values) + "\n")
    OUT.flush()


def peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    checkout = Path(setup["checkout"])
    # Its own benchmarks, and not those beside this file, which have the same names.
    sys.path[:] = [str(checkout / "tests/benchmarks"), *(one for one in sys.path if Path(one) != Path(__file__).parent)]
    import contenders
    import torch
    import workloads

    import prom_reward

    if checkout not in Path(prom_reward.__file__).parents:
        raise SystemExit(f"got the package of {prom_reward.__file__}; expected that of {checkout}")
    judge = prom_reward.load_judge("smollm2-135m-untuned", mode="score", dtype=setup["dtype"], device=setup["device"])
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    answer({"commit": commit.stdout.strip()})
    run = None
    with torch.inference_mode():
        for line in sys.stdin:
            job = json.loads(line)
            if "workload" in job:
                work = workloads.workload(job["workload"], is_quick=job["is_quick"])
                judge.layout, judge.mode = work.layout, "feedback" if work.writes_feedback else "score"
                prompts = [judge.grading_prompt(request) for request in work.requests]
                run = contenders.contenders(judge, prompts, writes_feedback=work.writes_feedback)["engine"]
                run()  # warms up
                answer({"total_chars": sum(len(prompt.user) for prompt in prompts)})
            else:
                start = time.perf_counter()
                run()
                answer({"seconds": time.perf_counter() - start, "peak_bytes": peak_bytes()})


if __name__ == "__main__":
    main()
