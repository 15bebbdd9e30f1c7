"""One server and two training processes that share it."""

import multiprocessing

import pytest

from prom_reward import PrometheusJudge, PrometheusReward
from prom_reward.engines.server.openai_engine import OpenAIEngine
from prom_reward.engines.server.source import ServerSource
from prom_reward.prompts.conversation import CONVERSATIONS
from tests.fault_server import FaultServer
from tests.served_models import text_server

COMPLETIONS = [f"answer {number}" for number in range(8)]


def rank_rewards(rank, reward, rendezvous, results):
    """Judge this rank's half, as GRPO does, and gather the whole."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    mine = COMPLETIONS[rank * 4 : rank * 4 + 4]
    rewards = torch.tensor(reward(prompts=["Hi"] * 4, completions=mine), dtype=torch.float64)
    gathered = [torch.zeros_like(rewards) for _ in range(2)]
    distributed.all_gather(gathered, rewards)
    if rank == 0:
        results.put((torch.cat(gathered).tolist(), reward.__name__))
    distributed.barrier()
    distributed.destroy_process_group()
    reward.judge.engine.close()


@pytest.mark.slow
def test_two_training_processes_share_one_server(tmp_path):
    server = FaultServer(text_server())
    engine = OpenAIEngine(ServerSource(url=server.url), conversation=CONVERSATIONS["mistral"])
    reward = PrometheusReward(PrometheusJudge(engine, mode="score"), rubric="helpfulness")
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    ranks = [
        spawn.Process(target=rank_rewards, args=(rank, reward, tmp_path / "rendezvous", results)) for rank in range(2)
    ]
    for rank in ranks:
        rank.start()
    gathered, name = results.get(timeout=240)
    for rank in ranks:
        rank.join(60)
        assert rank.exitcode == 0
    assert gathered == reward(prompts=["Hi"] * 8, completions=COMPLETIONS)
    assert len(set(gathered)) > 1
    assert name == reward.__name__
    engine.close()
    server.close()
