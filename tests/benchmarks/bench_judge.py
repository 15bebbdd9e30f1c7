"""A judge's cost, side by side with what a user would pick instead.

    python tests/benchmarks/bench_judge.py --workload a,b,c,d,e --repeats 3 --json out.json

Workloads: see `workloads.py`; the answers come from PROM_REWARD_DATA. Contenders: the engine; one plain forward pass
a prompt; padded batches of 16; for feedback `generate` on a padded batch; and where PROM_REWARD_VLLM_PYTHON names a
Python that has it, vLLM called directly, this project's engine on it, and the prometheus-eval package on it
(`vllm_worker.py`). They run in turn, so a machine that changes its speed changes it
for all: read the ratios, not the seconds. `roofline` is the arithmetic of the unique tokens at the best matrix product
rate that was measured in the same run (`roofline.py`), over the time. `peak_bytes` is the memory of the process.

`--contenders engine,flex,unpacked,graphed` times three more: one kernel a layer (FlexAttention), which takes a minute
to compile; the engine without packed layers; and feedback by CUDA graphs, on a GPU.
`--before CHECKOUT` times the engine of another checkout of this repository in turn with the others, in its own process.
`--compare OLD.json` sets every row beside that of an earlier run of the same machine, judge and workload.
`--profile` prints where the time of the engine's pass goes, in a run of its own that is not timed.
`--random-weights prometheus-7b-v2.0` takes that architecture at its full size with random weights.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import torch
from comparison import Earlier
from contenders import IF_NAMED, ON_VLLM, PLAIN, contenders
from profiles import time_by_kind
from roofline import arithmetic, gemm_rate
from workers import Worker, checkout_worker, vllm_worker
from workloads import FEEDBACK_TOKENS, Workload, texts, workload

from prom_reward import GradingRequest, LoadedModel, PrometheusJudge, TransformersEngine, load_judge
from prom_reward.engines.model.loading import load_tokenizer
from prom_reward.prompts.conversation import CONVERSATIONS

ARCHITECTURES = {
    "prometheus-7b-v2.0": ("mistral", {"num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336}, 8),
    "prometheus-13b-v1.0": ("llama", {"num_hidden_layers": 40, "hidden_size": 5120, "intermediate_size": 13824}, 40),
    "tiny": ("mistral", {"num_hidden_layers": 1, "hidden_size": 128, "intermediate_size": 256}, 1),
}


def random_judge(name: str, device: str) -> PrometheusJudge:
    """Return a judge of a published size with random weights and SmolLM2's tokenizer."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import AutoConfig

    tokenizer = load_tokenizer(load_judge("smollm2-135m-untuned").engine.source)
    kind, sizes, kv_heads = ARCHITECTURES[name]
    heads = sizes["hidden_size"] // 128
    limits = {"max_position_embeddings": 32768, "sliding_window": None} if kind == "mistral" else {}
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        **{"max_position_embeddings": 4096, **sizes, **limits},
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    return PrometheusJudge(
        TransformersEngine(LoadedModel(model, tokenizer, "bfloat16"), conversation=CONVERSATIONS["tokenizer"]),
        mode="score",
    )


def peak_bytes(device: torch.device) -> int:
    """Return the peak memory since the last reset."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def reset_peak(device: torch.device) -> None:
    """Forget the peak so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


@torch.inference_mode()
def measure(
    judge: PrometheusJudge,
    work: Workload,
    repeats: int,
    vllm: Worker | None = None,
    before: Worker | None = None,
    only: frozenset[str] = frozenset(),
) -> list[dict]:
    """Time all contenders, or the plain one and those of `only`, in turn and return their rows."""
    judge.layout = work.layout
    judge.mode = "feedback" if work.writes_feedback else "score"
    prompts = [judge.grading_prompt(request) for request in work.requests]
    batches = judge.engine.batches
    contexts = [batches.tokens.context_ids(prompt) for prompt in prompts]
    model = batches.loaded.model
    todo = contenders(judge, prompts, writes_feedback=work.writes_feedback)
    if vllm is not None:
        labels = [tail[0] for tail in batches.tokens.encoder.label_tokens(prompts[0].labels).tails.values()]
        tokens = FEEDBACK_TOKENS if work.writes_feedback else 1
        job = {
            "prompts": contexts,
            "labels": labels,
            "num_tokens": tokens,
            "rows": [_row(one) for one in work.requests],
        }
        on_vllm = [name for name in vllm.about["can"] if work.writes_feedback or name != "prometheus_eval"]
        todo |= {name: partial(vllm.ask, {"run": name, **job}) for name in on_vllm}
    if before is not None:
        todo["before"] = partial(before.ask, {"run": "engine"})
    plain = "generate" if work.writes_feedback else "one_by_one"
    chosen = only | {plain, "before"} if only else todo.keys() - {*IF_NAMED}
    todo = {name: run for name, run in todo.items() if name in chosen}
    computed = sum(one.num_computed_tokens for one in batches.prefill.run(contexts))  # warms up, too
    for name in todo.keys() & {*IF_NAMED}:
        todo[name]()  # probes the model or compiles a kernel
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    peaks = dict.fromkeys(todo, 0)
    rates: list[float] = []
    for _ in range(repeats):
        rates.append(gemm_rate(model))
        for name, run in todo.items():
            reset_peak(model.device)
            start = time.perf_counter()
            told = run()
            if model.device.type == "cuda":
                torch.cuda.synchronize()
            is_told = isinstance(told, dict)  # by the process that vLLM runs in
            took = told["seconds"] if is_told else time.perf_counter() - start
            seconds[name].append(took / len(prompts))
            peaks[name] = max(peaks[name], told["peak_bytes"] if is_told else peak_bytes(model.device))
    operations = arithmetic(model, contexts, FEEDBACK_TOKENS if work.writes_feedback else 0)
    least = operations / max(rates)
    total = sum(map(len, contexts))
    lengths = sorted(map(len, contexts))
    base = seconds[plain]
    return [
        {
            "workload": work.name,
            "contender": name,
            "s_per_item": {"min": min(times), "median": statistics.median(times), "max": max(times)},
            "of_plain": statistics.median(mine / its for mine, its in zip(times, base, strict=True)),
            "computed_tokens": computed if name in ("engine", *IF_NAMED) else total if name in PLAIN else None,
            "total_tokens": total,
            "operations": operations,
            "tokens_per_s": total / len(prompts) / statistics.median(times),
            "roofline": least / len(prompts) / statistics.median(times),
            "peak_bytes": peaks[name],
            "prompt_tokens": {"min": lengths[0], "median": statistics.median(lengths), "max": lengths[-1]},
            "num_prompts": len(prompts),
            "generated_tokens": FEEDBACK_TOKENS if work.writes_feedback else 0,
        }
        for name, times in seconds.items()
    ]


@torch.inference_mode()
def profile(judge: PrometheusJudge, work: Workload) -> str:
    """Return a line that tells where the time of the engine's pass goes."""
    judge.layout, judge.mode = work.layout, "feedback" if work.writes_feedback else "score"
    prompts = [judge.grading_prompt(request) for request in work.requests]
    run = contenders(judge, prompts, writes_feedback=work.writes_feedback)["engine"]
    run()
    shares = time_by_kind(run, judge.engine.loaded.model.device)
    return f"({work.name}) engine: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())


def _row(request: GradingRequest) -> dict[str, str]:
    """Return a request as prometheus-eval takes it."""
    return {
        "instruction": request.instruction,
        "response": request.response,
        "rubric": request.rubric.text,
        "reference": request.reference_answer or "",
    }


def check_before(judge: PrometheusJudge, work: Workload, told: dict) -> None:
    """Stop if the other checkout's workload of this name has other prompts."""
    judge.layout = work.layout
    judge.mode = "feedback" if work.writes_feedback else "score"
    chars = sum(len(judge.grading_prompt(request).user) for request in work.requests)
    if told["total_chars"] != chars:
        raise SystemExit(
            f"--before: got workload {work.name} with {told['total_chars']} characters in all prompts; "
            f"expected {chars}, as here"
        )


def show(rows: list[dict]) -> None:
    """Print a workload's rows."""
    for row in rows:
        shared = "" if row["computed_tokens"] is None else f"{row['computed_tokens']} of {row['total_tokens']} tokens, "
        print(
            f"({row['workload']}) {row['contender']:15} {row['s_per_item']['median']:.3f} s an item, "
            f"{row['of_plain']:.2f} x plain, {shared}roofline {row['roofline']:.2f}, "
            f"peak {row['peak_bytes'] / 2**30:.2f} GiB",
            flush=True,
        )


def about_machine() -> dict:
    """Return the machine and the code that figures were measured on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {
        "threads": torch.get_num_threads(),
        "cpu": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "torch": torch.__version__,
        "commit": commit.stdout.strip(),
    }


@torch.inference_mode()
def about(judge: PrometheusJudge, name: str, vllm: Worker | None = None, before: Worker | None = None) -> dict:
    """Return the judge, the texts and the machine that figures were measured on."""
    loaded = judge.engine.loaded
    is_cuda = loaded.device.type == "cuda"
    return {
        "model": name,
        "dtype": loaded.dtype,
        "device": torch.cuda.get_device_name(loaded.device) if is_cuda else str(loaded.device),
        "prefixes": judge.engine.batches.prefill.strategy,
        "texts": texts(),
        "vllm": vllm.about["version"] if vllm else None,
        "before": before.about["commit"] if before else None,
        **about_machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", default="a,b,c,d,e")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contenders", default="", help="some of them, beside the plain one; all by default")
    parser.add_argument("--profile", action="store_true", help="print where the engine's time goes, too")
    parser.add_argument("--quick", action="store_true", help="a few items of each workload")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="time the engine of another checkout, too")
    parser.add_argument("--random-weights", choices=sorted(ARCHITECTURES), help="this size, random weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="auto", help="of the judge, for all contenders")
    parser.add_argument("--json", help="write the rows to this file")
    parser.add_argument("--compare", metavar="OLD.json", help="set the rows beside those of an earlier run's file")
    options = parser.parse_args()
    if options.before and options.random_weights:
        parser.error("--before takes the judge smollm2-135m-untuned; leave --random-weights out")
    if options.random_weights:
        judge = random_judge(options.random_weights, options.device)
    else:
        judge = load_judge("smollm2-135m-untuned", mode="score", device=options.device, dtype=options.dtype)
    with ExitStack() as stack:
        _run(judge, options, stack)


def _run(judge: PrometheusJudge, options: argparse.Namespace, stack: ExitStack) -> None:
    """Time the workloads; processes that this starts end with the stack."""
    loaded = judge.engine.batches.loaded
    only = frozenset(filter(None, options.contenders.split(",")))
    python, vllm, before = os.environ.get("PROM_REWARD_VLLM_PYTHON"), None, None
    if python and not options.random_weights and (not only or only & set(ON_VLLM)):
        vllm = stack.enter_context(vllm_worker(python, loaded.model.config.name_or_path, loaded.dtype))
    if options.before:
        before = stack.enter_context(checkout_worker(options.before, loaded.dtype, options.device))
    run = about(judge, options.random_weights or "smollm2-135m-untuned", vllm, before)
    print(json.dumps(run), flush=True)
    earlier = Earlier(options.compare, run) if options.compare else None
    rows = []
    for name in options.workload.split(","):
        work = workload(name, is_quick=options.quick)
        if before:
            check_before(judge, work, before.ask({"workload": name, "is_quick": options.quick}))
        rows += measure(judge, work, options.repeats, vllm=vllm, before=before, only=only)
        show([row for row in rows if row["workload"] == name])
        if options.profile:
            print(profile(judge, work), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps({"about": run, "rows": rows}, indent=2))
    if earlier:
        print("\n".join(earlier.lines(rows)))


if __name__ == "__main__":
    main()
