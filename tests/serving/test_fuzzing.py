"""Whatever a client sends, it gets an answer of the protocol or one line that says what is wrong."""

import json

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.serving.app import POST_ROUTES
from prom_reward.serving.batcher import BatchLimits
from tests.serving.scripted_service import client_of

VALID = {
    "/v1/grade": {"requests": [{"instruction": "Hi", "response": "s4"}], "group": {"name": "a", "size": 1}},
    "/v1/compare": {"requests": [{"instruction": "Hi", "response_a": "s4", "response_b": "s5"}]},
    "/v1/reward": {
        "rows": [{"prompt": "Hi", "completion": one, "rubric": "honesty"} for one in ("s4", "s2")],
        "topology": "circular",
        "group": {"name": "a", "size": 2},
    },
    "/v1/reload": {},
    "/get_reward": {"query": ["Hi s4"], "prompts": ["Hi "], "labels": ['{"rubric": "honesty"}']},
    "/rm": {"prompt": "Hi", "response": "s4", "label": {"rubric": {"rubric": "honesty", "weight": 2}}},
    "/verify": {
        "responses_create_params": {"input": "Hi", "instructions": "Be brief."},
        "response": {
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "s4"}]}]
        },
    },
    "/seed_session": {"responses_create_params": {"input": "Hi"}},
    "/close_session": {"resources_session_id": "a"},
    "/aggregate_metrics": {"verify_responses": [{"_ng_task_index": 0, "reward": 0.5, "mask_sample": False}]},
    "/compare": {
        "conversation_history": [{"role": "user", "content": "Hi"}],
        "response_objs": [{"output": [{"role": "assistant", "content": "s4"}]}],
        "principle": "honesty",
    },
    "/v1/score/evaluation": {"model": "m", "messages": ["[INST] Hi [/INST]s4"]},
    "/v1/decisions": {
        "model": "m",
        "input": "s1",
        "questions": [
            {"type": "choice", "instructions": "?", "choices": [{"value": "a"}, {"value": True}]},
            {"type": "score", "instructions": "?", "levels": [{"label": "a"}, {"label": "b", "description": "B"}]},
        ],
    },
    "/v1/systemone": {
        "model": "m",
        "state": {"a": 1},
        "questions": {"q": {"type": "noul", "instructions": "?", "criteria": {"true": "Yes"}}},
    },
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.just(1e999),
    st.sampled_from(["", "x", "\ud800", "honesty", "a.yaml", "[a]\nScore 1: b", '{"rubric": 1}', "[RESULT] 5"]),
    st.sampled_from([[], {}, [[]], [{}], {"a": []}, {"type": "message"}, {"role": "user"}, {"name": 1, "size": 1}]),
)


def places(value, path=()):
    """Yield the path of every part of a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def changed(value, path, new):
    """Return a JSON value with another part at a path; "gone" leaves it out."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new == "gone":
        del copy[path[0]]
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def client():
    limits = BatchLimits(max_wait_s=0, max_group_wait_s=0.01)
    with client_of(limits=limits, read_rubrics=lambda: parse_rubrics("honesty")) as made:
        yield made


def test_every_route_is_tried(client):
    assert VALID.keys() == POST_ROUTES.keys()
    for route, body in VALID.items():
        assert client.post(route, json=body).status_code in (200, 503), route


@pytest.mark.parametrize("route", VALID)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_body_is_answered_or_refused_in_one_line(client, route, data):
    body = VALID[route]
    for _ in range(data.draw(st.integers(1, 2))):
        body = changed(body, data.draw(st.sampled_from(list(places(body)))), data.draw(ODD | st.just("gone")))
    answer = client.post(route, content=json.dumps(body))
    assert answer.status_code in (200, 400, 503), answer.text
    if answer.status_code != 200:
        assert "\n" not in answer.json()["error"]["message"]
