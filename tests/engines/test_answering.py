"""What a call shares and what it does when memory runs out, in feedback mode."""

import logging

import pytest
import torch

from prom_reward.engines import answering
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.transformers_engine import TransformersEngine
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests.tiny_models import tiny_judge

GREEDY = SamplingParams(max_new_tokens=4, temperature=0, repetition_penalty=1)
SHARED = "The same long beginning of a task that every prompt of the group has. "
PROMPTS = [JudgePrompt("You judge.", SHARED + "word " * at) for at in range(6)]


def engine_of(loaded):
    return TransformersEngine(loaded, conversation=CONVERSATIONS["tokenizer"])


def test_feedback_prompts_share_their_beginning():
    engine = engine_of(tiny_judge())
    prefilled = engine.runtime.prefill.run_tree
    computed = []

    def counted(*arguments):
        computed.append(sum(prefilled(*arguments)))
        return [0] * len(arguments[0])

    engine.runtime.prefill.run_tree = counted
    engine.generate(PROMPTS, GREEDY)
    lengths = [engine.count_tokens(prompt) for prompt in PROMPTS]
    assert computed[0] < sum(lengths) - 4 * min(lengths)


def test_samples_of_one_prompt_are_prefilled_once():
    engine = engine_of(tiny_judge())
    samples = engine.generate([PROMPTS[3]] * 4, SamplingParams(max_new_tokens=4, seed=1))
    length = engine.count_tokens(PROMPTS[3])
    # The forced verdicts are read on the caches that wrote the feedbacks: only the closing tokens are added.
    assert length < sum(one.num_computed_tokens for one in samples) <= length + 4 * len(" [RESULT] ")
    assert len({one.text for one in samples}) > 1


@pytest.mark.parametrize("room", [1, 2, 5])
def test_running_out_of_memory_halves_the_batch_and_loses_nothing(monkeypatch, caplog, room):
    expected = engine_of(tiny_judge()).generate(PROMPTS, GREEDY)
    decode = answering.decode

    def fails_on_many(model, sequences, *rest):
        if len(sequences) > room:
            raise torch.OutOfMemoryError("no room")
        decode(model, sequences, *rest)

    monkeypatch.setattr(answering, "decode", fails_on_many)
    with caplog.at_level(logging.WARNING):
        answers = engine_of(tiny_judge()).generate(PROMPTS, GREEDY)
    assert [one.text for one in answers] == [one.text for one in expected]
    said = [record.message for record in caplog.records]
    assert said[0] == "out of memory: going on with 3 feedbacks at a time"
    assert len(said) == {1: 2, 2: 2, 5: 1}[room]


def test_one_feedback_that_does_not_fit_is_an_error(monkeypatch):
    def fails(*arguments):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(answering, "decode", fails)
    with pytest.raises(torch.OutOfMemoryError):
        engine_of(tiny_judge()).generate(PROMPTS[:1], GREEDY)
