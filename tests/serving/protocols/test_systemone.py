import pytest

QUESTIONS = {
    "is_spam": {"type": "noul", "instructions": "Is it spam?", "criteria": {"true": "Advertising", "false": "Mail"}},
    "tone": {"type": "choice", "instructions": "What is the tone?", "criteria": {"calm": None, "angry": "Hostile"}},
    "urgency": {"type": "score", "instructions": "How urgent?", "criteria": ["Can wait", "This week", "Today"]},
}


def test_every_question_of_system_one_has_its_distribution(decider):
    body = {"model": "jev-latest", "state": {"message": "Buy!"}, "questions": QUESTIONS}
    answer = decider.post("/v1/systemone", json=body).json()
    spam, tone, urgency = (answer["answers"][name] for name in QUESTIONS)
    assert spam == {"type": "noul", "noul": pytest.approx(0.8)}
    assert (tone["choice"], tone["probabilities"]) == ("angry", pytest.approx({"calm": 0.2, "angry": 0.8}))
    assert urgency["score"] == pytest.approx(0.1 + 1.6)
    assert urgency["legend"] == {"0": "Can wait", "1": "This week", "2": "Today"}
    assert 0 < urgency["confidence"] < 1
    assert answer["model"] == "scripted"
    assert answer["usage"]["input_tokens"] > 0
    asked = {request.rubric.name: request for request, _ in decider.service.history.latest}
    assert asked["tone"].rubric.descriptions == {0: "calm", 1: "angry: Hostile"}
    assert '"Buy!"' in asked["tone"].response


def test_an_unanswered_question_of_system_one_is_503(decider):
    body = {"model": "m", "state": "fail", "questions": QUESTIONS}
    answer = decider.post("/v1/systemone", json=body)
    assert answer.status_code == 503
    assert "is_spam" in answer.text


@pytest.mark.parametrize(
    "fields",
    [
        {"questions": {}},
        {"questions": {"q": {"type": "box"}}},
        {"questions": {"q": {"type": "noul"}}},
        {"questions": {"q": {"type": "score", "instructions": "?", "criteria": ["one"]}}},
        {"questions": {"q": {"type": "choice", "instructions": "?", "criteria": ["a", "b"]}}},
        {"state": ""},
        {"assets": {}},
    ],
)
def test_what_system_one_does_not_ask_is_refused(decider, fields):
    body = {"model": "m", "state": "Hi", "questions": QUESTIONS, **fields}
    assert decider.post("/v1/systemone", json=body).status_code == 400
