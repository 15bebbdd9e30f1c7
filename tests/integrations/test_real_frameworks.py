"""The integrations in the frameworks themselves, of the versions that the room's README names.

verifiers and OpenEnv have Pythons of their own, which PROM_REWARD_VERIFIERS_PYTHON and PROM_REWARD_OPENENV_PYTHON name:
`python -m venv FOLDER && FOLDER/bin/pip install verifiers==0.4.0`, or openenv==0.10.0; this project's packages are put
behind their own. The others are in the folder of PROM_REWARD_CLIENTS, as far as they are there: `pip install --no-deps
--target FOLDER verl==0.9.1 tensordict omegaconf antlr4-python3-runtime==4.9.3 pyvers orjson cloudpickle
importlib_metadata zipp codetiming ms-swift==4.6.0 modelscope modelscope_hub addict json_repair cryptography cffi
pycparser skyrl-gym==0.4.0 areal==1.0.4 httpx httpcore h11 colorlog torchdata hydra-core pebble aiofiles msgspec
tenacity flask werkzeug itsdangerous blinker lark uvloop numba llvmlite einops`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERIFIERS, OPENENV = os.environ.get("PROM_REWARD_VERIFIERS_PYTHON"), os.environ.get("PROM_REWARD_OPENENV_PYTHON")
CLIENTS = os.environ.get("PROM_REWARD_CLIENTS")
OWN = [path for path in sys.path if path.endswith("site-packages")]

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
OPENENV_STEPS = """
import asyncio, sys
sys.path += {paths!r}
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation
from openenv.core.rubrics.base import Rubric
from openenv.core.rubrics.containers import WeightedSum
from prom_reward.integrations.openenv import judge_rubric

class Said(Action):
    text: str

class Plain(Environment):
    state = None
    def reset(self, *args, **settings):
        return Observation()
    def step(self, action, *args, **settings):
        seen = Observation()
        seen.reward = self._apply_rubric(action, seen)
        return seen

class Awaited(Plain):
    async def step_async(self, action, *args, **settings):
        seen = Observation()
        seen.reward = await self._apply_rubric_async(action, seen)
        return seen

class One(Rubric):
    def forward(self, action, observation):
        return 1.0

judge = judge_rubric(prompt=lambda action, seen: "Hi", response=lambda action, seen: action.text)
for rubric in (judge, WeightedSum([One(), judge], [0.5, 0.5])):
    said = Plain(rubric=rubric).step(Said(text="s4")), asyncio.run(Awaited(rubric=rubric).step_async(Said(text="s4")))
    print(*(round(one.reward, 5) for one in said))
try:
    Plain(rubric=judge).step(Said(text="fail"))
except Exception as error:
    print(type(error).__name__)
"""
AREAL = """
import asyncio, logging, os
from types import SimpleNamespace
from prom_reward.integrations import areal, configured
logging.disable(logging.CRITICAL)

class Letters:
    def decode(self, ids):
        return "".join(map(chr, ids))

class Engine:
    def __init__(self, text):
        self.said = [*map(ord, text)]
    async def agenerate(self, request):
        asked, said = request.input_ids, self.said
        return SimpleNamespace(input_tokens=asked, input_len=len(asked), output_tokens=said, output_len=len(said),
                               output_logprobs=[0.0] * len(said), output_versions=[0] * len(said))

class Settings:
    def new_with_stop_and_pad_token_ids(self, tokenizer):
        return self
    def new(self, n_samples):
        return self

ids = lambda messages, tokenizer, thinking: [*map(ord, messages[0]["content"])]
workflow = areal.JudgedWorkflow(gconfig=Settings(), tokenizer=Letters(), get_input_ids_fn=ids)
row = {"messages": [{"role": "user", "content": "Hi"}], "answer": "Seven"}
print(*asyncio.run(workflow.arun_episode(Engine("s4"), row))["rewards"].tolist())
try:
    asyncio.run(workflow.arun_episode(Engine("fail"), row))
except Exception as error:
    print(type(error).__name__)
os.environ[configured.ON_UNSCORED] = "none"
configured.configured_reward.cache_clear()
print(asyncio.run(workflow.arun_episode(Engine("fail"), row)))
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
    assert said(VERIFIERS, JUDGE.format(paths=OWN), tmp_path) == ["quality 0.7187499999999999", "UnscoredError"]


@pytest.mark.skipif(OPENENV is None, reason="set PROM_REWARD_OPENENV_PYTHON")
def test_openenvs_environments_and_containers_take_the_rubric(settings):
    lines = said(OPENENV, OPENENV_STEPS.format(paths=OWN))
    assert lines == ["0.71875 0.71875", "0.85938 0.85938", "UnscoredError"]


@installed("areal")
def test_areals_workflow_is_rewarded(settings):
    lines = said(sys.executable, AREAL, CLIENTS)
    assert lines[-3:] == ["0.71875", "UnscoredError", "None"]


@installed("skyrl_gym")
def test_skyrl_makes_the_environment(settings):
    assert said(sys.executable, ENVIRONMENT, CLIENTS) == ["0.7187499999999999", "UnscoredError"]


@installed("verl")
def test_verl_loads_the_function_and_the_manager_of_groups(settings):
    assert said(sys.executable, VERL, CLIENTS) == ["0.7187499999999999 UnscoredError", "True 0.7187499999999999"]


@installed("swift")
def test_ms_swift_makes_its_rewards_of_both_base_classes(settings):
    lines = said(sys.executable, SWIFT, CLIENTS)
    assert lines[-2:] == ["0.7187499999999999 0.7187499999999999", "UnscoredError"]
