"""Reads whole text files, of bounded size, and checks that what they hold is no larger than it looks.

It does not know what they hold.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prom_reward.errors import ConfigError, InputError

MAX_SETTINGS_BYTES = 10 << 20  # settings, rubrics, calibrations: thousands of rubrics fit
MAX_TABLE_BYTES = 1 << 30  # a JSON file of rows is parsed as a whole; JSONL and Parquet have no such limit


_MAX_VALUES = 200_000


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
        ConfigError: It expands to too many values.
    """
    rest, count = [value], 0
    while rest:
        count += 1
        if count + len(rest) > _MAX_VALUES:
            raise ConfigError(f"{where}: expands to over {_MAX_VALUES} values; write it without nested aliases")
        part = rest.pop()
        if isinstance(part, Mapping):
            rest += part.values()
        elif isinstance(part, list | tuple | set):
            rest += part
    return value
