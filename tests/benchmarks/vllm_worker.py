"""What runs on vLLM, in a Python that has it: reads one JSON request a line, answers each with one line.

{"model": FOLDER, "threads": 2, "dtype": "bfloat16"}                             -> {"version": ..., "can": [...]}
{"run": NAME, "prompts": [[ids], ...], "labels": [ids], "num_tokens": 1, ...}    -> {"seconds": ..., "peak_bytes": ...}

NAME is "vllm" (called directly), "vllm_engine" (this project's engine on the same `vllm.LLM`), or "prometheus_eval"
(that package on the same `vllm.LLM`, feedback only; its retries are off, and `best_of`, which vLLM no longer knows, is
not passed), for which "rows" holds what it grades.
"""

import importlib.util
import json
import os
import sys
import time
from functools import partial
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


def directly(model, job: dict) -> None:
    """Give vLLM the prompts as they come."""
    import vllm

    is_scored = job["num_tokens"] == 1
    sampling = vllm.SamplingParams(
        max_tokens=job["num_tokens"],
        temperature=0,
        ignore_eos=True,
        logprob_token_ids=job["labels"] if is_scored else None,
        detokenize=not is_scored,
    )
    prompts = [{"prompt_token_ids": ids} for ids in job["prompts"]]
    model.generate(prompts, sampling, use_tqdm=False)


def by_engine(model, job: dict) -> None:
    """Let this project's engine do it."""
    from prom_reward.engines.base import SamplingParams
    from prom_reward.engines.vllm_model import VllmModel, VllmSequence

    tokens = tuple(job["labels"])
    if job["num_tokens"] == 1:
        VllmModel(model).look_up(job["prompts"], [tokens] * len(job["prompts"]))
        return
    sequences = [
        VllmSequence(prompt_ids=ids, max_new_tokens=job["num_tokens"], tokens=tokens) for ids in job["prompts"]
    ]
    VllmModel(model).write(sequences, SamplingParams(temperature=0, top_p=1, repetition_penalty=1), ())


def by_prometheus_eval(model, job: dict) -> None:
    """Let the prometheus-eval package do it."""
    from prometheus_eval import ABSOLUTE_PROMPT, PrometheusEval, judge
    from prometheus_eval.utils import batch_completions_with_retries
    from prometheus_eval.vllm import VLLM

    judge.batch_completions_with_retries = partial(batch_completions_with_retries, max_retries=0)
    wrapped = VLLM.__new__(VLLM)
    wrapped.model = model
    length = {"max_tokens": job["num_tokens"], "ignore_eos": True, "temperature": 0}
    columns = {name: [row[name] for row in job["rows"]] for name in ("instruction", "response", "rubric", "reference")}
    PrometheusEval(model=wrapped, absolute_grade_template=ABSOLUTE_PROMPT).absolute_grade(
        instructions=columns["instruction"],
        responses=columns["response"],
        rubric=columns["rubric"],
        reference_answers=columns["reference"],
        params=length,
    )


RUNS = {"vllm": directly, "vllm_engine": by_engine, "prometheus_eval": by_prometheus_eval}


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    sys.path.append(str(Path(__file__).parents[2]))
    import vllm

    model = vllm.LLM(
        model=setup["model"],
        dtype=setup["dtype"],
        max_model_len=4096,
        enable_prefix_caching=True,
        disable_log_stats=True,
    )
    has_package = importlib.util.find_spec("prometheus_eval") is not None
    answer({"version": vllm.__version__, "can": [name for name in RUNS if has_package or name != "prometheus_eval"]})
    for line in sys.stdin:
        job = json.loads(line)
        model.reset_prefix_cache()
        start = time.perf_counter()
        RUNS[job["run"]](model, job)
        answer({"seconds": time.perf_counter() - start, "peak_bytes": peak_bytes()})


if __name__ == "__main__":
    main()
