"""The same items in every precision that a machine may take."""

import pytest
import torch

from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.source import ModelSource
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import GradingRequest, Rubric

RESPONSES = ["Hi.", "Thank you, friend.", "Paris.", "Why?"]
SHORT = Rubric(
    name="kindness",
    criteria="Is it kind?",
    descriptions={1: "no", 2: "little", 3: "some", 4: "much", 5: "very"},
)
# On the scale of 1 to 5. The untuned judge's scores lie around 2.5; what fp16 and bf16 round off moves them less
# than int8's coarser weights.
TOLERANCES = {"bfloat16": 0.15, "float16": 0.1, "int8": 0.3}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def expected_scores(folder, **options):
    source = ModelSource(model=str(folder), **options)
    judge = PrometheusJudge(TransformersEngine(source, conversation=CONVERSATIONS["tokenizer"]), mode="score")
    requests = [GradingRequest(instruction="Say hello.", response=text, rubric=SHORT) for text in RESPONSES]
    judgments = judge.grade(requests)
    assert all(judgment.is_scored for judgment in judgments)
    return [judgment.expected_score for judgment in judgments], judge.engine.loaded


@pytest.fixture(scope="module")
def smollm2_fp32_scores(smollm2_folder):
    scores, loaded = expected_scores(smollm2_folder, dtype="float32", device="cpu")
    assert loaded.dtype == "float32" and {value.dtype for value in loaded.model.parameters()} == {torch.float32}
    assert max(scores) - min(scores) > 0.1
    return scores


@pytest.mark.slow
def test_bf16_on_a_cpu_grades_like_fp32(smollm2_folder, smollm2_fp32_scores):
    scores, loaded = expected_scores(smollm2_folder, dtype="bfloat16", device="cpu")
    assert {value.dtype for value in loaded.model.parameters()} == {torch.bfloat16}
    assert scores == pytest.approx(smollm2_fp32_scores, abs=TOLERANCES["bfloat16"])
    assert scores != smollm2_fp32_scores


@pytest.mark.slow
def test_int8_on_a_cpu_grades_like_fp32(smollm2_folder, smollm2_fp32_scores):
    scores, loaded = expected_scores(smollm2_folder, quantization="int8", device="cpu")
    assert loaded.model.model.layers[0].mlp.up_proj.weight.dtype == torch.int8
    assert scores == pytest.approx(smollm2_fp32_scores, abs=TOLERANCES["int8"])
    assert scores != smollm2_fp32_scores


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("options", [{"device": "cuda"}, {"device_map": "auto"}])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_on_a_gpu_grades_like_fp32(smollm2_folder, smollm2_fp32_scores, dtype, options):
    scores, loaded = expected_scores(smollm2_folder, dtype=dtype, **options)
    assert loaded.device.type == "cuda"
    assert {value.dtype for value in loaded.model.parameters()} == {getattr(torch, dtype)}
    assert scores == pytest.approx(smollm2_fp32_scores, abs=TOLERANCES[dtype])


@pytest.mark.gpu
@needs_gpu
def test_int8_on_a_gpu_grades_like_fp32(smollm2_folder, smollm2_fp32_scores):
    scores, loaded = expected_scores(smollm2_folder, quantization="int8")
    assert loaded.device.type == "cuda"
    assert scores == pytest.approx(smollm2_fp32_scores, abs=TOLERANCES["int8"])


@pytest.mark.gpu
@needs_gpu
def test_fp32_on_a_gpu_grades_like_fp32_on_a_cpu(smollm2_folder, smollm2_fp32_scores):
    scores, _ = expected_scores(smollm2_folder, dtype="float32", device="cuda")
    assert scores == pytest.approx(smollm2_fp32_scores, abs=1e-2)
