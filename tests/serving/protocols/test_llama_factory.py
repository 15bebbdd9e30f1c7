"""The shapes are those of LLaMA-Factory 0.9.5 (`train/ppo/ppo_utils.py`): it reads `scores` and looks at no status."""

import json

import pytest

from tests.prompts.test_rendered import CHATML, GEMMA

torch = pytest.importorskip("torch")


def scores_from(client, messages):
    """Read an answer as `get_rewards_from_server` does."""
    response = client.post("/v1/score/evaluation", json={"model": "model", "messages": messages})
    return torch.Tensor(json.loads(response.text)["scores"])


def test_every_text_has_its_score(client):
    found = scores_from(client, [f"{CHATML}s5<|im_end|>", f"{GEMMA}s1<end_of_turn>"])
    assert found.tolist() == pytest.approx([0.9375, 0.0625])
    assert [request.instruction for request, _ in client.service.history.latest] == ["Be brief.\n\nHi", "Hi"]


def test_an_unscored_text_ends_its_client_and_is_no_number(client):
    with pytest.raises(KeyError, match="scores"):
        scores_from(client, [f"{CHATML}s5", f"{CHATML}fail"])


def test_a_text_without_the_opening_of_an_answer_is_refused(client):
    assert client.post("/v1/score/evaluation", json={"messages": ["Hi s5"]}).status_code == 400
    assert client.post("/v1/score/evaluation", json={"messages": [5]}).status_code == 400
