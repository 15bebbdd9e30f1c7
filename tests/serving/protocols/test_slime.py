"""The shapes are those of slime's `rollout/rm_hub`: the whole body of the answer is the reward."""

import json

import pytest


def ask(client, response, prompt="Hi", label=None):
    return client.post("/rm", json={"prompt": prompt, "response": response, "label": label})


def test_the_body_is_the_reward(client):
    assert ask(client, "s4").json() == pytest.approx(0.71875)


def test_prompts_may_be_messages_and_labels_references_or_columns(client):
    messages = [{"role": "user", "content": "Hi"}]
    assert ask(client, "s4", messages, "Seven").json() == pytest.approx(0.71875)
    assert client.service.history.latest[-1][0].reference_answer == "Seven"
    assert ask(client, "s4", messages, {"rubric": "honesty"}).status_code == 200
    assert client.service.history.latest[-1][0].rubric.name == "honesty"
    assert ask(client, "s4", messages, 7).status_code == 200
    assert client.service.history.latest[-1][0].reference_answer == "7"


def test_an_unscored_rollout_is_503_and_no_number(client):
    answer = ask(client, "fail")
    assert answer.status_code == 503
    assert "engine_failed" in answer.text


def test_a_label_names_no_file_of_this_machine(client, tmp_path):
    secret = tmp_path / "secret.yaml"
    secret.write_text("criteria: [the secret")
    for rubric in (str(secret), {"rubric": str(secret), "weight": 1}, json.dumps({"rubric": str(secret)})):
        answer = ask(client, "s4", label={"rubric": rubric})
        assert answer.status_code == 400
        assert "the secret" not in answer.text


@pytest.mark.parametrize("body", [{"prompt": "Hi"}, {"prompt": "Hi", "response": 3}, {"prompt": 3, "response": "x"}])
def test_another_shape_is_refused(client, body):
    assert client.post("/rm", json=body).status_code == 400
