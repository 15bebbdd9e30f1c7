"""Requests in the forms in which users write them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeVar

from prom_reward.errors import RowError, near_miss
from prom_reward.thinking import names_thoughts, opening_mark, split_thoughts
from prom_reward.types import ComparisonRequest, GradingRequest

logger = logging.getLogger(__name__)

_RequestT = TypeVar("_RequestT", GradingRequest, ComparisonRequest)


def parse_requests(requests: Sequence[_RequestT | Mapping[str, Any]], cls: type[_RequestT]) -> list[_RequestT]:
    """Return requests as they are, and make requests from mappings of their fields.

    Nothing is left out of a request: a warning tells of a response that seems to hold thoughts.

    Raises:
        RowError: The value is no list, an entry is neither, or one of its fields is missing, unknown or no text.
        RubricError: A rubric cannot be read.
    """
    if isinstance(requests, Mapping | str | cls) or not isinstance(requests, Iterable):
        raise RowError(f"got {type(requests).__name__}; expected a list of requests")
    parsed = [request if isinstance(request, cls) else _from_mapping(request, cls) for request in requests]
    is_told = _warn_of_thoughts.cache_info().currsize
    if not is_told and any(_holds_thoughts(response) for request in parsed for response in _responses(request)):
        _warn_of_thoughts()
    return parsed


def _responses(request: GradingRequest | ComparisonRequest) -> tuple[str, ...]:
    if isinstance(request, GradingRequest):
        return (request.response,)
    return (request.response_a, request.response_b)


def _holds_thoughts(response: str) -> bool:
    """Whether a response has thoughts that end, or begins with a mark of them that no sentence begins with."""
    found, begins = split_thoughts(response), names_thoughts(response)
    if found.is_closed:
        return bool(found.answer.strip() or begins) and found.answer.strip() != response.strip()
    written = response.lstrip()
    return opening_mark(written.partition("\n")[0]) != "" or (begins and written.startswith("<|"))


@lru_cache(maxsize=1)
def _warn_of_thoughts() -> None:
    """Say, once in a process, that a request is judged as it stands."""
    logger.warning(
        "a request's response seems to hold thoughts, which are judged with it; if they should not count, give "
        "prom_reward.thinking.split_thoughts(text).answer"
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
