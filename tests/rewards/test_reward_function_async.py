"""The reward's async form, and its life in a process that was spawned without a GPU."""

import asyncio
import functools
import inspect
import multiprocessing
import pickle  # noqa: TID251 - a round trip in memory
import threading
import time

import pytest

from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine, load_judge
from prom_reward.errors import UnscoredError

GROUP = {
    "prompts": [[{"role": "user", "content": "Capital of France?"}]] * 3,
    "completions": [[{"role": "assistant", "content": text}] for text in ("Paris.", "Lyon, I think.", "")],
    "completion_ids": [[1], [2, 3], []],
    "reference_answer": ["Paris."] * 3,
}


def by_length(prompt):
    response = prompt.user.partition("###Response to evaluate:\n")[2].partition("\n\n###")[0]
    return f"[RESULT] {len(response) % 5 + 1}"


def reward_of(script=by_length, **settings):
    return PrometheusReward(PrometheusJudge(ScriptedEngine(script)), "helpfulness", **settings)


def test_it_is_a_coroutine_function_for_every_release_of_trl():
    function = reward_of(name="helpful").as_async()
    assert inspect.iscoroutinefunction(function)  # what TRL up to 1.13 asks
    assert function.__name__ == "helpful"  # by which both log it


def test_prompts_and_completions_may_come_by_place():
    reward = reward_of()
    texts = GROUP["prompts"], GROUP["completions"]
    assert asyncio.run(reward.as_async()(*texts)) == reward(*texts)


def test_every_release_of_trl_logs_it_by_its_own_name_also_in_another_process():
    function = pickle.loads(pickle.dumps(reward_of(name="helpful").as_async()))
    assert inspect.iscoroutinefunction(function)
    assert not isinstance(function, functools.partial)  # TRL 1.16 looks into one for the name
    assert function.__name__ == "helpful"


def test_it_gives_the_same_rewards_and_logs():
    reward, metrics, extras = reward_of(), {}, {}
    rewards = asyncio.run(reward.as_async()(**GROUP, log_metric=metrics.__setitem__, log_extra=extras.__setitem__))
    assert rewards == reward(**GROUP)
    assert metrics["judge/outcome/scored"] == 3
    assert len(extras["judge_score"]) == 3


def test_rewards_are_computed_at_the_same_time():
    meeting = threading.Barrier(2, timeout=10)

    def waits_for_the_other(prompt):
        meeting.wait()
        return "[RESULT] 4"

    async def both():
        return await asyncio.gather(
            *(reward_of(waits_for_the_other).as_async()(prompts=["Q"], completions=["A"]) for _ in range(2))
        )

    assert len(asyncio.run(both())) == 2  # one after the other would break the barrier


def test_what_it_raises_reaches_the_trainer():
    reward = reward_of(lambda _: "no verdict", on_unscored="raise")
    with pytest.raises(UnscoredError, match="could not be scored: no_result"):
        asyncio.run(reward.as_async()(prompts=["Q"], completions=["A"]))


def test_it_pickles_where_the_reward_does():
    function = pickle.loads(pickle.dumps(reward_of().as_async()))
    assert inspect.iscoroutinefunction(function)
    assert asyncio.run(function(**GROUP)) == reward_of()(**GROUP)


def serve(reward, group, answers):
    """What the child of TRL's AsyncRolloutWorker does with a group."""
    import torch

    async def score():
        return await asyncio.gather(asyncio.to_thread(reward, **group))

    answers.put((torch.cuda.is_available(), asyncio.run(score())))


def test_a_spawned_process_without_a_gpu_scores_a_group(tiny_judge_folder, monkeypatch):
    judge = load_judge(str(tiny_judge_folder), mode="score", dtype="float32")
    reward = PrometheusReward(judge, "helpfulness")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # as the worker starts its child
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    child = context.Process(target=serve, args=(pickle.loads(pickle.dumps(reward)), GROUP, answers))
    child.start()
    has_gpu, [rewards] = answers.get(timeout=240)
    child.join()
    assert not has_gpu
    monkeypatch.undo()
    assert rewards == pytest.approx(reward(**GROUP), abs=1e-5)
    assert len({round(one, 6) for one in rewards}) == 3


def test_a_judge_that_several_rewards_share_is_loaded_and_used_by_one_at_a_time(tiny_judge_folder, monkeypatch):
    from prom_reward.engines.local import transformers_engine

    loads = []
    load = transformers_engine.load_model

    def slow_load(source):
        loads.append(source)
        time.sleep(0.05)
        return load(source)

    monkeypatch.setattr(transformers_engine, "load_model", slow_load)
    judge = load_judge(str(tiny_judge_folder), mode="score", dtype="float32")
    rewards = [PrometheusReward(judge, rubric) for rubric in ("helpfulness", "honesty", "reasoning")]
    batch = {key: value for key, value in GROUP.items() if key != "completion_ids"}

    async def all_at_once():
        return await asyncio.gather(*(reward.as_async()(**batch) for reward in rewards))

    together = asyncio.run(all_at_once())
    assert len(loads) == 1
    for one, reward in zip(together, rewards, strict=True):
        assert one == pytest.approx(reward(**batch), abs=1e-5)
    assert judge.engine.loaded.model.config._attn_implementation == "sdpa"
