"""The shapes are those of OpenRLHF 0.11.2 (`openrlhf/utils/agent.py`): one query a request, `raise_for_status`."""

import json

import pytest

from tests.prompts.test_rendered import CHATML


def ask(client, response, label=None, *, prompt=CHATML):
    body = {"query": [f"{prompt}{response}<|im_end|>"], "prompts": [prompt], "labels": [label]}
    return client.post("/get_reward", json=body)


def test_rewards_scores_and_logs_have_one_number_a_query(client):
    answer = ask(client, "s4").json()
    assert answer["rewards"] == answer["scores"] == pytest.approx([0.71875])
    assert answer["extra_logs"] == {"judge_score": pytest.approx([3.875])}


def test_the_judge_sees_question_and_answer_without_markup(client):
    ask(client, "s4", "A reference.")
    request, _ = client.service.history.latest[-1]
    assert (request.instruction, request.response) == ("Be brief.\n\nHi", "s4")
    assert request.reference_answer == "A reference."


def test_a_label_may_bring_rubric_prompt_and_reference_as_json(client):
    label = json.dumps({"rubric": "honesty", "reference_answer": "Yes.", "prompt": "Is it so?"})
    assert ask(client, "s2", label).status_code == 200
    request, _ = client.service.history.latest[-1]
    assert (request.instruction, request.reference_answer, request.rubric.name) == ("Is it so?", "Yes.", "honesty")


@pytest.mark.parametrize("response", ["fail", "nothing"])
def test_an_unscored_rollout_is_503_and_no_number(client, response):
    answer = ask(client, response)
    assert answer.status_code == 503
    assert "could not be scored" in answer.json()["error"]["message"]
    assert "rewards" not in answer.json()


def test_a_prompt_that_openrlhf_cut_is_named(client):
    body = {"query": [CHATML[10:] + "s4"], "prompts": [CHATML], "labels": [None]}
    answer = client.post("/get_reward", json=body)
    assert answer.status_code == 400
    assert "--data.max_len" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"query": ["a"]},
        {"query": ["a"], "prompts": []},
        {"query": [1], "prompts": ["a"]},
        {"query": ["b"], "prompts": ["a"]},
        {"query": ["ab"], "prompts": ["a"], "labels": ["{}"], "images": []},
    ],
)
def test_another_shape_is_refused(client, body):
    assert client.post("/get_reward", json=body).status_code == 400
