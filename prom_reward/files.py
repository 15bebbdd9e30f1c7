"""Bounded reads and atomic writes of text files."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import yaml

from prom_reward.errors import ConfigError, InputError, WorkError

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


def read_yaml(path: str | Path) -> Any:
    """Read a YAML or JSON file; a broken one is a ConfigError of one line."""
    try:
        return bounded(yaml.safe_load(read_text(path)), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the file ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:  # "!!int", bad dates
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ConfigError(f"{path}{line}: not valid YAML ({problem})") from error


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


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines to a file that appears whole, by one rename; return how many.

    Raises:
        WorkError: The disk is full, or cannot be written; what the file held before is still there.
    """
    with replacing(path) as file:
        return write_records(file, records)


def write_records(file: IO[str], records: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines to an open file; lone surrogates, which no UTF-8 file can hold, stay escaped."""
    count = 0
    for record in records:
        text = json.dumps(record, ensure_ascii=False, default=str)
        if not _is_utf8(text):
            text = json.dumps(record, default=str)
        file.write(text + "\n")
        count += 1
    return count


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes its place when it is whole and on the disk, and never before.

    Raises:
        WorkError: The disk is full, or cannot be written; what the file held before is still there.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise WorkError(
            f"{path}: cannot be written ({error.strerror}); nothing that was written before is lost: make room and "
            "run the same command again"
        ) from error


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
