"""Bounded reads and atomic writes of files; what a name says before it is opened."""

import gzip
import json
import os
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import yaml

from prom_reward.errors import ConfigError, InputError, WorkError

MAX_SETTINGS_BYTES = 10 << 20  # settings, rubrics, calibrations: thousands of rubrics fit
MAX_TABLE_BYTES = 1 << 30  # a JSON file of rows is parsed as a whole; JSONL and Parquet have no such limit
_MAX_INT_BITS = 1024
_MAX_DEPTH = 100
_OTHER_FORMATS = frozenset({".csv", ".tsv", ".parquet", ".arrow", ".xlsx", ".gz", ".zip", ".yaml", ".yml", ".html"})
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)


def names_settings_file(text: str) -> bool:
    """Whether a text is the name of a YAML or JSON file."""
    return "\n" not in text and text.lower().endswith((".yaml", ".yml", ".json"))


def names_hub_repository(text: str) -> bool:
    """Whether a text has the form of a hub's id, `owner/name`; a folder may have it, too."""
    return bool(_HUB_ID.fullmatch(text))


def is_file(path: Path) -> bool:
    """Whether a path is a file; a text that cannot be a name is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name, or with a null character
        return False


def home_expanded(path: str | Path) -> Path:
    """Return a path with the home folder in place of `~`.

    Raises:
        InputError: Nobody knows where that is.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: no home folder is known for it; give the whole path") from error


def check_json_lines_name(path: Path) -> None:
    """Refuse a name that says another format than the JSON lines that are to be written.

    Raises:
        InputError: It ends in `.csv` or the like.
    """
    if path.suffix.lower() in _OTHER_FORMATS:
        raise InputError(f"{path}: got a name that ends in {path.suffix}; expected .jsonl, as JSON lines are written")


def read_text(path: str | Path, *, max_bytes: int = MAX_SETTINGS_BYTES, encoding: str = "utf-8") -> str:
    """Return a file's text.

    Raises:
        InputError: It is larger than `max_bytes`.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not text in this encoding.
    """
    with opened(Path(path)) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(f"{path}: the file is larger than {max_bytes >> 20} MiB; expected a smaller one")
    return content.decode(encoding)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes; one that ends in `.gz` is unpacked.

    Raises:
        InputError: It ends in `.gz` and is no whole gzip file; raised when the damage is reached.
        OSError: It cannot be read.
    """
    if path.suffix.lower() != ".gz":
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path) as unpacked:
            yield cast(BinaryIO, unpacked)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file ({error}); expected one: download or pack it again") from error


def read_yaml(path: str | Path) -> Any:
    """Return the content of a YAML or JSON file; a broken one raises a ConfigError of one line."""
    try:
        content = _Loader(read_text(path)).get_single_data()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the file ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:  # "!!int", bad dates
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ConfigError(f"{path}{line}: not valid YAML ({problem})") from error
    if is_too_deep(content):
        raise ConfigError(f"{path}: nested over {_MAX_DEPTH} levels deep; write it flatter, without an alias in itself")
    return content


class RepeatedKeyError(ValueError):
    """An object has a key twice, of which JSON's and YAML's readers would keep the last."""


def unique_keys(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return an object, as `object_pairs_hook` of `json.loads`.

    Raises:
        RepeatedKeyError: It has a key twice.
    """
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RepeatedKeyError(f"the key {key!r:.60} twice; expected it once")
        found[key] = value
    return found


class _Loader(yaml.SafeLoader):
    """The safe loader without repeated keys, integers that are too long to be printed, and deep brackets.

    PyYAML looks at all open brackets at every token.
    """

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Read an opening bracket."""
        if self.flow_level > _MAX_DEPTH:
            problem = f"nested over {_MAX_DEPTH} levels deep"
            raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())
        super().fetch_flow_collection_start(token)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return an object; what it merges with `<<` may have its keys, too."""
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) and key.value != "<<" else None
            if name in seen:
                problem = f"the key {key.value!r:.60} twice; expected it once"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.update([name] if name else [])
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        """Return an integer."""
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > _MAX_INT_BITS:
            raise yaml.constructor.ConstructorError(None, None, "an integer is too long", node.start_mark)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def let_others_read(path: Path) -> None:
    """Give a file the permissions of any new file: safetensors writes what its owner alone may read."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def is_too_deep(value: Any) -> bool:
    """Return whether a parsed JSON or YAML value is nested so deeply that walking it may exhaust the stack."""
    rest = [(value, 0)]
    while rest:
        part, depth = rest.pop()
        if depth > _MAX_DEPTH:
            return True
        if isinstance(part, Mapping):
            rest += ((inner, depth + 1) for pair in part.items() for inner in pair)
        elif isinstance(part, list | tuple | set):
            rest += ((inner, depth + 1) for inner in part)
    return False


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines to a file that appears whole, by one rename; return their number.

    Raises:
        WorkError: The disk is full or cannot be written; the old file is still there.
    """
    with replacing(path) as file:
        return write_records(file, records)


def write_records(file: IO[str], records: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines to an open file and return their number; lone surrogates stay escaped, as UTF-8 has none."""
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
    """Open a text file that replaces `path`; see `replacing_bytes`."""
    with replacing_bytes(path) as file:
        text = TextIOWrapper(cast(BufferedWriter, file), encoding="utf-8")
        try:
            yield text
        finally:
            text.detach()


@contextmanager
def replacing_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` when it is whole and on the disk, and never before.

    If the caller fails, the old file stays and the new one is deleted; of two processes that write the same file at
    once, the later one to finish wins. A killed process may leave a file that `leftovers` finds.

    Raises:
        WorkError: The disk is full or cannot be written; the old file is still there.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _write_errors(path):
            raw = _RawOutput(temporary, path)
        with BufferedWriter(raw) as file:
            yield file
            file.flush()
            with _write_errors(path):
                os.fsync(file.fileno())
        with _write_errors(path):
            temporary.replace(path)
            _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def leftovers(folder: Path, name: str = "*") -> Iterator[Path]:
    """Yield the files that processes left in a folder if they were killed while they replaced the file of a name."""
    yield from folder.glob(f"{name}.{'?' * 8}.tmp")


class _RawOutput(FileIO):
    """A new file for the content of `path`, whose failed writes are told from other errors of the code that writes."""

    def __init__(self, temporary: Path, path: Path) -> None:
        super().__init__(temporary, "x")
        self._path = path

    def write(self, content: Any, /) -> int:
        """Write bytes."""
        with _write_errors(self._path):
            return super().write(content)


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkError(
            f"{path}: cannot be written ({error.strerror}); nothing written before is lost: make room and run the same "
            "command again"
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
