import logging

import pytest
import torch

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import LoadedModel
from prom_reward.errors import ModelLoadError
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests.tiny_architectures import tiny_causal_lm, tiny_model_with_images
from tests.tiny_models import tiny_judge, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
GREEDY = SamplingParams(max_new_tokens=8, temperature=0, repetition_penalty=1)
PROMPTS = [JudgePrompt("You judge.", text) for text in ("Sing.", "Name a town, and say why. " * 8, "Is water wet?")]


def engine_of(model):
    loaded = LoadedModel(model, TOKENIZER, "float32")
    return TransformersEngine(loaded, conversation=CONVERSATIONS["tokenizer"], context_length=500)


def answers_together_and_alone(engine):
    together = [one.text for one in engine.generate(PROMPTS, GREEDY)]
    return together, [engine.generate([prompt], GREEDY)[0].text for prompt in PROMPTS]


def changed(change):
    """The tiny Llama with another forward."""
    model = tiny_judge().model
    forward = model.forward
    model.forward = lambda *args, **kwargs: forward(*args, **change(kwargs))
    return model


def no_step(inputs):
    return {key: value for key, value in inputs.items() if key != "step"}


def fails_on_a_cache(inputs):
    if inputs.get("past_key_values") is not None or inputs.get("cache") is not None:
        raise RuntimeError("no cache here")
    return inputs


def forgets(inputs):
    return {key: value for key, value in inputs.items() if key not in ("past_key_values", "cache")}


def test_a_model_that_goes_by_its_mask_is_decoded_in_batches(caplog):
    assert engine_of(tiny_judge().model).batches.decode_mode == "batched"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("change", "mode"), [(no_step, "single"), (fails_on_a_cache, "uncached"), (forgets, "uncached")]
)
def test_a_model_that_does_not_is_decoded_otherwise_and_named(change, mode, caplog):
    expected = [one.text for one in engine_of(tiny_judge().model).generate(PROMPTS, GREEDY)]
    engine = engine_of(changed(change))
    with caplog.at_level(logging.WARNING):
        assert engine.batches.decode_mode == mode
    assert any("LlamaForCausalLM: batched decoding" in message for message in caplog.messages)
    assert answers_together_and_alone(engine) == (expected, expected)


# BART counts positions from its cache, padding included; JetMoe's cache of experts has no rows; GPT has no cache;
# RoBERTa counts positions from 2.
@pytest.mark.parametrize(
    ("architecture", "mode"),
    [("bart", "single"), ("jetmoe", "single"), ("openai-gpt", "uncached"), ("camembert", "uncached")],
)
def test_architectures_that_take_no_padding_are_found_out(architecture, mode):
    engine = engine_of(tiny_causal_lm(architecture, len(TOKENIZER)))
    together, alone = answers_together_and_alone(engine)
    assert engine.batches.decode_mode == mode
    assert together == alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_of_images_and_text_is_decoded_in_batches(dtype):
    engine = engine_of(tiny_model_with_images(len(TOKENIZER)).to(dtype))
    assert engine.batches.decode_mode == "batched"
    if dtype == torch.float32:
        together, alone = answers_together_and_alone(engine)
        assert together == alone


def test_a_config_with_values_by_layer_is_read():
    engine = engine_of(tiny_causal_lm("gemma4_text", len(TOKENIZER)))
    together, alone = answers_together_and_alone(engine)
    assert together == alone


def test_a_model_that_needs_more_than_tokens_is_refused_in_one_line():
    engine = engine_of(tiny_causal_lm("gemma4_unified_assistant", len(TOKENIZER)))
    with pytest.raises(ModelLoadError) as caught:
        engine.load()
    assert "Gemma4UnifiedAssistantForCausalLM" in str(caught.value) and "\n" not in str(caught.value)


def test_out_of_memory_says_nothing_about_a_model():
    is_short = [True]

    def short_at_first(inputs):
        if is_short[0] and "step" in inputs:
            raise torch.OutOfMemoryError("no room")
        return inputs

    engine = engine_of(changed(short_at_first))
    with pytest.raises(torch.OutOfMemoryError):
        _ = engine.batches.decode_mode
    is_short[0] = False
    assert engine.batches.decode_mode == "batched"
