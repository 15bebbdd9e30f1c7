from math import exp, inf, isnan, log

import pytest

from prom_reward.engines.server.replies import (
    Reply,
    TokenRow,
    label_logprobs_by_text,
    parse_answer,
    read_reply,
    reply_problem,
    token_at,
)
from prom_reward.engines.server.stats import ServerStats

LABELS = ("1", "2", "3", "4", "5")
LISTED = {"tokens": [" 4"], "token_logprobs": [-0.2], "top_logprobs": [{" 4": -0.2, " 5": -2.0}]}
CHAT = {"content": [{"token": " 4", "logprob": -0.2, "top_logprobs": [{"token": " 5", "logprob": -2.0}]}]}


def answer(text=" 4", logprobs=None, **changes):
    return {"choices": [{"text": text, "logprobs": logprobs, "finish_reason": "length", **changes}]}


@pytest.mark.parametrize(
    "made",
    [
        answer(logprobs=LISTED),
        {"choices": [{"message": {"content": " 4"}, "logprobs": CHAT, "finish_reason": "length"}]},
    ],
)
def test_text_and_chat_completions_are_read_alike(made):
    made["usage"] = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 5}}
    assert reply_problem(made) is None
    assert read_reply(made) == Reply(
        text=" 4",
        ended="length",
        rows=(TokenRow(" 4", {" 4": -0.2, " 5": -2.0}),),
        num_prompt_tokens=9,
        num_cached_tokens=5,
        num_generated_tokens=1,
    )


def test_a_bare_answer_is_enough():
    made = answer(finish_reason="stop")
    assert reply_problem(made) is None
    assert read_reply(made) == Reply(
        text=" 4", ended="stop", rows=(), num_prompt_tokens=0, num_cached_tokens=0, num_generated_tokens=0
    )


def test_chosen_tokens_alone_are_enough():
    made = answer(logprobs={"tokens": ["token_id:7"], "token_logprobs": [-1.0], "top_logprobs": None})
    [row] = read_reply(made).rows
    assert (row.token_id, row.by_id()) == (7, {7: -1.0})
    assert TokenRow("a", {"a": 0.0}).token_id is None


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ({}, "the answer has no choices"),
        ({"choices": []}, "the answer has no choices"),
        ({"choices": ["text"]}, "the answer has no choices"),
        ({"choices": [{}]}, "the answer's first choice has no text"),
        ({"choices": [{"message": {"content": None}}]}, "the answer's first choice has no text"),
        (answer(logprobs="yes"), "the answer's log-probabilities or counts have an unknown shape"),
        (answer(logprobs={"tokens": ["a"]}), "the answer's log-probabilities or counts have an unknown shape"),
        (answer(logprobs={**LISTED, "token_logprobs": []}), "the answer's log-probabilities or counts have an unknown"),
        (answer(logprobs={**LISTED, "tokens": [4]}), "the answer's log-probabilities or counts have an unknown shape"),
        (answer(logprobs={"content": [{"token": "a"}]}), "the answer's log-probabilities or counts have an unknown"),
        ({**answer(), "usage": {"prompt_tokens": "many"}}, "the answer's log-probabilities or counts have an unknown"),
        ({**answer(), "usage": {"prompt_tokens": inf}}, "the answer's log-probabilities or counts have an unknown"),
        ({**answer(), "usage": {"completion_tokens": "x"}}, "the answer's log-probabilities or counts have an unknown"),
        (
            {**answer(), "usage": {"prompt_tokens_details": {"cached_tokens": [1]}}},
            "the answer's log-probabilities or counts have an unknown",
        ),
        (
            answer(logprobs={**LISTED, "token_logprobs": [float("nan")]}),
            "the answer's log-probabilities are no log-prob",
        ),
        (
            answer(logprobs={**LISTED, "token_logprobs": [0.5]}),
            "the answer's log-probabilities are no log-probabilities",
        ),
    ],
)
def test_what_cannot_be_read_is_said(made, problem):
    assert reply_problem(made).startswith(problem)


@pytest.mark.parametrize("finish_reason", ["content_filter", "SAFETY", "abort", "error"])
def test_an_answer_that_the_server_stopped_is_none(finish_reason):
    made = answer(text="Good. [RESULT] 4", finish_reason=finish_reason)
    assert reply_problem(made) == f"the server stopped the answer ({finish_reason})"
    assert "upstream died; 502" in reply_problem(answer(error={"code": 502, "message": "upstream died"}))


@pytest.mark.parametrize("mark", ["\u2581", "\u0120"])
def test_a_space_in_a_tokens_name_has_many_forms_and_a_missing_number_is_left_out(mark):
    tops = [{"token": f"{mark}5", "logprob": -2.0}, {"token": f"{mark}3", "logprob": None}]
    [row] = read_reply(
        answer(logprobs={"content": [{"token": f"{mark}4", "logprob": -0.2, "top_logprobs": tops}]})
    ).rows
    assert row == TokenRow(" 4", {" 4": -0.2, " 5": -2.0})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "the answer is no JSON (it begins '{')"),
        (b"[" * 100_000, f"the answer is no JSON (it begins '{'[' * 80}')"),
        (b"\xff", "the answer is no JSON (it begins '\\ufffd')"),
        (b"<!doctype html><title>Open WebUI</title>", "the answer is no JSON (it begins 'Open WebUI')"),
        (b"[]", "the answer is a JSON list, not an object"),
        (b"{}", "the answer has no choices"),
    ],
)
def test_bytes_that_are_no_answer_are_said(content, problem):
    assert parse_answer(content, is_completion=True) == ({}, problem)
    assert parse_answer(b'{"data": []}', is_completion=False) == ({"data": []}, None)


def test_a_token_may_be_called_like_an_id():
    row = TokenRow("token_id:x", {"token_id:x": -1.0, "token_id:7": -2.0, f"token_id:{'9' * 5000}": -3.0})
    assert (row.token_id, row.by_id()) == (None, {7: -2.0})


def test_the_token_that_writes_a_character_is_found():
    rows = [TokenRow(text, {}) for text in (" Good", ".", " [RESULT]", " 4")]
    assert token_at(" Good. [RESULT] 4", rows, 16) == 3
    assert token_at("Good. [RESULT] 4", rows, 14) == 3  # servers trim the first space
    assert token_at(" Good. [RESULT] 4", rows, 99) is None
    assert token_at("other", rows, 0) is None


def test_spellings_of_a_label_are_added_up_and_missing_ones_are_minus_infinity():
    row = TokenRow(" 4", {" 4": log(0.5), "4": log(0.25), " 5": log(0.1), "x": log(0.1)})
    found = label_logprobs_by_text(row, LABELS)
    assert tuple(found) == LABELS
    assert exp(found["4"]) == pytest.approx(0.75)
    assert [found[label] for label in "123"] == [-inf] * 3


def test_a_label_of_next_to_no_probability_is_one():
    row = TokenRow("4", {"4": -1e-6, "5": -9999.0, " 5": -9999.0, "1": -inf})
    found = label_logprobs_by_text(row, LABELS)
    assert found == pytest.approx({"1": -inf, "2": -inf, "3": -inf, "4": -1e-6, "5": -9999.0 + log(2)})


def test_no_label_is_no_distribution():
    unknown = answer(logprobs={"tokens": [" 4"], "token_logprobs": [None], "top_logprobs": [{" 3": -1.2, " 4": None}]})
    assert label_logprobs_by_text(read_reply(unknown).rows[0], LABELS) is None  # of the label that was written
    assert label_logprobs_by_text(TokenRow("x", {"x": 0.0}), LABELS) is None


def test_a_label_that_may_begin_another_needs_both_as_tokens():
    ten = tuple(str(label) for label in range(1, 11))
    split = TokenRow("1", {str(label): log(0.1) for label in range(1, 10)})
    whole = TokenRow("1", {str(label): log(0.1) for label in range(1, 11)})
    assert label_logprobs_by_text(split, ten) is None
    assert set(label_logprobs_by_text(whole, ten)) == set(ten)


def test_counts_and_percentiles_are_taken_once():
    stats = ServerStats()
    assert set(stats.take()) == {"retries", "failed", "latency_p50", "latency_p95"}
    for number in range(1, 101):
        stats.answered(number / 100)
    stats.retried()
    stats.failed()
    assert stats.take() == {"retries": 1, "failed": 1, "latency_p50": 0.5, "latency_p95": 0.95}
    taken = stats.take()
    assert (taken["retries"], taken["failed"]) == (0, 0)
    assert isnan(taken["latency_p50"]) and isnan(taken["latency_p95"])


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "Good. [RESULT] 4"}, "Good. [RESULT] 4"),
        ({"content": None, "reasoning_content": "They ask."}, ""),
        ({"content": None, "reasoning": "They ask."}, ""),
        ({"content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "Good."}]}, "Good."),
    ],
)
def test_the_forms_of_a_chat_answer(message, text):
    made = {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}
    assert reply_problem(made) is None
    assert read_reply(made).text == text


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": None, "refusal": "I would rather not."}, "the model refused: I would rather not."),
        ({"content": [{"type": "hologram"}]}, "hologram"),
    ],
)
def test_what_is_no_answer_is_quoted(message, said):
    assert said in reply_problem({"choices": [{"message": message, "finish_reason": "stop"}]})


def test_an_answer_without_text_is_shown_in_the_servers_words():
    made = {"choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": "stop"}]}
    assert '"content": null' in reply_problem(made)
