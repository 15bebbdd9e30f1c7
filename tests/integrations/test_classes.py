"""Integrations that are classes, on base classes of the shape that each framework's source has."""

import asyncio
import inspect
import pickle  # noqa: TID251  frameworks send classes to their workers
from types import SimpleNamespace

import pytest
import torch

from prom_reward.errors import ConfigError, RowError, UnscoredError
from prom_reward.integrations import areal, configured, ms_swift, skyrl, verifiers, verl_groups
from prom_reward.integrations.openenv import judge_rubric
from prom_reward.serving.gathering import Gathering

S4 = pytest.approx(0.71875)
LAZY = {"JudgedWorkflow": areal, "PrometheusEnv": skyrl, "RubricJudge": verifiers, "GroupRewardManager": verl_groups}


class Plain:
    """A base class that takes anything."""

    def __init__(self, *args, **settings):
        pass


@pytest.fixture(autouse=True)
def anew():
    yield
    for name, module in LAZY.items():
        vars(module).pop(name, None)


@pytest.mark.parametrize(
    ("name", "own", "base"),
    [
        ("JudgedWorkflow", "JudgedEpisodes", ("areal.workflow.rlvr", "RLVRWorkflow")),
        ("PrometheusEnv", "JudgedTurn", ("skyrl_gym.envs.base_text_env", "BaseTextEnv")),
        ("RubricJudge", "ReplyScorer", ("verifiers.v1", "Judge")),
        (
            *("GroupRewardManager", "GroupScorer"),
            ("verl.experimental.reward_loop.reward_manager.base", "RewardManagerBase"),
        ),
    ],
)
def test_pickle_finds_a_class_and_its_documentation_needs_no_framework(framework, name, own, base):
    module = LAZY[name]
    assert inspect.getdoc(getattr(module, own))
    framework(base[0], **{base[1]: Plain})
    made = getattr(module, name)
    assert issubclass(made, Plain)
    assert pickle.loads(pickle.dumps(made)) is made
    assert f"{made.__module__}.{made.__qualname__}" == f"{module.__name__}.{name}"


def test_a_verifiers_judge_scores_the_last_reply_or_raises(settings, framework):
    framework("verifiers.v1", Judge=Plain)
    assert verifiers.RubricJudge is verifiers.RubricJudge
    judge = verifiers.RubricJudge()
    task = SimpleNamespace(prompt_text="Hi", model_dump=lambda: {"answer": "Seven", "rubric": "honesty"})
    assert asyncio.run(judge.score(task, SimpleNamespace(last_reply="s4"))) == S4
    for on_unscored in ("raise", "none"):
        settings(on_unscored)
        with pytest.raises(UnscoredError):
            asyncio.run(judge.score(task, SimpleNamespace(last_reply="fail")))


def test_skyrls_environment_ends_with_the_reward(settings, framework):
    framework("skyrl_gym.envs.base_text_env", BaseTextEnv=Plain, BaseTextEnvStepOutput=dict)
    env = skyrl.PrometheusEnv(extras={"reward_spec": {"ground_truth": "Seven"}, "extra_info": {"rubric": "honesty"}})
    env.init([{"role": "user", "content": "Hi"}])
    assert env.step("s4") == {"observations": [], "reward": S4, "done": True, "metadata": {}}
    settings("none")
    with pytest.raises(UnscoredError):
        env.step("fail")


@pytest.mark.parametrize(
    "extras",
    [
        {
            "reward_spec": {"ground_truth": "72"},
            "extra_info": {"rubric": "honesty"},
            "ground_truth": None,
            "rubric": None,
        },
        {"reward_spec": {"ground_truth": "72"}, "extra_info": None, "rubric": "honesty"},
        {"reward_spec": None, "extra_info": {"ground_truth": "72", "rubric": "honesty"}},
    ],
)
def test_what_a_row_of_skyrl_pads_with_none_hides_nothing(extras):
    assert skyrl.JudgedTurn({}, extras)._columns == {"ground_truth": "72", "rubric": "honesty"}


def test_ms_swifts_row_without_messages_is_refused(settings):
    with pytest.raises(RowError, match="row 0: got a prompt without messages"):
        ms_swift.rewards(["72"], messages=[[]])


def test_ms_swift_knows_both_reward_functions(settings, framework):
    orms = framework("swift.rewards", ORM=Plain, AsyncORM=Plain, orms={}).orms
    ms_swift.register()
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "s4"}]
    columns = {"messages": [turns, turns[:1]], "solution": ["Seven"] * 2, "trainer_state": None}
    assert orms["prometheus"]()(["s4", "s4"], **columns) == [S4, S4]
    assert asyncio.run(orms["prometheus_async"](args=None)(completions=["s4", "s4"], **columns)) == [S4, S4]
    with pytest.raises(UnscoredError):
        orms["prometheus"]()(["s4", "fail"], **columns)
    with pytest.raises(RowError, match="messages"):
        ms_swift.rewards(["s4"])


class ArealWorkflow:
    """The part of AReaL 1.0.4's RLVRWorkflow that asks for the reward of an episode."""

    def __init__(self, reward_fn, gconfig, tokenizer):
        self.async_reward_fn = None

    async def arun_episode(self, engine, data):
        return await self.async_reward_fn("<|im_start|>user\nHi<|im_end|>\n", engine, [1], [2], **data)


def test_areals_workflow_awaits_the_judge_and_leaves_a_rollout_out_if_told(settings, framework):
    framework("areal.workflow.rlvr", RLVRWorkflow=ArealWorkflow)
    workflow = areal.JudgedWorkflow(gconfig=None, tokenizer=None)
    row = {"messages": [{"role": "user", "content": "Hi"}], "answer": "Seven", "rubric": "honesty"}
    assert asyncio.run(workflow.arun_episode("s4<|im_end|>", row)) == S4
    with pytest.raises(UnscoredError):
        asyncio.run(workflow.arun_episode("fail", row))
    settings("none")
    assert asyncio.run(workflow.arun_episode("fail", row)) is None


class VerlManager:
    """The part of verl 0.9.1's RewardManagerBase that a manager gets."""

    def __init__(self, config, tokenizer, compute_score):
        self.config, self.tokenizer = config, tokenizer


class Letters:
    """A tokenizer whose tokens are characters."""

    def decode(self, ids, skip_special_tokens):
        assert skip_special_tokens
        return "".join(map(chr, ids.tolist()))


def verl_config(num_workers=1):
    rollout = SimpleNamespace(rollout=SimpleNamespace(n=3))
    return SimpleNamespace(reward=SimpleNamespace(num_workers=num_workers), actor_rollout_ref=rollout)


def verl_data(text, uid="a", **extra):
    """One rollout as verl 0.9.1's agent loop passes it: right-padded ids, a mask over prompt and response."""
    ids = torch.tensor([*map(ord, text), 0, 0])
    batch = {"responses": ids, "attention_mask": torch.tensor([1, 1] + [1] * len(text) + [0, 0])}
    row = {"data_source": "d", "reward_model": {"ground_truth": "Seven"}, "extra_info": extra, "uid": uid}
    return [SimpleNamespace(batch=batch, non_tensor_batch={**row, "raw_prompt": [{"role": "user", "content": "Hi"}]})]


def test_verls_manager_compares_the_rollouts_of_a_group(settings, framework, monkeypatch):
    framework("verl.experimental.reward_loop.reward_manager.base", RewardManagerBase=VerlManager)
    monkeypatch.setenv(configured.TOPOLOGY, "circular")
    with pytest.raises(ConfigError, match=r"reward\.num_workers=8; expected 1"):
        verl_groups.GroupRewardManager(verl_config(8), Letters(), None)
    manager = verl_groups.GroupRewardManager(verl_config(), Letters(), None, reward_router_address=None)

    async def run(*data):
        return [one["reward_score"] for one in await asyncio.gather(*map(manager.run_single, data))]

    low, high, failed = asyncio.run(run(verl_data("s1"), verl_data("s5"), verl_data("fail")))
    assert low < 0 < high
    assert failed == pytest.approx((low + high) / 2)
    assert asyncio.run(run(verl_data("s4", uid="b", split="test"))) == [S4]
    with pytest.raises(UnscoredError, match="none of 3 rollouts"):
        asyncio.run(run(*(verl_data("fail", uid="c") for _ in range(3))))
    manager._groups = Gathering(longest_wait_s=0.01)
    with pytest.raises(UnscoredError, match=r"got 2 of 3 rollouts to a prompt.*extra_info\.split"):
        asyncio.run(run(verl_data("s1", uid="d"), verl_data("s5", uid="d")))


def test_verls_manager_takes_the_prompt_that_the_policy_got(framework, monkeypatch):
    framework("verl.experimental.reward_loop.reward_manager.base", RewardManagerBase=VerlManager)
    manager, asked = verl_groups.GroupRewardManager(verl_config(), Letters(), None), []

    async def compute_score(data_source, solution, truth, extra):
        asked.append((extra["prompt"], truth, extra["rubric"]))
        return {"score": 1.0}

    monkeypatch.setattr(verl_groups, "compute_score", compute_score)
    asyncio.run(manager.run_single(verl_data("s4", split="test", prompt="Box it.", rubric="honesty")))
    assert asked == [([{"role": "user", "content": "Hi"}], "Seven", "honesty")]


async def awaited(rubric, *values):
    """Call as OpenEnv's base class does, which awaits what a plain `forward` gives on an event loop."""
    found = rubric.forward(*values)
    assert asyncio.iscoroutine(found)
    return await found


def test_openenvs_rubric_fits_environments_with_and_without_an_event_loop(settings, framework):
    framework("openenv.core.rubrics.base", Rubric=Plain)
    rubric = judge_rubric(prompt=lambda action, seen: seen["task"], response=lambda action, seen: action)
    assert rubric.forward("s4", {"task": "Hi"}) == S4
    assert asyncio.run(awaited(rubric, "s4", {"task": "Hi"})) == S4
    settings("none")
    with pytest.raises(UnscoredError):
        rubric.forward("fail", {"task": "Hi"})
    with pytest.raises(UnscoredError):
        asyncio.run(awaited(rubric, "fail", {"task": "Hi"}))


@pytest.mark.parametrize("module", LAZY.values())
def test_no_other_name_is_made_up(module):
    with pytest.raises(AttributeError, match="Other"):
        module.Other  # noqa: B018
