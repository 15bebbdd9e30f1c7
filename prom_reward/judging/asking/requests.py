"""Requests in the forms in which users write them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from prom_reward.errors import RowError, near_miss
from prom_reward.thinking import split_thoughts
from prom_reward.types import ComparisonRequest, GradingRequest

logger = logging.getLogger(__name__)

_RequestT = TypeVar("_RequestT", GradingRequest, ComparisonRequest)


def parse_requests(requests: Sequence[_RequestT | Mapping[str, Any]], cls: type[_RequestT]) -> list[_RequestT]:
    """Return requests as they are, and make requests from mappings of their fields.

    Responses that hold thoughts are named in a warning, as nothing is left out of a request.

    Raises:
        RowError: The value is no list, an entry is neither, or one of its fields is missing, unknown or no text.
        RubricError: A rubric cannot be read.
    """
    if isinstance(requests, Mapping | str | cls) or not isinstance(requests, Iterable):
        raise RowError(f"got {type(requests).__name__}; expected a list of requests")
    parsed = [request if isinstance(request, cls) else _from_mapping(request, cls) for request in requests]
    if any(_holds_thoughts(response) for request in parsed for response in _responses(request)):
        _warn_of_thoughts()
    return parsed


def _responses(request: GradingRequest | ComparisonRequest) -> tuple[str, ...]:
    if isinstance(request, GradingRequest):
        return (request.response,)
    return (request.response_a, request.response_b)


def _holds_thoughts(response: str) -> bool:
    found = split_thoughts(response)
    return bool(found.thoughts) or not found.is_closed


@cache
def _warn_of_thoughts() -> None:
    """Say, once in a process, that a request is judged as it stands."""
    logger.warning(
        "a request's response holds thoughts, which are judged like the answer: give "
        "prom_reward.thinking.split_thoughts(text).answer; rewards and rows do so by themselves"
    )


def _from_mapping(value: object, cls: type[_RequestT]) -> _RequestT:
    names = [one.name for one in fields(cls)]
    if not isinstance(value, Mapping):
        raise RowError(f"got {value!r:.60} as a request; expected a {cls.__name__}, or a mapping with {_listed(names)}")
    for name in value:
        if name not in names:
            raise RowError(f"got {name!r} in a request; expected {_listed(names)}.{near_miss(str(name), names)}")
    if missing := [name for name in names if name not in value and name != "reference_answer"]:
        raise RowError(f"got a request without {_listed(missing)}; expected {_listed(names)}")
    return cls(**value)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names)) or "no keys"
