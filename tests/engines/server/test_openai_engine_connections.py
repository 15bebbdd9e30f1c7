"""How the server engine connects, shares, closes, travels, and says what does not fit."""

import asyncio
import logging
import os
import pickle  # noqa: TID251  engines must travel between processes as their configuration
import socket
import threading
import time

import pytest

from prom_reward import load_judge
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.server.openai_engine import OpenAIEngine, server_abilities
from prom_reward.engines.server.source import ServerSource
from prom_reward.errors import ConfigError, MissingPackageError, ServerGoneError
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt
from tests.fault_server import FaultServer
from tests.served_models import text_server

SAMPLING = SamplingParams(max_new_tokens=20, temperature=0)
PROMPTS = [JudgePrompt("", f"Task {number}.") for number in range(12)]
SCORE = [JudgePrompt("", f"Task {number}.", "[RESULT] ") for number in range(12)]


def thread_names():
    return {thread.name for thread in threading.enumerate()}


def test_no_more_requests_are_under_way_than_allowed_and_connections_are_reused(serve):
    server, engine = serve(max_in_flight=3)
    server.delay_s = 0.02
    engine.generate(SCORE, SAMPLING)
    assert server.most_in_flight == 3
    assert server.num_connections <= 3 + 1  # and that of the probe


def test_requests_keep_to_their_rate(serve):
    _, engine = serve(requests_per_minute=1200)
    engine.count_tokens(PROMPTS[0])
    start = time.monotonic()
    engine.generate(SCORE[:9], SAMPLING)
    assert time.monotonic() - start >= 8 * 60 / 1200


def test_it_works_within_a_running_event_loop(serve):
    _, engine = serve()

    async def within():
        return engine.generate(SCORE[:2], SAMPLING)

    assert asyncio.run(within()) == engine.generate(SCORE[:2], SAMPLING)


def test_closing_leaves_no_thread_and_no_connection_and_the_next_use_starts_anew(serve):
    server, engine = serve()
    first = engine.generate(SCORE[:2], SAMPLING)
    assert "prom-reward-server" in thread_names()
    engine.close()
    engine.close()
    assert "prom-reward-server" not in thread_names()
    deadline = time.monotonic() + 5
    while server.num_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.num_open == 0
    assert engine.generate(SCORE[:2], SAMPLING) == first


def test_an_engine_that_nobody_holds_ends_its_thread(serve):
    server, _ = serve()
    engine = OpenAIEngine(ServerSource(url=server.url), conversation=CONVERSATIONS["mistral"])
    engine.generate(SCORE[:1], SAMPLING)
    assert "prom-reward-server" in thread_names()
    del engine
    assert "prom-reward-server" not in thread_names()


def test_a_forked_process_has_connections_of_its_own(serve):
    server, engine = serve()
    expected = engine.generate(SCORE[:2], SAMPLING)
    num_before = server.num_connections
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        is_same = engine.generate(SCORE[:2], SAMPLING) == expected
        os.write(writer, b"1" if is_same else b"0")
        os._exit(0)
    assert os.read(reader, 1) == b"1"
    os.waitpid(child, 0)
    assert server.num_connections > num_before
    assert engine.generate(SCORE[:2], SAMPLING) == expected


def test_it_pickles_without_thread_or_connection(serve):
    _, engine = serve()
    expected = engine.generate(SCORE[:2], SAMPLING)
    other = pickle.loads(pickle.dumps(engine))
    assert other.identity == engine.identity
    assert other.generate(SCORE[:2], SAMPLING) == expected
    other.close()


def test_the_fingerprint_names_the_served_model_and_asks_only_where_none_is_given(serve):
    server, engine = serve(model="judge")
    assert engine.fingerprint == engine.identity == f"openai:{server.url}|judge|auto||_mistral|"
    assert server.requests == []
    other_server, other = serve()
    assert other.fingerprint == f"openai:{other_server.url}||auto||_mistral||judge"


def test_a_model_that_is_not_served_is_said_with_those_that_are(serve):
    _, engine = serve(model="jugde")
    with pytest.raises(
        ConfigError, match=r"the server has no model 'jugde'; expected one of judge. Did you mean 'judge'\?$"
    ):
        engine.generate(SCORE[:1], SAMPLING)


def test_a_name_that_a_gateway_answers_without_listing_it_is_warned_about(serve, caplog):
    server, engine = serve(model="judge")
    server.models = [{"id": "base"}, {"id": "base"}]
    engine.generate(SCORE[:1], SAMPLING)
    assert "the server has no model 'judge'; expected one of base." in caplog.text


def test_several_models_need_a_name(serve):
    server, engine = serve()
    server.models.append({"id": "other"})
    with pytest.raises(
        ConfigError, match=r"got no server.model; it serves judge, other, so give the name of the judge's$"
    ):
        engine.generate(SCORE[:1], SAMPLING)


def test_a_server_of_nothing_that_judges_is_said(serve):
    _, engine = serve(lambda path, body: 404)
    with pytest.raises(ConfigError, match="answers no completions and no chat completions for the model 'judge'"):
        engine.generate(SCORE[:1], SAMPLING)


def test_a_redirect_is_not_followed(serve):
    target = FaultServer(text_server())
    server, engine = serve(outage_deadline_s=1)
    server.redirect_to = target.url.removesuffix("/v1")
    with pytest.raises(
        ConfigError,
        match=r"refuses every request \(HTTP 307, a redirect to http:.*\); give the url that it redirects to",
    ):
        engine.generate(SCORE[:1], SAMPLING)
    assert target.requests == []
    target.close()


def test_a_prompt_that_the_server_calls_too_long_is_too_long(serve):
    server, engine = serve()
    server.fault = lambda number, body: "400" if "Task 1." in str(body) else None
    server.error_text = "This model's maximum context length is 8 tokens"
    first, second = engine.generate(SCORE[:2], SAMPLING)
    assert first.finish_reason == "result"
    assert (second.finish_reason, second.text, second.score_logprobs) == ("too_long", "", None)
    assert second.error == f"the prompt has too many tokens, the server says: HTTP 400 - {server.error_text}"


def test_text_completions_without_a_tokenizer_need_a_conversation_that_can_be_written_here(serve):
    _server, engine = serve(conversation="tokenizer", api="completions")
    with pytest.raises(ConfigError, match="text completions need the judge's tokenizer, which writes its conversation"):
        engine.generate(PROMPTS[:1], SAMPLING)
    _, other = serve(conversation="tokenizer")
    with pytest.raises(ConfigError, match=r"the server has no chat completions for 'judge'; give tokenizer= for text"):
        other.generate(PROMPTS[:1], SAMPLING)


def test_an_unloadable_tokenizer_is_said_and_prompts_go_as_text(serve, caplog, tmp_path):
    server, engine = serve(tokenizer=ModelSource(model=str(tmp_path / "none")))
    with caplog.at_level(logging.WARNING):
        engine.generate(SCORE[:1], SAMPLING)
    assert "prompts are sent as text, without the judge's tokenizer (cannot load " in caplog.text
    assert isinstance(server.posts[-1].body["prompt"], str)


def test_a_tokenizer_that_is_not_the_servers_is_said_and_not_used(serve, caplog, smollm2_folder):
    server, engine = serve(tokenizer=ModelSource(model=str(smollm2_folder)))
    with caplog.at_level(logging.WARNING):
        engine.generate(SCORE[:1], SAMPLING)
    assert "is not that of the model judge" in caplog.text
    assert isinstance(server.posts[-1].body["prompt"], str)


def test_what_a_server_can_do_is_told(serve):
    server, _ = serve()
    found = server_abilities(ServerSource(url=server.url))
    assert (found.model, found.context_length, found.chat) == ("judge", None, None)
    assert (found.completions.top_logprobs, found.completions.takes_token_ids) == (5, False)
    assert (found.completions.takes_penalty, found.completions.continues_answer) == (False, True)
    assert "prom-reward-server" not in thread_names()


def test_a_missing_package_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"run: pip install '\.\[openai\]' in the clone$"):
        OpenAIEngine(ServerSource(url="http://127.0.0.1:1"), conversation=CONVERSATIONS["mistral"])
    with pytest.raises(MissingPackageError, match=r"run: pip install '\.\[openai\]' in the clone$"):
        server_abilities(ServerSource(url="http://127.0.0.1:1"))


def test_a_server_that_never_answers_is_one_clear_error():
    engine = OpenAIEngine(
        ServerSource(url="http://127.0.0.1:9", outage_deadline_s=0.3, max_retries=0),
        conversation=CONVERSATIONS["mistral"],
    )
    with pytest.raises(
        ServerGoneError,
        match=r"^the judge's server http://127.0.0.1:9/v1 gave no answer for 0 s \(ConnectError: .*\); start it",
    ):
        engine.generate(SCORE[:1], SAMPLING)
    assert "prom-reward-server" not in thread_names()


def test_a_server_that_never_answers_is_given_up_when_the_judge_is_checked():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        waits = {"first_answer_s": 0.4, "request_timeout_s": 8.0, "max_retries": 0}
        with pytest.raises(ServerGoneError, match=r"gave no answer for 0 s \(no whole answer within 0\.4 s\)"):
            load_judge("smollm2-135m", url=url, mode="feedback", server={"api": "chat", **waits}, check=True)
