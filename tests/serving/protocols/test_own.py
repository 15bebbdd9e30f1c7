import json

import pytest

from prom_reward import Comparison, GradingRequest, Judgment, Outcome, PrometheusJudge, ScriptedEngine
from tests.rewards.groups.quality_judge import QualityJudge
from tests.serving.scripted_service import client_of, word_score

POLITE = {"name": "polite", "criteria": "Is it polite?", **{f"score{n}_description": f"{n}" for n in range(1, 6)}}


def grade(client, *responses, **fields):
    return client.post(
        "/v1/grade", json={"requests": [{"instruction": "Hi", "response": one} for one in responses], **fields}
    )


def test_grades_are_those_of_the_judge_in_process(client):
    answer = grade(client, "s4", "fail", "nothing", "s9").json()
    served = [Judgment.from_dict(one) for one in answer["judgments"]]
    judge = PrometheusJudge(ScriptedEngine(word_score))
    own = [
        GradingRequest(instruction="Hi", response=one, rubric="helpfulness") for one in ("s4", "fail", "nothing", "s9")
    ]
    assert served == judge.grade(own)
    assert [one.outcome for one in served] == [
        Outcome.SCORED, Outcome.ENGINE_FAILED, Outcome.NO_RESULT, Outcome.OFF_SCALE,
    ]  # fmt: skip
    assert [one["score"] for one in answer["judgments"]] == [4, None, None, None]


def test_a_request_may_bring_its_rubric_in_any_form(client):
    body = {"requests": [{"instruction": "Hi", "response": "s4", "rubric": json.dumps(POLITE)}]}
    assert client.post("/v1/grade", json=body).json()["judgments"][0]["score"] == 4


def test_comparisons():
    with client_of(PrometheusJudge(ScriptedEngine(["First. [RESULT] A"]))) as client:
        body = {"requests": [{"instruction": "Hi", "response_a": "x", "response_b": "y"}]}
        (found,) = client.post("/v1/compare", json=body).json()["comparisons"]
        assert Comparison.from_dict(found).winner == "A"


def test_rewards_are_normalized_and_unscored_rows_are_null_with_their_reason(client):
    rows = [{"prompt": "Hi", "completion": one} for one in ("s5", "s1", "fail")]
    answer = client.post("/v1/reward", json={"rows": rows}).json()
    high, low, failed = answer["rewards"]
    assert high > low
    assert failed is None
    assert "engine_failed" in answer["rows"][2]["problem"]
    assert answer["rows"][0]["problem"] is None


def test_a_row_with_several_rubrics_and_messages_is_read_as_a_trainer_reads_it(client):
    row = {
        "prompt": [{"role": "user", "content": "Hi"}],
        "completion": [{"role": "assistant", "content": "s5"}],
        "rubrics": [{"rubric": "helpfulness", "weight": 1}, {"rubric": POLITE, "weight": 2}],
    }
    answer = client.post("/v1/reward", json={"rows": [row]}).json()
    assert len(answer["rows"][0]["judgments"]) == 2
    assert answer["rewards"][0] > 2


def test_rows_are_compared_with_those_to_the_same_prompt():
    rows = [{"prompt": "p", "completion": f"answer {one}"} for one in (1, 4)]
    rows += [{"prompt": "q", "completion": "answer 2"}, {"prompt": "p", "completion": "answer 1"}]
    with client_of(QualityJudge(fails=lambda request: request.instruction == "q")) as client:
        answer = client.post("/v1/reward", json={"rows": rows, "topology": "circular"}).json()
    low, high, failed, again = answer["rewards"]
    assert low == again < high
    assert failed is None
    assert answer["rows"][2]["problem"] is not None
    assert answer["rows"][1]["judgments"][0]["expected_score"] == 4


def test_the_rows_of_a_named_group_have_equally_many_rubrics():
    rubrics = ["helpfulness", ["helpfulness", "honesty"]]
    rows = [{"prompt": "p", "completion": "answer 1", "rubric": one} for one in rubrics]
    body = {"rows": rows, "topology": "circular", "group": {"name": "a", "size": 2}}
    with client_of(QualityJudge()) as client:
        refused = client.post("/v1/reward", json=body)
    assert (refused.status_code, "got 1, 2 rubrics" in refused.json()["error"]["message"]) == (400, True)


def test_a_named_group_has_one_prompt():
    rows = [{"prompt": one, "completion": "answer 1"} for one in "pq"]
    body = {"rows": rows, "topology": "circular", "group": {"name": "a", "size": 2}}
    with client_of(QualityJudge()) as client:
        refused = client.post("/v1/reward", json=body)
    assert (refused.status_code, "one group" in refused.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("grade", {}, "'requests'"),
        ("grade", {"requests": "x"}, "expected a list"),
        ("grade", {"requests": [1]}, "requests[0]"),
        ("grade", {"requests": [{"instruction": "Hi"}]}, "response"),
        ("grade", {"requests": [{"instruction": "Hi", "response": "x", "rubic": "y"}]}, "Did you mean 'rubric'"),
        ("grade", {"requests": [{"instruction": "Hi", "response": "x", "rubric": "helpfulnes"}]}, "Did you mean"),
        ("grade", {"request": []}, "Did you mean 'requests'"),
        ("grade", {"requests": [], "group": {"name": "a"}}, "group"),
        ("compare", {"requests": [{"instruction": "Hi", "response": "x"}]}, "response"),
        ("reward", {"rows": [{"prompt": "Hi"}]}, "rows[0]: got no completion"),
        ("reward", {"rows": [{"prompt": "Hi", "completion": 3}]}, "expected a string"),
        ("reward", {"rows": [], "topology": "adaptiv"}, "Did you mean 'adaptive'"),
        ("reload", {"rubric": "honesty"}, "unknown field 'rubric'"),
        ("reload", {}, "started without a rubric"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line(client, path, body, said):
    response = client.post(f"/v1/{path}", json=body)
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


def test_a_server_without_a_rubric_asks_for_one():
    with client_of(rubric=None) as client:
        assert grade(client, "s4").status_code == 400
        response = client.post("/v1/reward", json={"rows": [{"prompt": "Hi", "completion": "s4"}]})
        assert "rubric" in response.json()["error"]["message"]


def test_a_server_with_several_rubrics_asks_for_one_where_it_takes_one():
    with client_of(rubric=["helpfulness", "honesty"]) as client:
        response = grade(client, "s4")
        message = response.json()["error"]["message"]
        assert response.status_code == 400
        assert message.endswith(
            "requests[0]: got no rubric, and the server has 2 (helpfulness, honesty); expected one as 'rubric'; "
            "/v1/reward takes all of them"
        )
        rows = [{"prompt": "Hi", "completion": "s4"}]
        assert len(client.post("/v1/reward", json={"rows": rows}).json()["rows"][0]["judgments"]) == 2


def test_the_model_list_names_the_judge_and_what_it_is(client):
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["owned_by"]) == ("scripted", "prom-reward")
    assert model["judge"]["fingerprint"] == client.service.judge.fingerprint


def test_an_empty_list_is_answered_by_an_empty_list(client):
    assert grade(client).json()["judgments"] == []


def test_a_rubric_that_is_null_is_the_servers(client):
    body = {"requests": [{"instruction": "Hi", "response": "s4", "rubric": None}]}
    assert client.post("/v1/grade", json=body).json() == grade(client, "s4").json()
