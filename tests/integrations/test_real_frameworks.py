"""The integrations in the frameworks themselves: verifiers 0.4.0, SkyRL 0.3.0, verl 0.9.1, ms-swift 4.6.0.

verifiers has a Python of its own, which PROM_REWARD_VERIFIERS_PYTHON names: `python -m venv FOLDER && FOLDER/bin/pip
install verifiers==0.4.0`; this project's packages are put behind its own. The others are in the folder of
PROM_REWARD_CLIENTS, as far as they are there: `pip install --no-deps --target FOLDER verl==0.9.1 tensordict omegaconf
antlr4-python3-runtime==4.9.3 pyvers orjson cloudpickle importlib_metadata zipp codetiming ms-swift==4.6.0 modelscope
modelscope_hub addict json_repair cryptography cffi pycparser`, and SkyRL's `skyrl-gym`.
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
VERL = """
import asyncio, torch
import numpy as np
from omegaconf import OmegaConf
from types import SimpleNamespace
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

class Letters:
    def decode(self, ids, skip_special_tokens):
        return "".join(map(chr, ids.tolist()))

def rollout(text, uid="a", split="train"):
    ids = torch.tensor([[*map(ord, text), 0, 0]])
    mask = torch.tensor([[1, 1] + [1] * len(text) + [0, 0]])
    row = {"data_source": "d", "reward_model": {"ground_truth": "Seven"}, "uid": uid,
           "extra_info": {"question": "Hi", "split": split}}
    tensors = {"prompts": torch.ones((1, 2), dtype=torch.long), "responses": ids, "attention_mask": mask}
    return DataProto.from_dict(tensors, non_tensors={k: np.array([v], dtype=object) for k, v in row.items()})

def run(reward, *data):
    settings = {"reward": {"num_workers": 1, **reward}, "actor_rollout_ref": {"rollout": {"n": 2}}}
    async def all_of_them():
        manager = load_reward_manager(OmegaConf.create(settings), Letters())
        return await asyncio.gather(*map(manager.run_single, data), return_exceptions=True)
    found = asyncio.run(all_of_them())
    return [one["reward_score"] if isinstance(one, dict) else type(one).__name__ for one in found]

function = {"path": "pkg://prom_reward.integrations.verl", "name": "compute_score"}
single = {"custom_reward_function": function, "reward_manager": {"source": "register", "name": "naive"}}
print(*run(single, rollout("s4"), rollout("fail")))
module = {"path": "pkg://prom_reward.integrations.verl_groups"}
groups = {"reward_manager": {"source": "importlib", "name": "GroupRewardManager", "module": module}}
low, high, alone = run(groups, rollout("s1"), rollout("s5"), rollout("s4", split="test"))
print(low < 0 < high, alone)
"""
SWIFT = """
import asyncio
from prom_reward.integrations.ms_swift import register
from swift.rewards import orms
register()
turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "s4"}]
columns = {"messages": [turns], "solution": ["Seven"]}
print(*orms["prometheus"](args=None)(["s4"], **columns), *asyncio.run(orms["prometheus_async"]()(["s4"], **columns)))
try:
    orms["prometheus"]()(["fail"], **columns)
except Exception as error:
    print(type(error).__name__)
"""


def said(python, code, *paths):
    """Run code in a process of its own and return its lines."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *paths)))}
    ran = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout.splitlines()


def installed(name):
    """Skip a test whose framework is not in the folder."""
    is_there = CLIENTS is not None and (Path(CLIENTS) / name).is_dir()
    return pytest.mark.skipif(not is_there, reason=f"set PROM_REWARD_CLIENTS to a folder with {name}")


@pytest.mark.skipif(VERIFIERS is None, reason="set PROM_REWARD_VERIFIERS_PYTHON")
def test_verifiers_loads_the_judge_as_a_plugin(settings, tmp_path):
    (tmp_path / "prom_judge.py").write_text(PLUGIN)
    own = [path for path in sys.path if path.endswith("site-packages")]
    assert said(VERIFIERS, JUDGE.format(paths=own), tmp_path) == ["quality 0.7187499999999999", "UnscoredError"]


@installed("skyrl-gym")
def test_skyrl_makes_the_environment(settings):
    assert said(sys.executable, ENVIRONMENT, Path(CLIENTS) / "skyrl-gym") == ["0.7187499999999999", "UnscoredError"]


@installed("verl")
def test_verl_loads_the_function_and_the_manager_of_groups(settings):
    assert said(sys.executable, VERL, CLIENTS) == ["0.7187499999999999 UnscoredError", "True 0.7187499999999999"]


@installed("swift")
def test_ms_swift_makes_its_rewards_of_both_base_classes(settings):
    lines = said(sys.executable, SWIFT, CLIENTS)
    assert lines[-2:] == ["0.7187499999999999 0.7187499999999999", "UnscoredError"]
