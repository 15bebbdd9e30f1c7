from math import exp, isfinite, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prom_reward.engines.label_probs import label_logprobs, next_token_logits
from tests.tiny_models import ScriptLM, tiny_judge, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
MODEL = ScriptLM(TOKENIZER, {})
CONTEXT = TOKENIZER("<s>judge\n<ans>Good. [RESULT] ").input_ids
ONE, FOUR, ZERO = (TOKENIZER.convert_tokens_to_ids(digit) for digit in "140")


def probs_behind(*tokens):
    return MODEL.row([*CONTEXT, *tokens]).softmax(-1)


def test_labels_of_one_token_are_read_from_the_log_softmax():
    logprobs = label_logprobs(MODEL, CONTEXT, {"1": (ONE,), "4": (FOUR,)})
    assert logprobs == {"1": pytest.approx(log(probs_behind()[ONE])), "4": pytest.approx(log(probs_behind()[FOUR]))}


def test_a_label_of_two_tokens_is_the_product_of_its_tokens():
    logprobs = label_logprobs(MODEL, CONTEXT, {"4": (FOUR,), "10": (ONE, ZERO)})
    assert logprobs["10"] == pytest.approx(log(probs_behind()[ONE] * probs_behind(ONE)[ZERO]))


def test_a_label_that_begins_another_is_counted_without_it():
    tails = {"1": (ONE,), "4": (FOUR,), "10": (ONE, ZERO)}
    probs = {label: exp(value) for label, value in label_logprobs(MODEL, CONTEXT, tails).items()}
    one, zero = float(probs_behind()[ONE]), float(probs_behind(ONE)[ZERO])
    assert probs == {
        "1": pytest.approx(one * (1 - zero)),
        "4": pytest.approx(float(probs_behind()[FOUR])),
        "10": pytest.approx(one * zero),
    }


def test_two_labels_that_go_on_alike_are_taken_from_the_shorter_one_once():
    tails = {"1": (ONE,), "10": (ONE, ZERO), "104": (ONE, ZERO, FOUR)}
    probs = {label: exp(value) for label, value in label_logprobs(MODEL, CONTEXT, tails).items()}
    one, zero = float(probs_behind()[ONE]), float(probs_behind(ONE)[ZERO])
    assert probs["1"] == pytest.approx(one * (1 - zero))
    assert probs["10"] + probs["104"] == pytest.approx(one * zero)


def test_a_known_row_saves_the_pass_that_would_compute_it():
    model = ScriptLM(TOKENIZER, {})
    row = torch.zeros(len(TOKENIZER))
    logprobs = label_logprobs(model, CONTEXT, {"1": (ONE,), "4": (FOUR,)}, row)
    assert logprobs == {"1": pytest.approx(-log(len(TOKENIZER))), "4": pytest.approx(-log(len(TOKENIZER)))}
    assert model.tokens_run == []


def test_one_pass_is_run_for_each_beginning_of_a_label():
    model = ScriptLM(TOKENIZER, {})
    label_logprobs(model, CONTEXT, {"1": (ONE,), "4": (FOUR,), "10": (ONE, ZERO)})
    assert model.tokens_run == [len(CONTEXT), len(CONTEXT) + 1]


def test_a_certain_longer_label_leaves_the_shorter_one_a_finite_log_probability():
    model = ScriptLM(TOKENIZER, {"judge": ["Good. [RESULT] ", "1", "0"]})
    logprobs = label_logprobs(model, CONTEXT, {"1": (ONE,), "10": (ONE, ZERO)})
    assert logprobs["10"] == pytest.approx(0, abs=1e-5)
    assert logprobs["1"] < -15 and isfinite(logprobs["1"])


@given(st.sets(st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple), min_size=1, max_size=8))
def test_the_probabilities_of_any_labels_sum_to_one_at_most(tails):
    logprobs = label_logprobs(MODEL, CONTEXT, {str(tail): tail for tail in tails})
    assert set(logprobs) == {str(tail) for tail in tails}
    assert all(value <= 0 for value in logprobs.values())
    assert sum(map(exp, logprobs.values())) <= 1 + 1e-5


def test_the_next_tokens_logits_are_the_models_own_in_fp32():
    judge = tiny_judge("qwen2")
    model = judge.model.bfloat16()
    ids = judge.tokenizer("The answer is good.").input_ids
    row = next_token_logits(model, ids)
    assert row.dtype == torch.float32
    torch.testing.assert_close(row, model(input_ids=torch.tensor([ids])).logits[0, -1].float())
