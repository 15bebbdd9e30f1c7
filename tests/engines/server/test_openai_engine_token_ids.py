"""Behind a server that takes token ids, a judge reads what it reads in this process."""

import pytest

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.server.openai_engine import OpenAIEngine
from prom_reward.engines.server.source import ServerSource
from prom_reward.judging.parsing import parse_score
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt, Outcome, ScoreScale
from tests.fault_server import FaultServer
from tests.served_models import ModelServer, several
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
    "thought": "<think>A [RESULT] 2 is too harsh.</think>Good. [RESULT] 5",
    "thinking": "<think>A [RESULT] 2 is too",
    "unmarked": "<think>[RESULT] 2?</think>Good.",
}
TEN = tuple(str(label) for label in range(1, 11))


@pytest.fixture(params=[False, True], ids=["space-and-digit", "space-joined"])
def engines(request, tmp_path):
    """The same scripted model in this process and behind a server."""
    judge = script_judge(SCRIPTS, joins_space=request.param)
    judge.tokenizer.save_pretrained(tmp_path)
    server = FaultServer(several(ModelServer(judge)))
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


def texts_only(serve):
    """Take no token ids; put BOS before a conversation, as servers do."""

    def answer(path, body):
        if not isinstance(body["prompt"], str):
            return 400
        bos = "<s>" if "<ans>" in body["prompt"] else ""
        return serve(path, {**body, "prompt": bos + body["prompt"]})

    return answer


def test_thoughts_that_the_template_opens_are_no_verdict(tmp_path):
    scripts = {
        "thought": "<think>A [RESULT] 2 is too harsh.</think>Good. [RESULT] 5",
        "thinking": "<think>A [RESULT] 2 is too",
        "unmarked": "<think>[RESULT] 2?</think>Good.",
    }
    judge = script_judge(scripts, added=("<think>", "</think>"))
    judge.tokenizer.chat_template += "<think>"
    judge.tokenizer.save_pretrained(tmp_path)
    prompts = [JudgePrompt("", name, labels=("1", "2", "3", "4", "5")) for name in scripts]
    near = TransformersEngine(judge, conversation=CONVERSATIONS["tokenizer"]).generate(prompts, GREEDY)
    assert [one.finish_reason for one in near] == ["result", "forced", "forced"]
    for takes_ids in (True, False):
        serve = several(ModelServer(judge)) if takes_ids else texts_only(ModelServer(judge))
        server = FaultServer(serve)
        source = ServerSource(url=server.url, api="completions")
        far = OpenAIEngine(source, conversation=CONVERSATIONS["tokenizer"], tokenizer=ModelSource(model=str(tmp_path)))
        found = far.generate(prompts, GREEDY)
        far.close()
        server.close()
        if takes_ids:
            assert [(one.text, one.finish_reason) for one in found] == [(one.text, one.finish_reason) for one in near]
        else:
            assert found[0].text == near[0].text
            assert parse_score(found[1].text, ScoreScale(1, 5)).outcome is Outcome.NO_RESULT
