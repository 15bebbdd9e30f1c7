"""A judge at vLLM 0.32's own `/v1/systemone`: a small random Qwen3, one of the architectures that it takes there."""

from contextlib import closing

import pytest
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from prom_reward import ComparisonRequest, GradingRequest, load_judge
from prom_reward.engines.server.decisions.decision_engine import decision_apis
from prom_reward.engines.server.source import ServerSource
from tests.vllm_server import VllmServer

pytestmark = [pytest.mark.server, pytest.mark.full, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def vllm(vllm_python, smollm2_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen3")
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    size = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 32}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": len(tokenizer)}
    Qwen3ForCausalLM(Qwen3Config(**size, **heads, max_position_embeddings=4096)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    server = VllmServer(vllm_python, folder, tmp_path_factory.mktemp("vllm") / "log")
    server.start()
    yield server
    server.kill()


def test_vllms_answers_are_judgments_with_distributions(vllm):
    waits = {"first_answer_s": 600, "outage_deadline_s": 600}
    judge = load_judge(vllm.url, api="systemone", server=waits)
    asked = [
        GradingRequest(instruction="Hi", response=one, rubric="helpfulness") for one in ("Hello!", "[RESULT] 5", "")
    ]
    pair = ComparisonRequest(instruction="Hi", response_a="Hello!", response_b="No.", rubric="helpfulness")
    checklist = [{"criterion": "Greets.", "points": 1}, {"criterion": "Is rude.", "points": -1}]
    with closing(judge.engine):
        graded, [compared] = judge.grade(asked), judge.compare([pair])
        listed = judge.grade_one(instruction="Hi", response="Hello!", rubric=checklist)
    assert [sum(one.score_probs.values()) for one in graded] == pytest.approx([1, 1, 1])
    assert all(set(one.score_probs) == {1, 2, 3, 4, 5} and one.num_prompt_tokens > 50 for one in graded)
    assert 0 < compared.prob_a < 1
    assert all(0 < one.value < 1 for one in listed.parts)
    assert decision_apis(ServerSource(url=vllm.url, max_retries=0)) == {"systemone": "judge"}
