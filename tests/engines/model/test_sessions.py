import contextlib

import pytest
import torch

from prom_reward.config import load_judge
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import LoadedModel
from prom_reward.engines.model.sessions import judging, judging_on, model_lock
from prom_reward.engines.model.source import ModelSource
from prom_reward.errors import ConfigError
from prom_reward.prompts.conversation import ChatTemplateConversation
from prom_reward.types import JudgePrompt

SCORE = [JudgePrompt("You judge.", task, "[RESULT] ") for task in ("Is water wet?", "Name a town.")]


def engine_of(folder, **options):
    source = ModelSource(model=str(folder), dtype="float32", **{"device": "cpu", **options})
    return TransformersEngine(source, conversation=ChatTemplateConversation, offload=True)


def test_a_judge_is_in_eval_mode_without_gradients_and_left_as_it_was():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout()).train()
    model[1].eval()
    with judging(model):
        assert torch.is_inference_mode_enabled() and not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False]
    assert not torch.is_inference_mode_enabled()


def test_a_model_has_one_lock():
    model = torch.nn.Linear(2, 2)
    assert model_lock(model) is model_lock(model) is not model_lock(torch.nn.Linear(2, 2))


def test_a_judge_is_moved_for_a_call_and_back_whatever_happens(monkeypatch):
    model = torch.nn.Linear(2, 2)
    moves = []
    monkeypatch.setattr(model, "to", moves.append)
    with contextlib.suppress(ZeroDivisionError), judging_on(torch.device("cpu"), model):
        moves.append("judges")
        raise ZeroDivisionError
    assert moves == [torch.device("cpu"), "judges", "cpu"]


def test_an_offloaded_judge_judges_alike(tiny_folder):
    offloaded = engine_of(tiny_folder)
    plain = TransformersEngine(offloaded.source, conversation=ChatTemplateConversation)
    for _ in range(2):
        with torch.inference_mode():
            assert offloaded.generate(SCORE, SamplingParams()) == plain.generate(SCORE, SamplingParams())
    assert not next(offloaded.loaded.model.parameters()).is_inference()


def test_it_is_a_setting_of_a_judge(tiny_folder, monkeypatch):
    engine = load_judge(str(tiny_folder), offload=True, dtype="float32", device="cpu").engine
    moves = []
    monkeypatch.setattr(engine.loaded.model, "to", moves.append)
    engine.generate(SCORE, SamplingParams())
    assert moves == [torch.device("cpu"), "cpu"]


@pytest.mark.parametrize("options", [{"device_map": "auto"}, {"quantization": "int8"}])
def test_what_cannot_be_moved_is_refused(tiny_folder, options):
    with pytest.raises(
        ConfigError, match=r"got offload with device_map=.*only plain weights on one device can be moved"
    ):
        engine_of(tiny_folder, **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_offloaded_judge_leaves_the_gpu_to_the_policy(smollm2_folder):
    offloaded = engine_of(smollm2_folder, device="cuda")
    before = torch.cuda.memory_allocated()
    first = offloaded.generate(SCORE, SamplingParams())
    model = offloaded.loaded.model
    size = sum(one.numel() * one.element_size() for one in model.parameters())
    assert torch.cuda.max_memory_allocated() - before >= size
    assert torch.cuda.memory_allocated() - before < size / 100
    assert model.device.type == "cpu"
    assert offloaded.generate(SCORE, SamplingParams()) == first
    beside = TransformersEngine(offloaded.source, conversation=ChatTemplateConversation).generate(
        SCORE, SamplingParams()
    )
    for one, other in zip(first, beside, strict=True):
        assert one.score_logprobs == pytest.approx(other.score_logprobs, abs=1e-3)


def test_a_loaded_model_may_be_offloaded_too():
    from tests.tiny_models import tiny_judge

    judge = tiny_judge()
    assert isinstance(judge, LoadedModel)
    engine = TransformersEngine(judge, conversation=ChatTemplateConversation, offload=True)
    plain = TransformersEngine(judge, conversation=ChatTemplateConversation)
    assert engine.generate(SCORE, SamplingParams()) == plain.generate(SCORE, SamplingParams())
