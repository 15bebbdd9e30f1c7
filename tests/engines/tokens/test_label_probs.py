from math import exp, isfinite, log

import pytest
from hypothesis import given, strategies as st

from prom_reward.engines.model.forward import token_logprobs
from prom_reward.engines.tokens.label_probs import label_logprobs, next_tokens
from tests.tiny_models import ScriptLM, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
MODEL = ScriptLM(TOKENIZER, {})
CONTEXT = TOKENIZER("<s>judge\n<ans>Good. [RESULT] ").input_ids
ONE, FOUR, ZERO = (TOKENIZER.convert_tokens_to_ids(digit) for digit in "140")


def read(model, tails):
    known = {
        prefix: token_logprobs(model.row([*CONTEXT, *prefix]), tokens) for prefix, tokens in next_tokens(tails).items()
    }
    return label_logprobs(known, tails)


def probs_behind(*tokens):
    return MODEL.row([*CONTEXT, *tokens]).softmax(-1)


def test_labels_of_one_token_are_read_from_the_log_softmax():
    logprobs = read(MODEL, {"1": (ONE,), "4": (FOUR,)})
    assert logprobs == {"1": pytest.approx(log(probs_behind()[ONE])), "4": pytest.approx(log(probs_behind()[FOUR]))}


def test_a_label_of_two_tokens_is_the_product_of_its_tokens():
    logprobs = read(MODEL, {"4": (FOUR,), "10": (ONE, ZERO)})
    assert logprobs["10"] == pytest.approx(log(probs_behind()[ONE] * probs_behind(ONE)[ZERO]))


def test_a_label_that_begins_another_is_counted_without_it():
    tails = {"1": (ONE,), "4": (FOUR,), "10": (ONE, ZERO)}
    probs = {label: exp(value) for label, value in read(MODEL, tails).items()}
    one, zero = float(probs_behind()[ONE]), float(probs_behind(ONE)[ZERO])
    assert probs == {
        "1": pytest.approx(one * (1 - zero)),
        "4": pytest.approx(float(probs_behind()[FOUR])),
        "10": pytest.approx(one * zero),
    }


def test_two_labels_that_go_on_alike_are_taken_from_the_shorter_one_once():
    tails = {"1": (ONE,), "10": (ONE, ZERO), "104": (ONE, ZERO, FOUR)}
    probs = {label: exp(value) for label, value in read(MODEL, tails).items()}
    one, zero = float(probs_behind()[ONE]), float(probs_behind(ONE)[ZERO])
    assert probs["1"] == pytest.approx(one * (1 - zero))
    assert probs["10"] + probs["104"] == pytest.approx(one * zero)


def test_what_has_to_be_known_is_what_labels_go_on_with():
    assert next_tokens({"1": (ONE,), "4": (FOUR,)}) == {(): tuple(sorted([ONE, FOUR]))}
    assert next_tokens({"1": (ONE,), "10": (ONE, ZERO)}) == {(): (ONE,), (ONE,): (ZERO,)}


def test_a_certain_longer_label_leaves_the_shorter_one_a_finite_log_probability():
    model = ScriptLM(TOKENIZER, {"judge": ["Good. [RESULT] ", "1", "0"]})
    logprobs = read(model, {"1": (ONE,), "10": (ONE, ZERO)})
    assert logprobs["10"] == pytest.approx(0, abs=1e-5)
    assert logprobs["1"] < -15 and isfinite(logprobs["1"])


@given(st.sets(st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple), min_size=1, max_size=8))
def test_the_probabilities_of_any_labels_sum_to_one_at_most(tails):
    logprobs = read(MODEL, {str(tail): tail for tail in tails})
    assert set(logprobs) == {str(tail) for tail in tails}
    assert all(value <= 0 for value in logprobs.values())
    assert sum(map(exp, logprobs.values())) <= 1 + 1e-5
