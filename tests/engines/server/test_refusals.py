"""Servers that refuse fields, endpoints or other services' headers."""

import pytest

from prom_reward import GradingRequest, load_judge
from prom_reward.engines.base import SamplingParams
from prom_reward.errors import ConfigError
from prom_reward.types import JudgePrompt
from tests.fault_server import FaultServer

REQUEST = GradingRequest(instruction="Name a prime.", response="Seven.", rubric="helpfulness")


def reply(text="Good. [RESULT] 4"):
    message = {"role": "assistant", "content": text}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}


@pytest.fixture
def serve():
    servers = []

    def make(answer):
        servers.append(FaultServer(answer))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def graded(at, name="", **settings):
    """Grade by what a server serves, or by the weights of a named judge that it serves."""
    settings = {"server": {"api": "chat", "max_retries": 0}, **settings, **({"url": at.url} if name else {})}
    judge = load_judge(name or at.url, mode="feedback", **settings)
    try:
        return judge.grade([REQUEST])[0]
    finally:
        judge.engine.close()


@pytest.mark.parametrize("refused", ["seed", "top_p", "temperature"])
def test_a_field_that_a_server_refuses_is_left_out_and_said(serve, refused, caplog):
    server = serve(lambda path, body: 422 if refused in body or not path.endswith("/chat/completions") else reply())
    assert graded(server).score == 4
    assert f"the server refuses {refused}; requests go without" in caplog.text


def test_max_completion_tokens_stands_in_for_max_tokens(serve):
    server = serve(lambda path, body: reply() if "max_completion_tokens" in body else 400)
    assert graded(server).score == 4


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_api_chat_asks_no_other_endpoint(serve, status):
    server = serve(lambda path, body: reply() if path.endswith("/chat/completions") else status)
    assert graded(server).score == 4
    assert not [one for one in server.requests if one.path.endswith("/v1/completions")]


def both(path, body):
    if path.endswith("/chat/completions"):
        return reply()
    return {"choices": [{"text": "Good. [RESULT] 4", "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}


@pytest.mark.parametrize(("name", "path"), [("prometheus-7b-v2.0", "/completions"), ("", "/chat/completions")])
def test_auto_tries_the_endpoint_that_it_will_use(serve, name, path):
    """A chat template that only the server has needs chat; a conversation that is known here needs completions."""
    server = serve(both)
    assert graded(server, name, server={"api": "auto", "model": "judge", "max_retries": 0}).score == 4
    assert {request.path.removeprefix("/v1") for request in server.posts} == {path}


def test_auto_falls_back_if_completions_are_refused(serve):
    server = serve(lambda path, body: reply() if path.endswith("/chat/completions") else 404)
    settings = {"server": {"api": "auto", "model": "judge", "max_retries": 0}}
    assert graded(server, "prometheus-7b-v2.0", **settings).score == 4


def test_half_a_surrogate_pair_ends_no_request(serve):
    server = serve(both)
    judge = load_judge(server.url, mode="feedback", server={"api": "chat"})
    [answer, _] = judge.engine.generate([JudgePrompt("You judge.", "a\ud800b"), JudgePrompt("", "c")], SamplingParams())
    judge.engine.close()
    assert answer.error is None
    assert "a\ufffdb" in str([request.body for request in server.posts])


def test_a_server_that_refuses_everything_is_quoted(serve):
    server = serve(lambda path, body: 400)
    with pytest.raises(ConfigError, match="HTTP 400"):
        graded(server)


def test_fields_of_ones_own_go_with_every_request(serve):
    server = serve(lambda path, body: reply() if path.endswith("/chat/completions") else 404)
    graded(
        server,
        server={"api": "chat", "extra_body": {"top_k": 7}},
        chat_template_kwargs={"enable_thinking": False},
    )
    body = server.requests[-1].body
    assert (body["top_k"], body["chat_template_kwargs"]) == (7, {"enable_thinking": False})


def test_no_header_of_another_service_goes_out(serve, monkeypatch):
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-gateway-key: SECRET\nAuthorization: Bearer OTHER")
    monkeypatch.setenv("OPENAI_API_KEY", "OTHER")
    monkeypatch.setenv("OPENAI_ORG_ID", "OTHER")
    server = serve(lambda path, body: reply() if path.endswith("/chat/completions") else 404)
    graded(server)
    sent = [f"{name}: {value}" for one in server.requests for name, value in one.headers.items()]
    assert not [line for line in sent if "SECRET" in line or "OTHER" in line]
