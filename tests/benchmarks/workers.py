"""Contenders of `bench_judge` that run in a process of their own: vLLM, and the engine of another checkout."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch

HERE = Path(__file__).parent


class Worker:
    """A process that answers one JSON line with one; `about` is its answer to the first. It ends when it is left."""

    def __init__(self, command: Sequence[str], setup: Mapping, environment: Mapping[str, str]) -> None:
        self._name = Path(command[-1]).name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self.about = self.ask(setup)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, values: Mapping) -> dict:
        """Send one line and return the answer."""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(values) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise SystemExit(f"{self._name} ended; see its messages above")
        return json.loads(line)

    def close(self) -> None:
        """Let the process end, and wait for it."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def vllm_worker(python: str, model: str, dtype: str) -> Worker:
    """Start vLLM in a Python that has it."""
    threads = torch.get_num_threads()
    environment = {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_KVCACHE_SPACE": "2"}
    environment["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, range(threads)))
    return Worker([python, str(HERE / "vllm_worker.py")], {"model": model, "dtype": dtype}, environment)


def checkout_worker(checkout: Path, dtype: str, device: str) -> Worker:
    """Start the engine of another checkout in this Python."""
    paths = [str(checkout.resolve()), os.environ.get("PYTHONPATH", "")]
    setup = {"checkout": paths[0], "dtype": dtype, "device": device}
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return Worker([sys.executable, str(HERE / "checkout_worker.py")], setup, environment)
