"""The engine of another checkout, whose folders PYTHONPATH names; answers each JSON line with one.

{"dtype": "bfloat16"}                  -> {"commit": ...}
{"workload": "a", "is_quick": true}    -> {"num_prompts": ...}
{"run": "engine"}                      -> {"seconds": ..., "peak_bytes": ...}
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
    sys.path.pop(0)  # this folder: its modules have the names of the other checkout's
    import contenders
    import torch
    import workloads

    import prom_reward

    setup = json.loads(sys.stdin.readline())
    judge = prom_reward.load_judge("smollm2-135m-untuned", mode="score", dtype=setup["dtype"])
    folder = Path(prom_reward.__file__).parent
    commit = subprocess.run(["git", "-C", folder, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
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
                answer({"num_prompts": len(prompts)})
            else:
                start = time.perf_counter()
                run()
                answer({"seconds": time.perf_counter() - start, "peak_bytes": peak_bytes()})


if __name__ == "__main__":
    main()
