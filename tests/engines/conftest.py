"""Fixtures of the engine tests."""

import os
from pathlib import Path

import pytest
import torch

from prom_reward.engines.server.openai_engine import OpenAIEngine
from prom_reward.engines.server.source import ServerSource
from prom_reward.prompts.conversation import CONVERSATIONS, SYSTEM_SEPARATORS
from tests.fault_server import FaultServer
from tests.served_models import text_server
from tests.tiny_models import tiny_judge


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A random Llama with its tokenizer, saved as a folder."""
    # Real vLLM has no kernels for heads as small as the other tests'.
    judge = tiny_judge("llama", head_dim=32 if "PROM_REWARD_REAL_VLLM" in os.environ else 8)
    folder = tmp_path_factory.mktemp("tiny-judge")
    judge.model.save_pretrained(folder)
    judge.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread(request):
    """Threads pay only in long prefills of a real model: in a tiny one, or decoding, they cost many times its work."""
    threads = torch.get_num_threads()
    names = set(request.fixturenames)
    if "smollm2" in names or names.isdisjoint({"smollm2_folder", "data_folder"}):
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def serve():
    """Makes servers and engines, and closes them."""
    opened = []

    def make(answer=None, *, conversation="mistral", tokenizer=None, **source):
        server = FaultServer(answer or text_server())
        engine = OpenAIEngine(
            ServerSource(url=server.url, **{"request_timeout_s": 60, **source}),
            conversation=CONVERSATIONS[conversation],
            system_separator=SYSTEM_SEPARATORS.get(conversation),
            tokenizer=tokenizer,
        )
        opened.extend((engine, server))
        return server, engine

    yield make
    for one in opened:
        one.close()
