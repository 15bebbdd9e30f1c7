"""The plugin judge in verifiers 0.4.0 itself, with the Python that PROM_REWARD_VERIFIERS_PYTHON names.

`python -m venv FOLDER && FOLDER/bin/pip install verifiers==0.4.0`; this project's packages are put behind its own. The
environment in SkyRL 0.3.0 itself needs `skyrl-gym` in the folder of PROM_REWARD_CLIENTS.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERIFIERS, CLIENTS = os.environ.get("PROM_REWARD_VERIFIERS_PYTHON"), os.environ.get("PROM_REWARD_CLIENTS")

PLUGIN = "from prom_reward.integrations.verifiers import RubricJudge\n\n__all__ = ['RubricJudge']\n"
JUDGE = """
import asyncio, sys
sys.path += {paths!r}
import verifiers.v1 as vf
from types import SimpleNamespace
from verifiers.v1.configs.judge import resolve_judges
from verifiers.v1.utils.loaders import load_judge

class Data(vf.TaskData):
    answer: str = "Seven"

[config] = resolve_judges([{{"id": "prom_judge", "name": "quality"}}])
judge = load_judge(config)
for reply in ("s4", "fail"):
    try:
        print(judge.reward_name, asyncio.run(judge.score(Data(idx=0, prompt="Hi"), SimpleNamespace(last_reply=reply))))
    except Exception as error:
        print(type(error).__name__)
"""
ENVIRONMENT = """
import skyrl_gym
skyrl_gym.register(id="prometheus", entry_point="prom_reward.integrations.skyrl:PrometheusEnv")
for action in ("s4", "fail"):
    env = skyrl_gym.make("prometheus", env_config=None, extras={"reward_spec": {"ground_truth": "Seven"}})
    env.init([{"role": "user", "content": "Hi"}])
    try:
        print(env.step(action)["reward"])
    except Exception as error:
        print(type(error).__name__)
"""


def said(python, code, *paths):
    """Run code in a process of its own and return its lines."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *paths)))}
    ran = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout.splitlines()


@pytest.mark.skipif(VERIFIERS is None, reason="set PROM_REWARD_VERIFIERS_PYTHON")
def test_verifiers_loads_the_judge_as_a_plugin(settings, tmp_path):
    (tmp_path / "prom_judge.py").write_text(PLUGIN)
    own = [path for path in sys.path if path.endswith("site-packages")]
    assert said(VERIFIERS, JUDGE.format(paths=own), tmp_path) == ["quality 0.7187499999999999", "UnscoredError"]


@pytest.mark.skipif(CLIENTS is None, reason="set PROM_REWARD_CLIENTS")
def test_skyrl_makes_the_environment(settings):
    assert said(sys.executable, ENVIRONMENT, Path(CLIENTS) / "skyrl-gym") == ["0.7187499999999999", "UnscoredError"]
