"""TRL 1.16's Async GRPO with a judge on `prom-reward serve`: its own rollout worker, in the process that it spawns.

Only the worker meets a reward. Its trainer's step needs FlashAttention 3, hence a GPU; vLLM is a scripted server here.
"""

import copy
import itertools
from contextlib import closing
from math import isnan

import pytest
from accelerate import PartialState
from datasets import Dataset

from prom_reward import PrometheusReward, load_judge
from tests.fault_server import FaultServer
from tests.serving.served_thread import served_url

worker_module = pytest.importorskip("trl.experimental.async_grpo.async_rollout_worker")
templates = pytest.importorskip("trl.chat_template_utils")

pytestmark = [pytest.mark.full, pytest.mark.slow]


@pytest.mark.parametrize("is_async", [False, True])
def test_the_rollout_worker_scores_its_groups_with_a_served_judge(smollm2_tokenizer, monkeypatch, is_async):
    monkeypatch.setattr(worker_module, "is_vllm_available", lambda: True)  # its server is all that is used of it
    PartialState()  # as the trainer has it when it makes the worker
    tokenizer = copy.deepcopy(smollm2_tokenizer)
    tokenizer.chat_template = templates.qwen2_5_chat_template  # one whose answers TRL can parse
    texts = itertools.cycle(("s1", "s5", "s3", "fail"))

    def generate(path, body):
        ids = tokenizer.encode(next(texts), add_special_tokens=False)
        return {"choices": [{"token_ids": ids, "logprobs": {"token_logprobs": [-1.0] * len(ids)}}]}

    rows = [{"prompt": [{"role": "user", "content": f"Say {n}."}], "reference_answer": "Seven"} for n in range(4)]
    with served_url() as (url, _), closing(FaultServer(generate)) as server:
        reward = PrometheusReward(load_judge(url), "helpfulness", name="judged")
        worker = worker_module.AsyncRolloutWorker(
            model_name="judge",
            dataset=Dataset.from_list(rows),
            reward_funcs=[reward.as_async() if is_async else reward],
            processing_class=tokenizer,
            eos_token_ids=[tokenizer.eos_token_id],
            num_generations=4,
            max_tokens=8,
            vllm_server_url=server.url.removesuffix("/v1"),
        )
        worker.start()
        said = {}
        try:
            while len(said) < 4:
                sample = worker.rollout_buffer.get(timeout=60)
                said[tokenizer.decode(sample.input_ids[sample.completion_mask == 1])] = sample
        finally:
            worker.stop()
        reward.judge.close()
    low, high, middle = (said[text].metrics["rewards/judged"] for text in ("s1", "s5", "s3"))
    assert low < middle < high
    assert isnan(said["fail"].metrics["reward"])
    assert said["fail"].advantage == 0
