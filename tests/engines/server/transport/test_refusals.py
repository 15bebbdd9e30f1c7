"""The words that servers have for an error, and which of them say that a prompt is too long."""

import json

import pytest

from prom_reward.engines.server.transport.refusals import error_status, error_words, says_too_long, server_words

TOO_LONG = [
    "This model's maximum context length is 8192 tokens.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
    "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
    "Please reduce the length of the messages or completion.",
    "context_length_exceeded",
    "Prompt exceeds max length",
    "Prompt length 5000 is greater than max_seq_len 4096",
    "the request exceeds the available context size, try increasing it",
    "Requested tokens (5000) exceed context window of 2048",
]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"error": {"message": "no such\nmodel", "code": "not_found"}}, "no such model; not_found"),
        ({"error": "overloaded", "error_type": "x"}, "overloaded"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        ({"errors": [{"message": "a"}, {"message": "b"}]}, "a; b"),
        ({"object": "error", "message": "too many", "code": 400}, "too many; 400"),
    ],
)
def test_a_services_words_are_found(content, words):
    assert server_words(json.dumps(content).encode()) == words
    assert error_words(content) == words


def test_pages_and_plain_texts_are_quoted_without_markup():
    page = b"<html><style>a{}</style><title>502 Bad Gateway</title><hr><center>nginx</center></html>"
    assert server_words(page) == "502 Bad Gateway nginx"
    assert server_words(b"Not Found") == "Not Found"
    assert server_words(b"\xff" + b"[" * 100_000)
    assert server_words(b"") == ""


@pytest.mark.parametrize(
    "answer",
    [{"choices": []}, {"data": [], "message": "ok"}, {"error": None, "choices": [1]}, {"status": "ok"}, {}],
)
def test_an_answer_is_no_error(answer):
    assert error_words(answer) == ""


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"error": {"code": 429}}, 429),
        ({"error": {"code": "context_length"}}, 500),
        ({"error": "x"}, 500),
        ({"status": 401}, 401),
    ],
)
def test_an_error_inside_of_an_answer_may_have_its_status(answer, status):
    assert error_status(answer) == status


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_prompt_that_is_too_long_is_known_by_any_servers_words(words):
    assert says_too_long(400, words)
    assert says_too_long(422, words)
    assert not says_too_long(500, words)


def test_another_refusal_is_not_about_length():
    assert not says_too_long(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
