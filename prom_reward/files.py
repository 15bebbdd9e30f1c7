"""Reads whole text files, of bounded size, and checks that what they hold is no larger than it looks.

It does not know what they hold.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prom_reward.errors import ConfigError, InputError

MAX_SETTINGS_BYTES = 10 << 20  # settings, rubrics, calibrations: thousands of rubrics fit
MAX_TABLE_BYTES = 1 << 30  # a JSON file of rows is parsed as a whole; JSONL and Parquet have no such limit
_MAX_VALUES = 200_000
_MAX_DEPTH = 100
_MAX_BITS = 1024  # of an integer: the longest float has as many, and Python writes no number of over 4,300 digits


def read_text(path: str | Path, *, max_bytes: int = MAX_SETTINGS_BYTES, encoding: str = "utf-8") -> str:
    """Return a file's text.

    Raises:
        InputError: It is larger than `max_bytes`.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not text in this encoding.
    """
    with Path(path).open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(f"{path}: the file is larger than {max_bytes >> 20} MiB; expected a smaller one")
    return content.decode(encoding)


def bounded(value: Any, where: str) -> Any:
    """Return a parsed YAML value that is no larger than it looks.

    Aliases make a file of a kilobyte expand to billions of values as soon as anything walks or shows them, and an
    alias inside its own anchor makes it endless.

    Raises:
        ConfigError: It expands to too many values, is nested too deeply, or holds a number of hundreds of digits.
    """
    for count, (part, depth) in enumerate(_parts(value), start=1):
        if count > _MAX_VALUES:
            raise ConfigError(f"{where}: expands to over {_MAX_VALUES} values; write it without nested aliases")
        if depth > _MAX_DEPTH:
            raise ConfigError(f"{where}: is nested over {_MAX_DEPTH} levels deep; write it flatter")
        if isinstance(part, int) and part.bit_length() > _MAX_BITS:
            raise ConfigError(f"{where}: holds a number of over {_MAX_BITS} bits; expected a smaller one")
    return value


def is_too_deep(value: Any) -> bool:
    """Whether a parsed JSON value is nested so deeply that what walks it may run out of stack."""
    return any(depth > _MAX_DEPTH for _, depth in _parts(value))


def _parts(value: Any) -> Iterator[tuple[Any, int]]:
    """Yield everything inside of a value and itself, each with its depth; deeper ones than too deep end it."""
    rest = [(value, 0)]
    while rest:
        part, depth = rest.pop()
        yield part, depth
        if isinstance(part, Mapping):
            rest += ((inner, depth + 1) for pair in part.items() for inner in pair)
        elif isinstance(part, list | tuple | set):
            rest += ((inner, depth + 1) for inner in part)
