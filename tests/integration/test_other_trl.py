"""The integration tests again under TRL 1.12, the last release with PPO, in an environment of its own."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITES = (
    "test_trainers",
    "test_policy_sharing",
    "test_two_processes",
    "test_real_trainers",
    "test_grpo",
    "test_examples",
)


@pytest.fixture(scope="module")
def trl_python() -> str:
    """The Python of the environment with the other TRL, from PROM_REWARD_TRL_PYTHON; tests without one skip."""
    python = os.environ.get("PROM_REWARD_TRL_PYTHON")
    if not python:
        pytest.skip("PROM_REWARD_TRL_PYTHON is not set")
    return python


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_trainers_of_trl_1_12(trl_python, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    version = subprocess.run(
        [trl_python, "-c", "from importlib.metadata import version; print(version('trl'))"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert version == "1.12.0"
    command = [trl_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
    command += [f"tests/integration/{name}.py" for name in SUITES]
    done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " has no " not in done.stdout  # this release has every trainer: no test of one was skipped
