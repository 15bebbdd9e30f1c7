"""Reads the fields of a request's body; what is not understood is refused in one line."""

from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.errors import RowError, UnscoredError, near_miss
from prom_reward.serving.batcher import RequestGroup
from prom_reward.serving.exchange import Body
from prom_reward.serving.service import RewardedRollout


def check_fields(body: Body, known: Sequence[str]) -> None:
    """Raise RowError if a body has a field that is not known."""
    for name in body:
        if name not in known:
            raise RowError(f"unknown field {name!r:.60}; expected some of {', '.join(known)}.{near_miss(name, known)}")


def required(body: Body, name: str) -> Any:
    """Return a field's value.

    Raises:
        RowError: The field is missing.
    """
    if name not in body:
        raise RowError(f"got no {name!r}, but {', '.join(map(repr, body)) or 'an empty object'}; expected it")
    return body[name]


def listed(body: Body, name: str) -> list[Any]:
    """Return a field that holds a list.

    Raises:
        RowError: The field is missing or no list.
    """
    value = required(body, name)
    if not isinstance(value, list):
        raise RowError(f"{name}: got {value!r:.60}; expected a list")
    return value


def text(body: Body, name: str) -> str:
    """Return a field that holds a text.

    Raises:
        RowError: The field is missing or no text.
    """
    value = required(body, name)
    if not isinstance(value, str):
        raise RowError(f"{name}: got {value!r:.60}; expected a text")
    return value


def group_of(body: Body) -> RequestGroup | None:
    """Return the group that a body names as `"group": {"name": ..., "size": 8}`; None if it names none.

    Raises:
        RowError: The group has another form.
    """
    match body.get("group"):
        case None:
            return None
        case {"name": str() | int() as name, "size": int(size), **rest} if not rest and size >= 1:
            return RequestGroup(name, size)
    raise RowError(f'group: got {body["group"]!r:.60}; expected {{"name": "a name", "size": its number of requests}}')


def as_mapping(value: object, where: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        RowError: The value is none.
    """
    if not isinstance(value, Mapping):
        raise RowError(f"{where}: got {value!r:.60}; expected an object")
    return value


def numbers(found: Sequence[RewardedRollout]) -> list[float]:
    """Return the rewards of a protocol that has no word for an unscored rollout.

    Raises:
        UnscoredError: One has no reward.
    """
    for at, one in enumerate(found):
        if one.problem is not None:
            raise UnscoredError(f"rollout {at} of {len(found)}: {one.problem}")
    return [one.reward for one in found if one.reward is not None]
