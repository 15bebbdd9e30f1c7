import json
from dataclasses import replace

import pytest

from prom_reward.errors import RowError
from prom_reward.labeling.requests import (
    answer_from_json,
    judge_requests,
    request_from_json,
    request_key,
    request_to_json,
)
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import ComparisonRequest, GradingRequest
from tests.labeling.label_inputs import scripted_judge, verdict

REQUEST = GradingRequest(instruction="Hi?", response="Yes.", rubric=Rubric.parse("helpfulness"))
COMPARISON = ComparisonRequest(instruction="Hi?", response_a="a\ud800", response_b="b", rubric=REQUEST.rubric)


@pytest.mark.parametrize("request_", [REQUEST, COMPARISON], ids=["grading", "comparison"])
def test_requests_survive_json(request_):
    assert request_from_json(json.loads(json.dumps(request_to_json(request_)))) == request_


def test_a_request_of_no_response_is_refused():
    with pytest.raises(RowError, match=r"got \[\] as a request's responses; expected one or two strings"):
        request_from_json({**request_to_json(REQUEST), "responses": []})


def test_equal_requests_alone_have_equal_keys():
    def key(**changes):
        values = {"instruction": "Hi?", "response": "Yes.", "rubric": "helpfulness", **changes}
        return request_key(GradingRequest(**values))

    others = [{"instruction": "Ha?"}, {"response": "No."}, {"rubric": "honesty"}, {"reference_answer": "Yes."}]
    others += [{"rubric": replace(REQUEST.rubric, is_criterion=True)}]
    keys = [key(**changes) for changes in ({}, *others)]
    assert key() == keys[0]
    assert len(set(keys)) == len(keys)
    assert request_key(COMPARISON) != request_key(COMPARISON.swapped())


def test_answers_survive_json():
    judge = scripted_judge(lambda prompt: "No verdict." if "broken" in prompt.user else verdict(prompt))
    broken = GradingRequest(instruction="Hi?", response="broken", rubric=REQUEST.rubric)
    answers = judge_requests(judge, {"a": REQUEST, "b": broken, "c": COMPARISON})
    assert {key: answer_from_json(json.loads(json.dumps(one.to_dict()))) for key, one in answers.items()} == answers
