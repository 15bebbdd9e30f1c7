"""A real vLLM server on 127.0.0.1 for the tests marked `server`."""

import os
import signal
import socket
import subprocess
from pathlib import Path


class VllmServer:
    """Runs `python -m vllm.entrypoints.openai.api_server` in an environment of its own.

    It is not waited for: an engine waits for a server by itself, for `first_answer_s`.
    """

    def __init__(self, python: str, model: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = log
        self._command = [
            *(python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)),
            *("--served-model-name", "judge", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--dtype", "bfloat16", "--max-model-len", "4096", "--max-logprobs", "20"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        settings = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                env={**os.environ, **settings, "DO_NOT_TRACK": "1", "PYTHONPATH": ""},
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the server and its engine process with SIGKILL."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
