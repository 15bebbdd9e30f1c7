"""Input columns beside added ones of the same name: `score` becomes `input_score`, and that `input_input_score`."""

from collections.abc import Collection, Mapping
from typing import Any

_PREFIX = "input_"


def escaped(name: str, added: Collection[str]) -> str:
    """Return the name under which an input column stands beside added ones; no two names become equal."""
    return f"{_PREFIX}{name}" if is_escaped(f"{_PREFIX}{name}", added) else name


def is_escaped(name: str, added: Collection[str]) -> bool:
    """Whether a column of a result is an input's, under another name."""
    bare = name
    while bare.startswith(_PREFIX):
        bare = bare.removeprefix(_PREFIX)
    return bare != name and bare in added


def unescaped(name: str, added: Collection[str]) -> str:
    """Return the name that a column had in the input."""
    return name.removeprefix(_PREFIX) if is_escaped(name, added) else name


def original(values: Mapping[str, Any], name: str) -> Any:
    """Return the value that a column had before any of its escapes; None if there is no such column."""
    while f"{_PREFIX}{name}" in values:
        name = f"{_PREFIX}{name}"
    return values.get(name)
