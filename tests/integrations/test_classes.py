"""Integrations that are classes, on base classes of the shape that each framework's source has."""

import asyncio
from types import SimpleNamespace

import pytest

from prom_reward.errors import RowError, UnscoredError
from prom_reward.integrations import ms_swift, skyrl, verifiers
from prom_reward.integrations.openenv import judge_rubric

S4 = pytest.approx(0.71875)


class Plain:
    """A base class that takes anything."""

    def __init__(self, *args, **settings):
        pass


@pytest.fixture(autouse=True)
def anew():
    yield
    for module, name in ((skyrl, "PrometheusEnv"), (verifiers, "RubricJudge")):
        vars(module).pop(name, None)


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


def test_openenvs_rubric_reads_action_and_observation(settings, framework):
    framework("openenv.core.rubrics.base", Rubric=Plain)
    rubric = judge_rubric(prompt=lambda action, seen: seen["task"], response=lambda action, seen: action)
    assert asyncio.run(rubric.forward("s4", {"task": "Hi"})) == S4
    settings("none")
    with pytest.raises(UnscoredError):
        asyncio.run(rubric.forward("fail", {"task": "Hi"}))


@pytest.mark.parametrize("module", [skyrl, verifiers])
def test_no_other_name_is_made_up(module):
    with pytest.raises(AttributeError, match="Other"):
        module.Other  # noqa: B018
