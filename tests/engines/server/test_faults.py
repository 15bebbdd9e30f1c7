"""What a server may do to a request, and that nothing else in the batch changes by it."""

import logging
import random
import sys
import threading
import time
import tracemalloc

import pytest

from prom_reward import PrometheusJudge, PrometheusReward
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.server.openai_engine import OpenAIEngine
from prom_reward.engines.server.source import ServerSource
from prom_reward.errors import ConfigError, ServerGoneError, UnscoredError
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.types import JudgePrompt, Outcome
from tests.fault_server import FAULTS, FaultServer
from tests.served_models import level, text_server

SAMPLING = SamplingParams(temperature=0)
PROMPTS = [JudgePrompt("", f"Task {number:02}.", "[RESULT] ") for number in range(10)]
EXPECTED = [str(level(f"[INST] {prompt.user} [/INST]")) for prompt in PROMPTS]
BAD = PROMPTS[4].user
LASTING = {
    "429": "HTTP 429 - made to say 429",
    "500": "HTTP 500 - made to say 500",
    "502": "HTTP 502 - made to say 502",
    "reset": "ReadError",
    "cut": "RemoteProtocolError: peer closed connection",
    "error-200": "an error in place of an answer - Provider returned error; 502",
    "no-json": "the answer is no JSON",
    "no-choices": "the answer has no choices",
    "bad-logprobs": "the answer's log-probabilities or counts have an unknown shape",
    "bomb": "the answer is longer than 64 MiB",
    "forever": "no whole answer within 1 s",
    "drip": "no whole answer within 1 s",
    "401": "HTTP 401 - made to say 401",
    "404": "HTTP 404 - made to say 404",
    "400": "HTTP 400 - made to say 400",
}


@pytest.fixture
def server():
    made = FaultServer(text_server())
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """The client's back-off is the same in kind and a hundredth in length."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.005)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.05)


@pytest.fixture
def connect(server):
    engines = []

    def make(**source):
        settings = {"request_timeout_s": 1, "max_retries": 2, "max_in_flight": 4, **source}
        engine = OpenAIEngine(ServerSource(url=server.url, **settings), conversation=CONVERSATIONS["mistral"])
        engine.count_tokens(PROMPTS[0])  # what the server can do is found out before it misbehaves
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


def scores(answers):
    return [answer.text for answer in answers]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("400", "401", "404")])
def test_a_passing_fault_costs_a_retry_and_nothing_else(server, connect, fault):
    is_timed = fault in ("forever", "drip")
    engine = connect(request_timeout_s=1 if is_timed else 30)
    engine.take_metrics()
    hits = []

    def once(number, body):
        if BAD in body["prompt"] and not hits:
            hits.append(number)
            return fault
        return None

    server.fault = once
    answers = engine.generate(PROMPTS, SAMPLING)
    assert scores(answers) == EXPECTED
    assert all(answer.finish_reason == "result" for answer in answers)
    metrics = engine.take_metrics()
    assert metrics["failed"] == 0
    assert metrics["retries"] >= 1 if is_timed else metrics["retries"] == 1  # a busy machine is late with others, too
    assert 0 < metrics["latency_p50"] <= metrics["latency_p95"] < 10


@pytest.mark.parametrize("fault", LASTING)
def test_a_lasting_fault_fails_its_prompt_alone_and_says_why(server, connect, fault, caplog):
    engine = connect()
    engine.take_metrics()
    server.fault = lambda number, body: fault if BAD in body["prompt"] else None
    with caplog.at_level(logging.WARNING):
        answers = engine.generate(PROMPTS, SAMPLING)
    assert answers[4].finish_reason == "error"
    assert answers[4].error.startswith(LASTING[fault])
    assert (answers[4].text, answers[4].score_logprobs) == ("", None)
    others = [answer for index, answer in enumerate(answers) if index != 4]
    assert scores(others) == EXPECTED[:4] + EXPECTED[5:]
    assert f"{server.url}: 1 of 10 prompts got no answer; one of them: {LASTING[fault]}" in caplog.text
    assert engine.take_metrics()["failed"] == 1


def test_a_retry_after_is_kept(server, connect):
    engine = connect()
    waited = []

    def once(number, body):
        if not waited:
            waited.append(number)
            return "429-retry-after"
        return None

    server.fault = once
    start = time.monotonic()
    assert scores(engine.generate(PROMPTS[:1], SAMPLING)) == EXPECTED[:1]
    assert time.monotonic() - start >= 0.2


def test_a_trainer_gets_none_for_the_failed_and_the_metrics_say_so(server, connect, request_of):
    engine = connect()
    server.fault = lambda number, body: "500" if "bad answer" in body["prompt"] else None
    judge = PrometheusJudge(engine, mode="score")
    reward = PrometheusReward(judge, rubric="helpfulness", name="helpful")
    logged = {}
    rewards = reward(
        prompts=["Hi"] * 3,
        completions=["one", "bad answer", "three"],
        log_metric=lambda name, value: logged.update({name: value}),
    )
    assert [reward is None for reward in rewards] == [False, True, False]
    assert (logged["judge/failed"], logged["judge/outcome/engine_failed"]) == (1, 1)
    assert logged["judge/retries"] == 2
    assert 0 < logged["judge/latency_p50"] <= logged["judge/latency_p95"]
    [judgment] = judge.grade([request_of("a bad answer")])
    assert judgment.outcome is Outcome.ENGINE_FAILED
    assert judgment.error.startswith("HTTP 500")
    strict = PrometheusReward(judge, rubric="helpfulness", on_unscored="raise")
    with pytest.raises(UnscoredError, match="engine_failed"):
        strict(prompts=["Hi"], completions=["bad answer"])


def test_a_server_that_comes_back_loses_nothing_and_the_log_says_what_happened(server, connect, caplog):
    engine = connect(max_retries=1, outage_after=3, outage_deadline_s=20)
    seen = []

    def count(number, body):
        seen.append(number)
        if len(seen) == 5:
            threading.Thread(target=restart).start()
            return "forever"
        return None

    def restart():
        server.stop()
        time.sleep(1.0)
        server.fault = lambda number, body: None
        server.start()

    server.fault = count
    with caplog.at_level(logging.WARNING):
        answers = engine.generate(PROMPTS, SAMPLING)
    assert scores(answers) == EXPECTED
    assert f"the judge's server {server.url} does not answer (ConnectError: " in caplog.text
    assert f"the judge's server {server.url} answers again after" in caplog.text
    assert caplog.text.count("does not answer") == 1


def test_a_server_that_stays_away_is_one_clear_error_and_not_a_batch_of_nothing(server, connect):
    engine = connect(outage_deadline_s=0.5)
    server.stop()
    with pytest.raises(ServerGoneError, match=r"gave no answer for 0 s \(ConnectError: .*\); start it again, or raise"):
        engine.generate(PROMPTS, SAMPLING)
    server.start()
    assert scores(engine.generate(PROMPTS, SAMPLING)) == EXPECTED


def test_a_server_that_answers_500_to_everything_is_gone_too(server, connect):
    engine = connect(outage_deadline_s=0.5, max_retries=0)
    server.fault = lambda number, body: "500"
    with pytest.raises(ServerGoneError, match=r"\(HTTP 500 - made to say 500\)"):
        engine.generate(PROMPTS, SAMPLING)


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("401", "set the key in PROM_REWARD_API_KEY or server.api_key_file"),
        ("404", "check the url and server.model"),
    ],
)
def test_a_server_that_refuses_everything_is_said_at_once(server, connect, fault, advice):
    engine = connect()
    server.fault = lambda number, body: fault
    with pytest.raises(ConfigError, match=rf"refuses every request \(HTTP {fault} - made to say {fault}\); {advice}$"):
        engine.generate(PROMPTS, SAMPLING)


def test_a_prompt_that_brings_the_server_down_fails_in_the_end(server, connect):
    engine = connect(max_retries=0, outage_deadline_s=20, max_in_flight=1)

    def restart():
        server.stop()
        server.start()

    def deadly(number, body):
        if BAD in body["prompt"]:
            threading.Thread(target=restart).start()
            return "forever"
        return None

    server.fault = deadly
    answers = engine.generate(PROMPTS, SAMPLING)
    assert [answer.finish_reason for answer in answers].count("error") == 1
    assert answers[4].finish_reason == "error"


def test_what_is_not_answered_within_the_batchs_time_has_failed_and_the_rest_stands(server, connect):
    engine = connect(batch_deadline_s=0.6, request_timeout_s=30)
    server.fault = lambda number, body: "forever" if BAD in body["prompt"] else None
    answers = engine.generate(PROMPTS, SAMPLING)
    assert answers[4].error == "not answered within the batch's 0.6 s"
    assert [answer.text for answer in answers if answer.finish_reason == "result"] == EXPECTED[:4] + EXPECTED[5:]


def test_a_server_that_is_not_up_yet_is_waited_for(server, caplog):
    server.stop()
    engine = OpenAIEngine(
        ServerSource(url=server.url, max_retries=0, outage_deadline_s=20), conversation=CONVERSATIONS["mistral"]
    )
    threading.Timer(0.7, server.start).start()
    with caplog.at_level(logging.WARNING):
        assert scores(engine.generate(PROMPTS, SAMPLING)) == EXPECTED
    assert "answers again" in caplog.text
    engine.close()


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_requests_at_five_percent_faults(server, connect, capsys):
    engine = connect(max_in_flight=32, request_timeout_s=2, max_retries=3)
    server.keeps_requests = False
    draw = random.Random(7)
    kinds = [fault for fault in FAULTS if fault not in ("400",)]
    made = []

    def mixed(number, body):
        if body["max_tokens"] == 1 or draw.random() >= 0.05:
            return None
        made.append(draw.choice(kinds))
        return made[-1]

    server.fault = mixed
    num_threads = threading.active_count()
    prompts = [JudgePrompt("", f"Task {number:05}.", "[RESULT] ") for number in range(10_000)]
    expected = [str(level(f"[INST] {prompt.user} [/INST]")) for prompt in prompts]
    peaks, answers = [], []
    tracemalloc.start()
    start = time.monotonic()
    for at in range(0, len(prompts), 1000):
        answers += engine.generate(prompts[at : at + 1000], SAMPLING)
        peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.reset_peak()
    time.monotonic() - start
    seconds = time.monotonic() - start
    tracemalloc.stop()
    assert len(answers) == len(prompts)
    failed = [answer for answer in answers if answer.finish_reason == "error"]
    assert all(answer.error for answer in failed)
    for answer, score in zip(answers, expected, strict=True):
        assert answer.finish_reason == "error" or answer.text == score
    metrics = engine.take_metrics()
    assert metrics["failed"] == len(failed)
    grown_each = (peaks[-1] - peaks[0]) / (len(peaks) - 1) / 1000
    assert grown_each < 4096  # bytes a prompt: its answer, and nothing else
    engine.close()
    deadline = time.monotonic() + 10
    while server.num_open and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.num_open == 0
    assert threading.active_count() < num_threads, "the engine's thread is gone, and no other is left behind"
    with capsys.disabled():
        sys.stdout.write(
            f"\n10,000 prompts, {len(made)} faults of {len(set(made))} kinds: {len(failed)} named as failed, others "
            f"right; {metrics['retries']:.0f} retries, {seconds:.0f} s, {grown_each:.0f} bytes a prompt, "
            f"{server.num_connections} connections\n"
        )
