"""Requests in the forms in which users write them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from prom_reward.errors import RowError, near_miss
from prom_reward.types import ComparisonRequest, GradingRequest

_RequestT = TypeVar("_RequestT", GradingRequest, ComparisonRequest)


def parse_requests(requests: Sequence[_RequestT | Mapping[str, Any]], cls: type[_RequestT]) -> list[_RequestT]:
    """Return requests as they are, and make requests from mappings of their fields.

    Raises:
        RowError: The value is no list, an entry is neither, or one of its fields is missing, unknown or no text.
        RubricError: A rubric cannot be read.
    """
    if isinstance(requests, Mapping | str | cls) or not isinstance(requests, Iterable):
        raise RowError(f"got {type(requests).__name__}; expected a list of requests")
    return [request if isinstance(request, cls) else _from_mapping(request, cls) for request in requests]


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
