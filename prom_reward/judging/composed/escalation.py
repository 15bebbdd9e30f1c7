"""The groups of a call whose order a judge leaves undecided."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from statistics import fmean
from sys import float_info
from typing import Literal, TypeVar

from prom_reward.judging.distributions import entropy
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgeAnswer, JudgeRequest, Judgment

EscalateBy = Literal["group_margin", "entropy", "random"]

_KeyedT = TypeVar("_KeyedT", GradingRequest, ComparisonRequest, JudgeRequest)


def grading_groups(requests: Sequence[GradingRequest]) -> list[list[int]]:
    """Return the places of the responses to each instruction under one rubric with one reference."""
    return _together(requests, _grading_key)


def pair_groups(requests: Sequence[ComparisonRequest]) -> list[list[int]]:
    """Return the places of each pair of responses, in whatever order they are shown."""
    return _together(requests, _pair_key)


def whole_groups(requests: Sequence[JudgeRequest], size: int) -> list[list[int]]:
    """Return the places of requests in calls of at most `size` that split no group; a larger group is a call alone."""
    calls: list[list[int]] = []
    for group in _together(
        requests, lambda one: _grading_key(one) if isinstance(one, GradingRequest) else _pair_key(one)
    ):
        if not calls or len(calls[-1]) + len(group) > size:
            calls.append([])
        calls[-1] += group
    return calls


def decidedness(requests: Sequence[JudgeRequest], answers: Sequence[JudgeAnswer], by: EscalateBy) -> float:
    """Return how decided the order of a group is; infinite if it has none, and least if one is unscored.

    By the margin, an unscored response by itself comes after all groups with an order, and before one that is scored: a
    strong judge may score it, but no order gains.

    Args:
        requests: The group's requests.
        answers: A judge's answers.
        by: "group_margin": the difference of the two best scores, or of a pair's probability from 1/2; "entropy":
            the negative mean entropy in nats; "random": a number drawn from the requests' texts.
    """
    if by == "random":
        text = "\0".join(sorted(map(repr, requests)))
        return float(int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big"))
    if not all(one.is_scored for one in answers):
        is_alone = len(answers) == 1 and isinstance(answers[0], Judgment)
        return float_info.max if is_alone and by == "group_margin" else -inf
    if by == "entropy":
        return -fmean(_entropy(one) for one in answers)
    if isinstance(answers[0], Comparison):
        return abs(_first_wins(requests, answers) - 0.5)
    scores = sorted((score for one in answers if (score := score_of(one)) is not None), reverse=True)
    return scores[0] - scores[1] if len(scores) > 1 else inf


def leader(requests: Sequence[JudgeRequest], answers: Sequence[JudgeAnswer]) -> int:
    """Return the place of a group's best response; of a pair 0 or 1, in the alphabet's order."""
    if isinstance(answers[0], Comparison):
        return int(_first_wins(requests, answers) < 0.5)
    scores = [-inf if (score := score_of(one)) is None else score for one in answers]
    return scores.index(max(scores))


def score_of(answer: JudgeAnswer) -> float | None:
    """Return the expected score, or the probability that A is better."""
    return answer.prob_a if isinstance(answer, Comparison) else answer.expected_score


def _grading_key(request: GradingRequest) -> GradingRequest:
    return replace(request, response="")


def _pair_key(request: ComparisonRequest) -> ComparisonRequest:
    return min(request, request.swapped(), key=lambda side: side.response_a)


def _together(requests: Sequence[_KeyedT], key: Callable[[_KeyedT], object]) -> list[list[int]]:
    places: dict[object, list[int]] = {}
    for at, request in enumerate(requests):
        places.setdefault(key(request), []).append(at)
    return list(places.values())


def _first_wins(requests: Sequence[JudgeRequest], answers: Sequence[JudgeAnswer]) -> float:
    """Return the mean probability of the pair's first response in the alphabet's order."""
    probs = []
    for request, answer in zip(requests, answers, strict=True):
        assert isinstance(request, ComparisonRequest)
        prob = 0.5 if (said := score_of(answer)) is None else said  # an unscored one favors neither
        probs.append(prob if request.response_a <= request.response_b else 1 - prob)
    return fmean(probs)


def _entropy(answer: JudgeAnswer) -> float:
    """Return the entropy of a scored answer in nats; a judge without distributions is certain."""
    if isinstance(answer, Judgment):
        return answer.entropy or 0.0
    prob = answer.prob_a or 0.0
    return entropy({0: prob, 1: 1 - prob})
