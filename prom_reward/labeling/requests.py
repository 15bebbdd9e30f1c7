"""Requests and answers of a labeling as JSON; equal requests have equal keys, so that each is judged once."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from prom_reward.errors import RowError
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import grade_requests
from prom_reward.rubrics.reading import rubric_from_dict
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgeAnswer, JudgeRequest, Judgment, Rubric

Answers = Mapping[str, JudgeAnswer]
"""Answers by the keys of their requests."""


def request_key(request: JudgeRequest) -> str:
    """Return the digest of everything that the judge sees of a request."""
    rubric = request.rubric
    is_criterion = isinstance(rubric, Rubric) and rubric.is_criterion  # asked with another task text
    kind = [type(request).__name__, is_criterion, request.reference_answer is not None]
    content = json.dumps([*kind, *request_texts(request), rubric.scale.low, rubric.scale.high])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def request_texts(request: JudgeRequest) -> list[str]:
    """Return all texts of a request."""
    reference = [] if request.reference_answer is None else [request.reference_answer]
    return [request.instruction, *_responses(request), *reference, request.rubric.text]


def request_to_json(request: JudgeRequest) -> dict[str, Any]:
    """Return a request as JSON values."""
    return {
        "instruction": request.instruction,
        "responses": list(_responses(request)),
        "reference_answer": request.reference_answer,
        "rubric": request.rubric.to_dict(),
    }


def request_from_json(values: Mapping[str, Any]) -> JudgeRequest:
    """Return the request that `request_to_json` wrote."""
    shared = {
        "instruction": values["instruction"],
        "reference_answer": values["reference_answer"],
        "rubric": rubric_from_dict(values["rubric"]),
    }
    match values["responses"]:
        case [str(response)]:
            return GradingRequest(response=response, **shared)
        case [str(first), str(second)]:
            return ComparisonRequest(response_a=first, response_b=second, **shared)
    raise RowError(f"got {values['responses']!r:.60} as a request's responses; expected one or two strings")


def answer_from_json(values: Mapping[str, Any]) -> JudgeAnswer:
    """Return the answer whose `to_dict` gave these values."""
    return Comparison.from_dict(values) if "winner" in values else Judgment.from_dict(values)


def judge_requests(judge: Judge, requests: Mapping[str, JudgeRequest]) -> dict[str, JudgeAnswer]:
    """Judge requests, which may be batched, and return the answers by key."""
    grading = {key: one for key, one in requests.items() if isinstance(one, GradingRequest)}
    comparing = {key: one for key, one in requests.items() if isinstance(one, ComparisonRequest)}
    judgments = grade_requests(judge, list(grading.values())) if grading else []
    comparisons = judge.compare(list(comparing.values())) if comparing else []
    return dict(zip(grading, judgments, strict=True)) | dict(zip(comparing, comparisons, strict=True))


def _responses(request: JudgeRequest) -> tuple[str, ...]:
    if isinstance(request, GradingRequest):
        return (request.response,)
    return (request.response_a, request.response_b)
