import asyncio
import json

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.serving.batcher import BatchLimits
from tests.serving.scripted_service import client_of, served

ONE = {"requests": [{"instruction": "Hi", "response": "s4"}]}


def error_of(response):
    return response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "expected an object"),
        (b'{"items": [{"response": "a", "response": "b"}]}', "the key 'response' twice"),
        (b"[" * 100_000, "no JSON"),
        (b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}", "too deeply"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_in_one_line(client, content, said):
    response = client.post("/v1/grade", content=content)
    assert response.status_code == 400
    assert said in error_of(response)
    assert "\n" not in error_of(response)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/grade", 405), ("POST", "/v1/grades", 404)])
def test_another_path_or_method_is_one_line_with_the_routes(client, method, path, status):
    response = client.request(method, path)
    assert response.status_code == status
    assert error_of(response).startswith(f"got {method} {path}; expected POST to one of /v1/grade, ")


def test_a_body_over_the_limit_is_refused():
    with client_of(max_body_bytes=1000) as client:
        response = client.post("/v1/grade", content=b"x" * 2000)
        assert response.status_code == 413
        assert client.post("/v1/grade", json=ONE).status_code == 200


def test_a_key_is_asked_for_everywhere_but_at_the_health_checks():
    with client_of(key="sesame") as client:
        for path in ("/v1/models", "/metrics"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"authorization": "Bearer sesame"}).status_code == 200
        assert client.post("/v1/grade", json=ONE).status_code == 401
        assert client.post("/v1/grade", json=ONE, headers={"authorization": "Bearer sesam"}).status_code == 401
        assert client.post("/v1/grade", json=ONE, headers={"authorization": "Bearer sesame"}).status_code == 200
        assert client.post("/v1/grade", json=ONE, auth=("anyone", "sesame")).status_code == 200  # a key in the URL
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_the_first_refusal_of_a_kind_is_logged_with_its_reason(client, caplog):
    for body in ({"response": "s4"}, {"response": "s2"}, {"prompt": "Hi", "response": "fail"}):
        assert client.post("/rm", json=body).status_code in (400, 503)
    refusals = [record.getMessage() for record in caplog.records if record.name == "prom_reward.serving.exchange"]
    assert [line[:16] for line in refusals] == ["/rm answers 400:", "/rm answers 503:"]
    assert "no 'prompt'" in refusals[0]
    assert "engine_failed" in refusals[1]


def test_text_that_is_no_unicode_comes_back_as_it_came(client):
    content = json.dumps({"requests": [{"instruction": "Hi", "response": "s4 \ud800", "rubric": "helpfulness"}]})
    assert client.post("/v1/grade", content=content.encode()).status_code == 200


def test_a_queue_without_room_answers_429_with_the_time_to_come_back():
    service, app = served(limits=BatchLimits(max_wait_s=0, max_batch=1, max_queued=1))
    sent = []

    async def ask():
        body = json.dumps({"requests": ONE["requests"]}).encode()
        given = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive():
            return next(given, None) or await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/grade", "headers": [], "query_string": b""}
        await app(
            {**scope, "http_version": "1.1", "scheme": "http", "server": ("x", 1), "root_path": ""}, receive, send
        )

    async def run():
        waiting = asyncio.create_task(ask())  # nothing judges yet: it stays in the queue
        while service.batcher.num_waiting == 0:
            await asyncio.sleep(0.001)
        await ask()
        judging = asyncio.create_task(service.run())
        await waiting
        service.close()
        await judging

    asyncio.run(run())
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert [start["status"] for start in starts] == [429, 200]
    assert int(dict(starts[0]["headers"])[b"retry-after"]) >= 1


def test_a_client_that_hangs_up_frees_its_place():
    service, app = served(PrometheusJudge(engine := ScriptedEngine(["So. [RESULT] 3"])))
    leaves = asyncio.Event

    async def run():
        gone = leaves()
        given = iter([{"type": "http.request", "body": json.dumps(ONE).encode(), "more_body": False}])

        async def receive():
            found = next(given, None)
            if found is None:
                await gone.wait()
            return found or {"type": "http.disconnect"}

        async def send(message):
            return

        scope = {"type": "http", "method": "POST", "path": "/v1/grade", "headers": [], "query_string": b""}
        scope |= {"http_version": "1.1", "scheme": "http", "server": ("x", 1), "root_path": ""}
        asking = asyncio.create_task(app(scope, receive, send))
        while service.batcher.num_waiting == 0:
            await asyncio.sleep(0.001)
        gone.set()
        await asking
        assert service.batcher.num_waiting == 0

    asyncio.run(run())
    assert engine.prompts == []
    assert service.metrics.values()["prom_reward_hang_ups_total|/v1/grade"] == 1


def test_every_answer_is_counted_by_route_and_status(client):
    client.post("/v1/grade", json=ONE)
    client.post("/v1/grade", content=b"{")
    text = client.get("/metrics").text
    assert 'prom_reward_requests_total{route="/v1/grade",status="200"} 1.0' in text
    assert 'prom_reward_requests_total{route="/v1/grade",status="400"} 1.0' in text
    assert 'prom_reward_judgments_total{outcome="scored"} 1.0' in text


@pytest.mark.parametrize(
    "row", [{}, {"grading_notes": "Be kind."}, {"criteria": "Is it kind?"}, {"rubric": "rubrics.yaml"}]
)
def test_a_refusal_advises_nothing_that_a_client_cannot_do(row):
    with client_of(rubric=None) as client:
        rows = [{"prompt": "Hi", "completion": "s5", **row}]
        message = client.post("/v1/reward", json={"rows": rows}).json()["error"]["message"]
    assert "rubric" in message
    assert not any(told in message for told in ("--", "rubric=", "rubric_column", "file for all rows"))
