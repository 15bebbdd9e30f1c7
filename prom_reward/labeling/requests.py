"""What a judge is asked and what it answers, as JSON under a key that is the request's content.

It does not know rows, files or processes. Equal requests have equal keys, so that each is judged once.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from prom_reward.errors import RowError
from prom_reward.judging.base import Judge
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import ComparisonRequest, GradingRequest

Request = GradingRequest | ComparisonRequest


def request_key(request: Request) -> str:
    """Return the key of a request: a digest of all that the judge sees of it."""
    scale = request.rubric.scale
    parts = [request.instruction, *_responses(request), request.reference_answer, request.rubric.text]
    content = json.dumps([type(request).__name__, *parts, scale.low, scale.high])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def request_to_json(request: Request) -> dict[str, Any]:
    """Return a request as JSON values."""
    rubric = request.rubric
    return {
        "instruction": request.instruction,
        "responses": list(_responses(request)),
        "reference_answer": request.reference_answer,
        "rubric": {
            "name": rubric.name,
            "criteria": rubric.criteria,
            "descriptions": {str(label): text for label, text in rubric.descriptions.items()},
            "scale": [rubric.scale.low, rubric.scale.high],
            "weight": rubric.weight,
        },
    }


def request_from_json(values: Mapping[str, Any]) -> Request:
    """Return the request that `request_to_json` wrote."""
    shared = {
        "instruction": values["instruction"],
        "reference_answer": values["reference_answer"],
        "rubric": Rubric.parse(values["rubric"]),
    }
    match values["responses"]:
        case [str(response)]:
            return GradingRequest(response=response, **shared)
        case [str(first), str(second)]:
            return ComparisonRequest(response_a=first, response_b=second, **shared)
    raise RowError(f"got {values['responses']!r:.60} as a request's responses; expected one or two strings")


def judge_requests(judge: Judge, requests: Mapping[str, Request]) -> dict[str, dict[str, Any]]:
    """Judge requests and return the answers as JSON values, by key.

    Args:
        judge: Grades and compares.
        requests: By key; those that one call may batch.
    """
    grading = {key: one for key, one in requests.items() if isinstance(one, GradingRequest)}
    comparing = {key: one for key, one in requests.items() if isinstance(one, ComparisonRequest)}
    judgments = judge.grade(list(grading.values())) if grading else []
    comparisons = judge.compare(list(comparing.values())) if comparing else []
    answers = {key: one.to_dict() for key, one in zip(grading, judgments, strict=True)}
    return answers | {key: one.to_dict() for key, one in zip(comparing, comparisons, strict=True)}


def _responses(request: Request) -> tuple[str, ...]:
    if isinstance(request, GradingRequest):
        return (request.response,)
    return (request.response_a, request.response_b)
