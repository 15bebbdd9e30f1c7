import numpy as np
import pytest
import torch

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.hidden_states import caught_states
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import ConfigError
from prom_reward.judging.head import make_readout
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests.tiny_models import tiny_judge, tiny_mamba, tiny_tokenizer

SHARED = "A long beginning that all prompts of a group share. "
PROMPTS = [JudgePrompt("You judge.", SHARED + "word " * at, "[RESULT] ") for at in range(4)]


def engine_of(loaded):
    return TransformersEngine(loaded, conversation=CONVERSATIONS["tokenizer"])


def plain_states(engine):
    """The last hidden states of whole prompts, one by one."""
    with torch.inference_mode():
        outputs = [
            engine.loaded.model(
                torch.tensor([engine.batches.tokens.context_ids(prompt)]), output_hidden_states=True
            ).hidden_states[-1][0, -1]
            for prompt in PROMPTS
        ]
    return torch.stack(outputs).numpy()


@pytest.mark.parametrize(("architecture", "strategy"), [("llama", "tree"), ("gemma3_text", "cached")])
def test_the_states_are_those_of_plain_forward_passes(architecture, strategy):
    engine = engine_of(tiny_judge(architecture))
    assert engine.batches.prefill.strategy == strategy
    np.testing.assert_allclose(engine.states(PROMPTS), plain_states(engine), rtol=1e-3, atol=1e-3)


def test_a_readout_is_the_same_alone_and_in_a_batch_beside_prompts_without_one():
    engine = engine_of(tiny_judge())
    readout = make_readout(np.linspace(-1, 1, 32), 0.5)
    asked = [JudgePrompt(one.system, one.user, one.response_prefix, readout=readout) for one in PROMPTS]
    together = engine.generate([*PROMPTS, *asked], SamplingParams())
    assert [one.readout for one in together[:4]] == [None] * 4
    expected = plain_states(engine) @ np.linspace(-1, 1, 32) + 0.5
    assert [one.readout for one in together[4:]] == pytest.approx(list(expected), abs=1e-3)
    alone = [engine.generate([one], SamplingParams())[0] for one in asked]
    assert [one.readout for one in alone] == pytest.approx([one.readout for one in together[4:]], abs=1e-4)
    for one, other in zip(together[:4], together[4:], strict=True):
        assert one.score_logprobs == other.score_logprobs


def test_a_readout_of_another_size_is_refused():
    prompt = JudgePrompt("", "Hi", "[RESULT] ", readout=make_readout(np.ones(7), 0.0))
    with pytest.raises(ConfigError, match="of size 7, the judge's are of size 32"):
        engine_of(tiny_judge()).generate([prompt], SamplingParams())


def test_a_model_without_output_embeddings_is_refused():
    model = tiny_mamba(len(tiny_tokenizer()))
    model.get_output_embeddings = lambda: None
    with pytest.raises(ConfigError, match="no output embeddings"), caught_states(model):
        pass


def test_an_engine_that_reads_no_states_says_so():
    with pytest.raises(ConfigError, match="ScriptedEngine"):
        ScriptedEngine(["[RESULT] 1"]).states(PROMPTS)


def test_the_hook_is_gone_afterwards():
    engine = engine_of(tiny_judge())
    engine.states(PROMPTS)
    assert not engine.loaded.model.get_output_embeddings()._forward_pre_hooks
