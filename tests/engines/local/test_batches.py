"""What a call shares, and what it does when memory runs out."""

import logging

import pytest
import torch

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local import batches as batches_module
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import LoadedModel
from prom_reward.errors import ModelLoadError
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests.tiny_models import tiny_judge, tiny_model, tiny_tokenizer

GREEDY = SamplingParams(max_new_tokens=4, temperature=0, repetition_penalty=1)
SHARED = "The same long beginning of a task that every prompt of the group has. "
PROMPTS = [JudgePrompt("You judge.", SHARED + "word " * at) for at in range(6)]
SCORES = [JudgePrompt(one.system, one.user, "[RESULT] ") for one in PROMPTS]


def raising(error):
    def fails(*_, **__):
        raise error

    return fails


def engine_of(loaded):
    return TransformersEngine(loaded, conversation=CONVERSATIONS["tokenizer"])


def test_feedback_prompts_share_their_beginning():
    engine = engine_of(tiny_judge())
    prefilled = engine.batches.prefill.run_tree
    computed = []

    def counted(*arguments, **options):
        for one in prefilled(*arguments, **options):
            computed.append(one.num_computed_tokens)
            yield one

    engine.batches.prefill.run_tree = counted
    engine.generate(PROMPTS, GREEDY)
    lengths = [engine.count_tokens(prompt) for prompt in PROMPTS]
    assert sum(computed) < sum(lengths) - 4 * min(lengths)


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
    decode = batches_module.decode

    def fails_on_many(model, sequences, *rest, **options):
        if len(sequences) > room:
            raise torch.OutOfMemoryError("no room")
        decode(model, sequences, *rest, **options)

    monkeypatch.setattr(batches_module, "decode", fails_on_many)
    with caplog.at_level(logging.WARNING):
        answers = engine_of(tiny_judge()).generate(PROMPTS, GREEDY)
    assert [one.text for one in answers] == [one.text for one in expected]
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "3 feedbacks" in said[0]
    assert len(said) == {1: 2, 2: 2, 5: 1}[room]


def test_a_lack_of_memory_that_passes_is_forgotten_with_its_call(monkeypatch):
    decode, batches, room = batches_module.decode, [], [2]

    def fails_on_many(model, sequences, *rest, **options):
        batches.append(len(sequences))
        if len(sequences) > room[0]:
            raise torch.OutOfMemoryError("no room")
        decode(model, sequences, *rest, **options)

    monkeypatch.setattr(batches_module, "decode", fails_on_many)
    engine = engine_of(tiny_judge())
    engine.generate(PROMPTS, GREEDY)
    assert batches == [6, 3, 1, 1, 1, 1, 1, 1]
    room[0] = 6
    batches.clear()
    engine.generate(PROMPTS, GREEDY)
    assert batches == [6]


def test_the_budget_is_read_anew_once_memory_ran_out(monkeypatch):
    engine = engine_of(tiny_judge())
    asked = []
    monkeypatch.setattr(engine.batches.prefill, "forget_budget", lambda: asked.append(True))
    engine.generate(PROMPTS, GREEDY)
    assert not asked
    monkeypatch.setattr(
        batches_module, "decode", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("no room"))
    )
    engine.generate(PROMPTS[:2], GREEDY)
    assert asked == [True]


def short_of_memory(loaded, room):
    """Let a model take no more than some tokens at once."""
    forward = loaded.model.forward

    def fails_on_much(*args, input_ids, **kwargs):
        if input_ids.numel() > room:
            raise torch.OutOfMemoryError("no room")
        return forward(*args, input_ids=input_ids, **kwargs)

    loaded.model.forward = fails_on_much
    return loaded


@pytest.mark.parametrize("prefix", ["", "[RESULT] "])
@pytest.mark.parametrize("architecture", ["llama", "mistral"])  # "tree" and "cached"
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_prompt_that_does_not_fit_is_an_error_of_its_own(caplog, architecture, prefix, at):
    prompts = [JudgePrompt("You judge.", f"{number} {SHARED}", prefix) for number in range(4)]
    expected = engine_of(tiny_judge(architecture)).generate(prompts, GREEDY)
    long = JudgePrompt("You judge.", "word " * 70, prefix)
    engine = engine_of(short_of_memory(tiny_judge(architecture), 200))
    answers = engine.generate([*prompts[:at], long, *prompts[at:]], GREEDY)
    failed = answers.pop(at)
    length = engine.count_tokens(long)
    assert length > 200
    assert (failed.finish_reason, failed.text, failed.num_prompt_tokens) == ("error", "", length)
    assert f"{length} tokens" in failed.error and "context_length" in failed.error
    assert [one.text for one in answers] == [one.text for one in expected]
    for one, other in zip(answers, expected, strict=True):
        assert one.score_logprobs == pytest.approx(other.score_logprobs, abs=1e-4)
    assert failed.error in [record.message for record in caplog.records]


def test_prompts_that_cannot_be_read_together_are_read_apart(monkeypatch):
    expected = engine_of(tiny_judge()).generate(SCORES, GREEDY)
    engine = engine_of(tiny_judge())
    read = engine.batches.read
    sizes = []

    def fails_on_many(queries):
        sizes.append(len(queries))
        if len(queries) > 2:
            raise RuntimeError("CUDA error: out of memory")
        return read(queries)

    monkeypatch.setattr(engine.batches, "read", fails_on_many)
    answers = engine.generate(SCORES, GREEDY)
    assert [one.text for one in answers] == [one.text for one in expected]
    assert sizes == [6, 3, 1, 2, 3, 1, 2]


def test_without_any_memory_every_prompt_says_so():
    engine = engine_of(short_of_memory(tiny_judge(), 0))
    assert {one.finish_reason for one in engine.generate([*PROMPTS, *SCORES], GREEDY)} == {"error"}


def test_another_error_is_not_taken_for_a_lack_of_memory(monkeypatch):
    monkeypatch.setattr(
        batches_module, "decode", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("shape mismatch"))
    )
    with pytest.raises(RuntimeError, match="shape mismatch"):
        engine_of(tiny_judge()).generate(PROMPTS, GREEDY)


@pytest.mark.parametrize(("missing", "is_refused"), [(0, False), (1, False), (2, True)])
def test_a_tokenizer_larger_than_its_model_is_refused_unless_only_control_tokens_are_missing(missing, is_refused):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<pad_token>"], special_tokens=True)
    judge = LoadedModel(tiny_model("llama", len(tokenizer) - missing), tokenizer, "float32")
    engine = TransformersEngine(judge, conversation=CONVERSATIONS["tokenizer"])
    if not is_refused:
        engine.load()
        return
    with pytest.raises(ModelLoadError, match=f"up to {len(tokenizer) - 2}.* has {len(tokenizer) - 2} rows"):
        engine.load()
