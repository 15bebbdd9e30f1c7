"""Every causal architecture of transformers, tiny and random: exact scores and feedback in batches, or a refusal."""

import pytest
import torch

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.decode_probe import probe_decoding
from prom_reward.engines.local.decoding import Decoding, decode
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import LoadedModel
from prom_reward.errors import ModelLoadError
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests.tiny_architectures import ARCHITECTURES, tiny_causal_lm
from tests.tiny_models import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
GREEDY = SamplingParams(max_new_tokens=6, temperature=0, top_p=1, repetition_penalty=1)
TASKS = ("Is water wet?", "Sing.", "Name a town, and tell me why you like it so much. " * 3)
RANDOM = pytest.mark.xfail(reason="hashes prompts of over 64 tokens at random, even in eval mode")
REFUSED = ("gemma4_unified_assistant", "xmod")  # needs another model's states; needs a language
NOT_BUILT = {
    "dots3_note": "its text model is compared as dots3_note_text",
    "gemma3n": "its images need timm; its text model is compared as gemma3n_text",
    "gemma4_assistant": "needs another model's states",
    "musicgen": "writes the codes of sounds",
    "musicgen_melody": "writes the codes of sounds",
}
TOLERANCE = 1e-2  # nats; a wrong mask or cache moves a log-probability by far more


def engine_of(model):
    loaded = LoadedModel(model, TOKENIZER, "float32")
    return TransformersEngine(loaded, conversation=CONVERSATIONS["tokenizer"], context_length=400)


@torch.no_grad()
def plain_logprobs(model, ids):
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float().log_softmax(-1)


def check_scores(engine, model):
    tokens = engine.batches.tokens
    prompts = [JudgePrompt("You judge.", task, "[RESULT] ") for task in TASKS]
    for prompt, answer in zip(prompts, engine.generate(prompts, GREEDY), strict=True):
        plain = plain_logprobs(model, tokens.context_ids(prompt))
        tails = tokens.encoder.label_tokens(prompt.labels).tails
        expected = {label: float(plain[tail[0]]) for label, tail in tails.items()}
        assert answer.score_logprobs == pytest.approx(expected, abs=TOLERANCE)


def check_feedback(engine, model):
    prompts = [JudgePrompt("You judge.", task) for task in TASKS]
    assert {one.finish_reason for one in engine.generate(prompts, GREEDY)} <= {"result", "forced"}
    with torch.no_grad():
        graphed = probe_decoding(model, engine.batches.prefill, cuda_graphs=True)
    for mode in {engine.batches.decode_mode, graphed}:
        check_decoding(engine.batches, model, prompts, mode)


def check_decoding(batches, model, prompts, mode):
    sequences = [
        Decoding(
            prompt_ids=batches.tokens.context_ids(prompt),
            max_new_tokens=6,
            seed=0,
            is_done=lambda _: False,
        )
        for prompt in prompts
    ]
    with torch.no_grad():
        decode(model, sequences, GREEDY, batches.eos_ids, batches.prefill, mode=mode)
    for one in sequences:
        for at, token in enumerate(one.new_ids):
            plain = plain_logprobs(model, [*one.prompt_ids, *one.new_ids[:at]])
            assert float(plain.max() - plain[token]) <= TOLERANCE


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "architecture", [pytest.param(name, marks=[RANDOM] if name == "reformer" else []) for name in ARCHITECTURES]
)
def test_scores_and_feedback_equal_plain_forward_passes(architecture):
    if architecture in NOT_BUILT:
        pytest.skip(NOT_BUILT[architecture])
    model = tiny_causal_lm(architecture, len(TOKENIZER))
    engine = engine_of(model)
    if architecture in REFUSED:
        with pytest.raises(ModelLoadError, match="expected a causal LM"):
            engine.load()
        return
    check_scores(engine, model)
    check_feedback(engine, model)
