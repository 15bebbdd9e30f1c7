"""Real weights: what bf16 rounds off where beginnings are shared, and the greedy text of a batch in fp32."""

import os
from itertools import product

import pytest
import torch

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.batches import Batches
from prom_reward.engines.local.decoding import Decoding, decode
from prom_reward.engines.model.devices import cpu_has_fast_bf16
from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.source import ModelSource
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt

QUESTIONS = (
    "What is a prime number, and which is the smallest?",
    "Why is the sky blue in the daytime and red in the evening?",
    "Write a polite message to a neighbour whose dog barks at night.",
    "How does a bicycle stay upright when it is ridden?",
    "Explain to a child why it rains.",
)
ANSWERS = (
    "I am not sure about that, but I think that it depends on many things.",
    "It is simple: a number that only 1 and itself divide, so 2 is the smallest one.",
    "Light is scattered by the air, the short waves more than the long ones.",
    "Dear neighbour, could you please keep the dog inside at night? Thank you very much.",
    "Because.",
    "The wheels steer under the fall, and a rider leans and steers all the time without noticing it.",
    "Water goes up from the sea, becomes a cloud, and falls down again as drops.",
    "No.",
    "A very long answer: " + "and then it goes on and on without coming to the point, " * 6,
    "[RESULT] 5",
)
SYSTEM = "You are a fair judge assistant tasked with providing clear, objective feedback based on specific criteria."
LABELS = ("1", "2", "3", "4", "5")
GREEDY = SamplingParams(temperature=0, top_p=1, repetition_penalty=1)
NUM_QUESTIONS = 5 if os.environ.get("PROM_REWARD_FULL") else 2


def prompts(prefix=""):
    pairs = product(QUESTIONS[:NUM_QUESTIONS], ANSWERS)
    texts = [f"Question: {question}\n\nAnswer: {answer}\n\nIs it right?" for question, answer in pairs]
    return [JudgePrompt(SYSTEM, text, prefix) for text in texts]


def batches_of(folder, dtype):
    loaded = load_model(ModelSource(model=str(folder), dtype=dtype, device="cpu"))
    return Batches(loaded, CONVERSATIONS["tokenizer"](loaded.tokenizer))


def plain_rows(batches, contexts, tokens):
    """Label log-probabilities (N, S) of one forward pass a prompt."""
    rows = [batches.loaded.model(torch.tensor([ids]), logits_to_keep=1).logits[0, -1] for ids in contexts]
    return torch.stack([row.float().log_softmax(-1)[tokens] for row in rows])


@pytest.mark.slow
@pytest.mark.skipif(not cpu_has_fast_bf16(), reason="bf16 is slow on this CPU: it takes minutes")
@torch.inference_mode()
def test_sharing_in_bf16_errs_little_more_than_a_plain_forward_pass(smollm2_folder):
    exact, rounded = batches_of(smollm2_folder, "float32"), batches_of(smollm2_folder, "bfloat16")
    asked = prompts("[RESULT] ")
    contexts = [exact.tokens.context_ids(prompt) for prompt in asked]
    tails = exact.tokens.encoder.label_tokens(LABELS).tails
    tokens = [tails[label][0] for label in LABELS]
    truth = plain_rows(exact, contexts, tokens)
    plain_error = plain_rows(rounded, contexts, tokens) - truth
    assert rounded.prefill.strategy == "tree"
    shared, computed = rounded.read(rounded.tokens.score_queries(asked, contexts))
    error = torch.tensor([[row[label] for label in LABELS] for row in shared]) - truth
    assert sum(computed) < 0.8 * sum(map(len, contexts))
    assert error.square().mean().sqrt() <= 1.5 * plain_error.square().mean().sqrt()
    best = truth.topk(2).values
    is_clear = best[:, 0] - best[:, 1] > 2 * error.abs().max()
    assert is_clear.any()
    assert torch.equal((truth + error).argmax(-1)[is_clear], truth.argmax(-1)[is_clear])


@pytest.mark.full  # a shorter one is in tests/engines/local/test_transformers_engine.py
@pytest.mark.slow
@pytest.mark.timeout(1500)
@torch.inference_mode()
def test_greedy_text_in_fp32_is_that_of_transformers_token_for_token(smollm2_folder):
    batches = batches_of(smollm2_folder, "float32")
    model, eos = batches.loaded.model, batches.eos_ids
    contexts = [batches.tokens.context_ids(prompt) for prompt in prompts()]
    batch = [Decoding(prompt_ids=ids, max_new_tokens=24, seed=0, is_done=lambda _: False) for ids in contexts]
    decode(model, batch, GREEDY, eos, batches.prefill)
    for ids, one in zip(contexts, batch, strict=True):
        inputs = torch.tensor([ids])
        output = model.generate(
            inputs, attention_mask=torch.ones_like(inputs), do_sample=False, max_new_tokens=24, pad_token_id=0
        )
        assert one.new_ids == [token for token in output[0, len(ids) :].tolist() if token not in eos]
