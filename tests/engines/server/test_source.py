import logging
import os
import pickle  # noqa: TID251  a source must travel between processes
import re

import pytest
import yaml

from prom_reward import PrometheusReward, load_judge
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.server.openai_engine import OpenAIEngine
from prom_reward.engines.server.source import ServerSource
from prom_reward.errors import ConfigError
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.settings.resolution import judge_config
from prom_reward.types import JudgePrompt
from tests.fault_server import FaultServer
from tests.served_models import text_server

CANARY = "sk-canary-0123456789abcdef"
PROMPTS = [JudgePrompt("", "Judge this.", "[RESULT] ")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("https://judge.example/api/v3/", "https://judge.example/api/v3"),
        ("https://judge.example/v1/chat/completions", "https://judge.example/v1"),
        ("http://127.0.0.1:8000/v1/models/", "http://127.0.0.1:8000/v1"),
    ],
)
def test_a_url_gets_v1_where_it_has_no_path(url, expected):
    assert ServerSource(url=url).url == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host", r"^server: got url='ftp://host'; expected one such as http://127.0.0.1:8000/v1$"),
        ("http://", r"^server: got url='http://'; expected one such as"),
        ("http://host:99999", r"^server: the url cannot be read \(.*\); expected one such as"),
        (
            f"http://me:{CANARY}@host",
            r"^server: the url holds a user name or password; give the key in PROM_REWARD_API",
        ),
        (f"http://host/v1?key={CANARY}", r"^server: the url holds a query or fragment; expected one such as"),
    ],
)
def test_a_url_that_cannot_be_one_is_refused_without_showing_a_secret(url, message):
    with pytest.raises(ConfigError, match=message) as refused:
        ServerSource(url=url)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"api": "soap"},
            "server: got api='soap'; expected one of auto, completions, chat, decisions, systemone, prom-reward",
        ),
        ({"max_in_flight": 0}, "server: got max_in_flight=0; expected at least 1"),
        ({"outage_after": 0}, "server: got outage_after=0; expected at least 1"),
        ({"max_retries": -1}, "server: got max_retries=-1; expected 0 or more"),
        ({"request_timeout_s": 0}, "server: got request_timeout_s=0; expected a number over 0"),
        ({"tokens_per_minute": float("inf")}, "server: got tokens_per_minute=inf; expected a number over 0"),
    ],
)
def test_a_limit_that_cannot_be_one_is_refused(settings, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        ServerSource(url="http://127.0.0.1:8000", **settings)


def test_a_key_in_the_place_of_the_variables_name_is_refused_without_showing_it():
    with pytest.raises(
        ConfigError, match=r"^server: api_key_env is not the name of an environment variable"
    ) as refused:
        ServerSource(url="http://127.0.0.1:8000", api_key_env=CANARY)
    assert CANARY not in str(refused.value)


def test_a_key_comes_from_the_environment_or_a_file(tmp_path, monkeypatch):
    source = ServerSource(url="http://127.0.0.1:8000")
    monkeypatch.delenv("PROM_REWARD_API_KEY", raising=False)
    assert source.read_key() is None
    monkeypatch.setenv("PROM_REWARD_API_KEY", f" {CANARY}\n")
    assert source.read_key() == CANARY
    file = tmp_path / "key"
    file.write_text("other-key\n")
    assert ServerSource(url=source.url, api_key_file=str(file)).read_key() == "other-key"
    file.write_text("two words")
    with pytest.raises(ConfigError, match=r"holds no key; expected it as the only word$"):
        ServerSource(url=source.url, api_key_file=str(file)).read_key()
    with pytest.raises(ConfigError, match="cannot read api_key_file"):
        ServerSource(url=source.url, api_key_file=str(tmp_path / "none")).read_key()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("[::1]", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("a.example", False),
        ("a.localhost", True),
    ],
)
def test_what_is_on_this_machine_is_known(host, expected):
    assert ServerSource(url=f"http://{host}:8000").is_loopback is expected


@pytest.mark.parametrize(("host", "is_warned"), [("10.255.255.1", True), ("127.0.0.1", False)])
def test_a_key_over_plain_http_to_another_machine_is_warned_about(host, is_warned, monkeypatch, caplog):
    from prom_reward.engines.server.stats import ServerStats
    from prom_reward.engines.server.transport.client import ServerClient

    monkeypatch.setenv("PROM_REWARD_API_KEY", CANARY)

    async def connect():
        client = ServerClient(ServerSource(url=f"http://{host}:8000"), ServerStats())
        await client.close()

    import asyncio

    with caplog.at_level(logging.WARNING):
        asyncio.run(connect())
    assert ("the key goes over plain http" in caplog.text) is is_warned
    assert CANARY not in caplog.text


def test_the_key_reaches_the_server_and_nothing_else(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PROM_REWARD_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another-service")
    server = FaultServer(text_server())
    settings = {"url": server.url, "conversation": "mistral", "mode": "score", "cache": str(tmp_path / "cache.sqlite")}
    with caplog.at_level(logging.DEBUG):
        judge = load_judge(settings, server={"max_retries": 0})
        reward = PrometheusReward(judge, rubric="helpfulness", log_path=tmp_path / "log.jsonl")
        assert None not in reward(prompts=["Hi"] * 2, completions=["one", "two"])
        server.fault = lambda number, body: "no-json" if body["max_tokens"] > 1 else None
        assert reward(prompts=["Hi"], completions=["three"]) == [None]
        server.fault = lambda number, body: "401"
        with pytest.raises(ConfigError) as refused:
            reward(prompts=["Hi"], completions=["four"])
    assert all(request.headers["authorization"] == f"Bearer {CANARY}" for request in server.requests)
    assert not any("openai-organization" in request.headers for request in server.requests)
    shown = [
        caplog.text,
        str(refused.value),
        repr(refused.value.__context__),
        repr(judge.engine.source),
        judge.fingerprint,
        judge.engine.identity,
        reward.__name__,
        yaml.safe_dump(judge_config(settings).model_dump()),
        pickle.dumps(reward).decode("latin-1"),
        *(file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()),
    ]
    assert len(shown) >= 10
    for text in shown:
        assert CANARY not in text
        assert "another-service" not in text
    judge.engine.close()
    judge.cache.close()
    server.close()


def test_a_server_that_repeats_the_key_in_its_error_does_not_get_it_into_ours(monkeypatch):
    monkeypatch.setenv("PROM_REWARD_API_KEY", CANARY)
    server = FaultServer(text_server())
    engine = OpenAIEngine(ServerSource(url=server.url, max_retries=0), conversation=CONVERSATIONS["mistral"])
    engine.count_tokens(PROMPTS[0])
    server.fault = lambda number, body: "400" if body["max_tokens"] > 1 else None
    server.error_text = f"bad key {CANARY}"
    [answer] = engine.generate(PROMPTS, SamplingParams())
    assert answer.error == "HTTP 400 - bad key [key]"
    engine.close()
    server.close()


def test_no_key_means_no_header(monkeypatch):
    monkeypatch.delenv("PROM_REWARD_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    server = FaultServer(text_server())
    engine = OpenAIEngine(ServerSource(url=server.url), conversation=CONVERSATIONS["mistral"])
    engine.generate(PROMPTS, SamplingParams())
    assert server.requests
    assert not any("authorization" in request.headers for request in server.requests)
    engine.close()
    server.close()
    assert os.environ["OPENAI_API_KEY"] == CANARY


def test_a_key_written_into_a_yaml_is_refused_without_showing_it():
    with pytest.raises(ConfigError, match="unknown key 'api_key' in 'server'; expected one of model, api") as refused:
        judge_config({"url": "http://127.0.0.1:8000", "server": {"api_key": CANARY}})
    assert CANARY not in str(refused.value)
    assert CANARY not in str(refused.value.__cause__)
