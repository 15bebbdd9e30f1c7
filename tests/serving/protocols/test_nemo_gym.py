"""The shapes are those of NeMo-Gym's source of November 2026: what its agents and environments send, read and refuse.

`nemo_gym/base_resources_server.py` at 011c3386, `nemo_gym/single_agent_turn_types.py` at 0d522e93, the agent
`simple_agent`, the environment `single_agent_turn` and `genrm_compare` near them.
"""

import json

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from tests.serving.scripted_service import client_of

PARAMS = {"input": [{"role": "user", "content": "Hi", "type": "message"}], "instructions": "Be brief."}


def response(text):
    thoughts = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}]}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    return {"id": "resp", "object": "response", "output": [thoughts, said]}


def verify(client, text, **row):
    return client.post("/verify", json={"responses_create_params": PARAMS, "response": response(text), **row})


def test_the_request_comes_back_with_its_reward(client):
    answer = verify(client, "s4", expected_answer="Seven", uuid="x").json()
    assert answer["reward"] == pytest.approx(0.71875)
    assert (answer["mask_sample"], answer["failure_reason"], answer["uuid"]) == (False, None, "x")
    assert answer["response"] == response("s4")
    request, _ = client.service.history.latest[-1]
    assert (request.instruction, request.response) == ("Be brief.\n\nHi", "s4")
    assert request.reference_answer == "Seven"


def test_an_unscored_rollout_is_503_unless_its_row_asks_for_a_masked_one(client):
    failed = verify(client, "fail")
    assert failed.status_code == 503
    assert "reward" not in failed.json()
    masked = verify(client, "fail", on_unscored="mask", instance_config={"name": "a", "mask_sample": False}).json()
    assert masked["mask_sample"] is True
    assert masked["instance_config"] == {"name": "a", "mask_sample": True}  # NeMo-RL looks here, Gym's collector above
    assert "engine_failed" in masked["failure_reason"]
    assert masked["failure_kind"] == masked["_ng_failure_class"] == "judge_failed"


def test_a_policy_that_says_nothing_is_judged():
    judge = PrometheusJudge(ScriptedEngine(["Nothing at all. [RESULT] 1"]))
    with client_of(judge) as client:
        body = {"responses_create_params": PARAMS, "response": {"output": []}}
        assert client.post("/verify", json=body).json()["reward"] == pytest.approx(0.0625)
        assert client.service.history.latest[-1][0].response == ""


def test_an_agents_session_begins_and_ends(client):
    row = {"responses_create_params": PARAMS, "expected_answer": "Seven"}
    assert client.post("/seed_session", json=row).json() == {}
    assert client.post("/close_session", json={}).json() == {}
    closed = client.post("/close_session", json={"resources_session_id": "a", "episode_id": "b"})
    assert closed.json() == {"resources_session_id": "a"}


def test_an_environments_session_has_its_id_and_a_cookie(client):
    seed = {"resources_session_id": "a", "episode_id": {}, "task_id": {}, "task_data": {"expected_answer": "Seven"}}
    seeded = client.post("/seed_session", json=seed)
    assert seeded.json() == {"resources_session_id": "a"}
    assert dict(seeded.cookies)
    verified = verify(client, "s4", **seed["task_data"])
    assert (verified.status_code, verified.json()["reward"]) == (200, pytest.approx(0.71875))


def metrics(client, *rows):
    """Ask as `RolloutCollectionHelper` does after a collection; rows are (task, reward, is masked)."""
    named = [{"_ng_task_index": task, "reward": reward, "mask_sample": masked} for task, reward, masked in rows]
    return client.post("/aggregate_metrics", json={"verify_responses": named})


def test_a_collections_metrics_leave_masked_rollouts_out(client):
    found = metrics(client, (0, 0.25, False), (0, 0.75, False), (1, 0.0, True)).json()
    assert found["agent_metrics"]["mean/reward"] == 0.5
    assert (found["agent_metrics"]["num_rollouts"], found["agent_metrics"]["num_masked"]) == (3, 1)
    assert found["key_metrics"] == {"mean/reward": 0.5}
    whole, masked = found["group_level_metrics"]
    assert (whole["_ng_task_index"], whole["max/reward"]) == (0, 0.75)
    assert masked == {"_ng_task_index": 1, "num_rollouts": 1, "num_masked": 1}


@pytest.mark.parametrize("row", [(None, 0.5, False), (0, "1", False), (0, None, False), (0, 10**400, False)])
def test_metrics_of_other_things_than_numbers_are_refused(client, row):
    assert metrics(client, row).status_code == 400


def better(prompt):
    """Prefer "good" in comparisons, and grade everything 3."""
    if "###Response A" not in prompt.user:
        return "Fine. [RESULT] 3"
    first = prompt.user.index("good") < prompt.user.index("###Response B")
    return f"So. [RESULT] {'A' if first else 'B'}"


def compare(client, *texts, **fields):
    history = [{"role": "user", "content": "Hi"}]
    body = {"conversation_history": history, "response_objs": [response(one) for one in texts], **fields}
    return client.post("/compare", json=body)


def test_responses_are_ranked_by_comparisons():
    with client_of(PrometheusJudge(ScriptedEngine(better))) as client:
        answer = compare(client, "bad", "good").json()
        assert answer["rewards"][1] > answer["rewards"][0]
        assert sum(answer["rewards"]) == pytest.approx(0)
        [pair] = answer["comparison_results"]
        assert {pair["response_i"], pair["response_j"]} == {0, 1}
        assert answer["metrics"] == {"num_comparisons": 1.0, "num_failed_comparisons": 0.0, "order_effect_rate": 0.0}


def test_failed_comparisons_are_counted_and_have_no_part_in_the_rate():
    def grades_alone(prompt):
        if "###Response A" in prompt.user:
            raise RuntimeError("the engine broke")
        return f"So. [RESULT] {5 if 'good' in prompt.user else 2}"

    with client_of(PrometheusJudge(ScriptedEngine(grades_alone))) as client:
        answer = compare(client, "bad", "good").json()
    assert answer["rewards"][1] > answer["rewards"][0]
    assert [one["prob_i"] for one in answer["comparison_results"]] == [None]
    assert answer["metrics"] == {"num_comparisons": 1.0, "num_failed_comparisons": 1.0}


@pytest.mark.parametrize("principle", ["honesty", "The response should be polite."])
def test_a_principle_is_a_rubric_or_a_sentence(principle):
    with client_of(PrometheusJudge(ScriptedEngine(better)), rubric=None) as client:
        assert compare(client, "bad", "good", principle=principle).status_code == 200
        rubric = client.service.history.latest[-1][0].rubric
    assert principle in (rubric.name, rubric.criteria)


def test_a_principle_may_be_one_checklist():
    points = [{"criterion": "It names a dose.", "points": 5}, {"criterion": "It invents a dose.", "points": -5}]
    judge = PrometheusJudge(ScriptedEngine(lambda _: "[RESULT] 1"))
    with client_of(judge, rubric=None) as client:
        assert compare(client, "bad", "good", principle=json.dumps(points)).status_code == 200
        several = [{"rubric": "honesty"}, {"rubric": "reasoning"}]
        assert compare(client, "bad", "good", principle=json.dumps(several)).status_code == 400


def test_a_group_with_an_unscored_response_is_503(client):
    assert compare(client, "fail", "nothing").status_code == 503


@pytest.mark.parametrize(
    "fields", [{"response_objs": []}, {"principle": 5}, {"response_objs": [{"output": "s4"}]}, {"other": 1}]
)
def test_another_shape_is_refused(client, fields):
    assert compare(client, "s4", **fields).status_code == 400


def test_a_server_without_a_rubric_asks_for_a_principle():
    with client_of(rubric=None) as client:
        assert compare(client, "s4").status_code == 400


@pytest.mark.parametrize("body", [{}, {"responses_create_params": PARAMS}, {"response": response("s4")}])
def test_a_row_without_prompt_or_response_is_refused(client, body):
    assert client.post("/verify", json=body).status_code == 400
