"""`prom-reward serve` as a process of its own, with a scripted judge in the place of a model."""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import requests

_RUN = """
import sys
from prom_reward import PrometheusJudge, ScriptedEngine
from {module} import {function} as script
import prom_reward.cli.commands.serve as command
import time

def slow(prompt):
    time.sleep(float({seconds}))
    return script(prompt)

command.options.check_judge = lambda *args, **settings: None
command.load_judge = lambda name, **settings: PrometheusJudge(ScriptedEngine(slow, keeps_prompts=False), name=name)
from prom_reward.cli.main import main
sys.argv[1:] = ["serve", {name!r}, *{arguments!r}]
main()
"""


class ServedProcess:
    """A running server; `script` is the judge's function, as "module:name"."""

    def __init__(
        self, *arguments, name="scripted", seconds=0.0, script="tests.serving.scripted_service:word_score", env=None
    ):
        module, _, function = script.partition(":")
        code = _RUN.format(
            seconds=seconds, name=name, module=module, function=function, arguments=list(map(str, arguments))
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        )
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"at (http://\S+) ", line):
                self.url = found[1]
                break
        else:
            raise RuntimeError("".join(self.said))
        self._wait_until_ready()

    def _wait_until_ready(self):
        for _ in range(400):
            try:
                if requests.get(f"{self.url}/readyz", timeout=5).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.025)
        raise RuntimeError("the server is not ready")

    def send(self, number):
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self):
        """Wait for the end; return the exit status and everything that was said."""
        rest = self.process.stderr.read()
        return self.process.wait(60), "".join(self.said) + rest


@contextmanager
def served_process(*arguments, **settings):
    """Yield a running server, and end it."""
    server = ServedProcess(*arguments, **settings)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.stderr.close()
        server.process.wait()
