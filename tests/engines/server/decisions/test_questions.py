import pytest
from openai.types.decision import Decision
from openai.types.decision_create_params import DecisionCreateParams
from pydantic import TypeAdapter

from prom_reward.engines.server.decisions.questions import REFUSED, input_tokens, read_answers, request_body
from prom_reward.types import JudgePrompt

SCORE = JudgePrompt("Good?", "A text.", labels=("1", "2", "3"), label_texts=("bad", "fair", "good"))
PAIR = JudgePrompt("Better?", "A text.", labels=("A", "B"), label_texts=("A is.", "B is."))
TWICE = JudgePrompt("Good?", "A text.", labels=("0", "1", "2"), label_texts=("no", "so", "so"))
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 10,
}


def levels(*probs):
    return [{"label": str(at), "value": at, "probability": prob} for at, prob in enumerate(probs)]


def systemone(*answers):
    return {"answers": {f"question {at + 1}": one for at, one in enumerate(answers)}, "usage": {"input_tokens": 9}}


def test_a_scale_is_a_score_question_and_a_pair_or_unclear_levels_a_choice():
    asked = request_body("systemone", None, [SCORE, PAIR, TWICE])
    assert asked["state"] == "A text."
    assert "model" not in asked
    assert list(asked["questions"].values()) == [
        {"type": "score", "instructions": "Good?", "criteria": ["bad", "fair", "good"]},
        {"type": "choice", "instructions": "Better?", "criteria": {"A": "A is.", "B": "B is."}},
        {"type": "choice", "instructions": "Good?", "criteria": {"0": "no", "1": "so", "2": "so"}},
    ]


def test_openais_own_types_take_the_request_and_give_the_answer():
    asked = request_body("decisions", "judge", [SCORE, PAIR])
    read = TypeAdapter(DecisionCreateParams).validate_python(asked)
    assert (read["model"], read["input"]) == ("judge", "A text.")
    choices = [{"value": "A", "probability": 0.25}, {"value": "B", "probability": 0.75}]
    answers = [
        {"type": "score", "score": 1.1, "confidence": 0.5, "probabilities": levels(0.2, 0.5, 0.3)},
        {"type": "choice", "choice": "B", "confidence": 0.5, "probabilities": choices},
    ]
    body = Decision.model_validate({"answers": answers, "model": "judge", "usage": USAGE}).model_dump()
    assert read_answers("decisions", [SCORE, PAIR], body) == [[0.2, 0.5, 0.3], [0.25, 0.75]]
    assert input_tokens(body) == 9


def test_vllms_answers_are_read():
    score = {"type": "score", "score": 1.1, "legend": {"0": "bad"}, "probabilities": {"0": 0.2, "1": 0.5, "2": 0.3}}
    choice = {"type": "choice", "choice": "B", "probabilities": {"B": 0.75, "A": 0.25}, "confidence": 0.4}
    body = systemone({**score, "confidence": 0.4}, choice)
    assert read_answers("systemone", [SCORE, PAIR], body) == [[0.2, 0.5, 0.3], [0.25, 0.75]]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "gave no answer"),
        ({"type": "refusal"}, REFUSED),
        ({"type": "score", "score": 1.0}, "expected probabilities of 0, 1, 2"),
        ({"probabilities": {"0": 0.5, "1": 0.5}}, "expected probabilities of 0, 1, 2"),
        ({"probabilities": {"0": 0.5, "1": 0.5, "2": True}}, "expected probabilities of 0, 1, 2"),
        ({"probabilities": {"0": 0.5, "1": 0.5, "2": float("nan")}}, "expected probabilities of 0, 1, 2"),
        ({"probabilities": {"0": -0.5, "1": 0.5, "2": 1.0}}, "expected probabilities of 0, 1, 2"),
        ({"probabilities": {"0": 0.5, "1": 0.5, "2": 0.5}}, "sum to 1; got 0.5, 0.5, 0.5"),
        ({"probabilities": [*levels(0.2, 0.5, 0.3), *levels(0.2)]}, "expected probabilities of 0, 1, 2"),
        ({"probabilities": [0.2, 0.5, 0.3]}, "expected probabilities of 0, 1, 2"),
    ],
)
@pytest.mark.parametrize("api", ["decisions", "systemone"])
def test_no_probability_is_invented(api, answer, problem):
    body = {"answers": [answer]} if api == "decisions" else systemone(answer)
    [found] = read_answers(api, [SCORE], body)
    assert problem in found


@pytest.mark.parametrize("api", ["decisions", "systemone"])
@pytest.mark.parametrize("body", [{}, {"answers": 3}, {"answers": []}, {"answers": {}}])
def test_answers_that_are_missing_fail_each_question(api, body):
    assert all(isinstance(one, str) for one in read_answers(api, [SCORE, PAIR], body))


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": "9"}, {"input_tokens": -1}])
def test_a_count_that_is_none_is_zero(usage):
    assert input_tokens({"usage": usage}) == 0
