"""Behind a server that takes token ids, a judge reads what it reads in this process."""

import pytest

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.server.openai_engine import OpenAIEngine
from prom_reward.engines.server.source import ServerSource
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests.fault_server import FaultServer
from tests.served_models import ModelServer
from tests.tiny_models import script_judge

GREEDY = SamplingParams(max_new_tokens=30, temperature=0, repetition_penalty=1)
SCRIPTS = {
    "plain": "The answer is good. [RESULT] 4",
    "glued": "Fine.[RESULT](3)",
    "said": "[RESULT] Score: 4",
    "split": ["It is poor. [RESULT]", " ", "2"],
    "ten": "It is perfect. [RESULT] 10",
    "off": "It is more. [RESULT] 77",
    "none": "The answer is good.",
    "open": "The answer is good. [RESULT]",
    "empty": "",
}
TEN = tuple(str(label) for label in range(1, 11))


@pytest.fixture(params=[False, True], ids=["space-and-digit", "space-joined"])
def engines(request, tmp_path):
    """The same scripted model in this process and behind a server."""
    judge = script_judge(SCRIPTS, joins_space=request.param)
    judge.tokenizer.save_pretrained(tmp_path)
    server = FaultServer(ModelServer(judge))
    conversation = CONVERSATIONS["tokenizer"]
    far = OpenAIEngine(
        ServerSource(url=server.url), conversation=conversation, tokenizer=ModelSource(model=str(tmp_path))
    )
    yield TransformersEngine(judge, conversation=conversation), far
    far.close()
    server.close()


@pytest.mark.parametrize("labels", [("1", "2", "3", "4", "5"), TEN], ids=["five", "ten"])
def test_every_kind_of_ending_is_read_alike(engines, labels):
    prompts = [JudgePrompt("", name, labels=labels) for name in SCRIPTS]
    near, far = (engine.generate(prompts, GREEDY) for engine in engines)
    for name, one, other in zip(SCRIPTS, near, far, strict=True):
        assert (other.text, other.finish_reason) == (one.text, one.finish_reason), name
        if one.score_logprobs is None:
            assert other.score_logprobs is None, name
        else:
            assert other.score_logprobs == pytest.approx(one.score_logprobs, abs=1e-4), name
