"""Contenders of `bench_judge` that run in a process of their own: vLLM, and the engine of another checkout."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

HERE = Path(__file__).parent


class Worker:
    """A process that answers one JSON line with one; `about` is its answer to the first."""

    def __init__(self, command: Sequence[str], setup: Mapping, environment: Mapping[str, str]) -> None:
        self._name = Path(command[-1]).name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self.about = self.ask(setup)

    def ask(self, values: Mapping) -> dict:
        """Send one line and return the answer."""
        try:
            self._process.stdin.write(json.dumps(values) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SystemExit(f"{self._name} ended; see its messages above")
        return json.loads(line)


def vllm_worker(python: str, model: str, dtype: str) -> Worker:
    """Start vLLM in a Python that has it."""
    threads = torch.get_num_threads()
    environment = {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_KVCACHE_SPACE": "2"}
    environment["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, range(threads)))
    return Worker([python, str(HERE / "vllm_worker.py")], {"model": model, "dtype": dtype}, environment)


def checkout_worker(checkout: Path, dtype: str) -> Worker:
    """Start the engine of another checkout in this Python."""
    paths = [checkout, checkout / "tests/benchmarks"]
    environment = {"PYTHONPATH": os.pathsep.join(str(path.resolve()) for path in paths)}
    return Worker([sys.executable, str(HERE / "checkout_worker.py")], {"dtype": dtype}, environment)
