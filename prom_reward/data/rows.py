"""Reads rows from JSONL, JSON, CSV, TSV, Parquet and `datasets` folders; a broken one becomes a BrokenRow."""

import csv
import io
import json
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from prom_reward.errors import InputError, RowError, number_of
from prom_reward.files import MAX_TABLE_BYTES, is_too_deep, opened, read_text, unique_keys

_NOT_UTF8 = "not UTF-8 text: save the file as UTF-8"
_MAX_LINE_BYTES = 64 << 20  # one row; what is longer is no row but a file without line ends


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file."""

    place: str
    """Its place, for messages: "line 3" or "row 3", counted from 1."""
    values: Mapping[str, Any]
    """Its columns."""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be read."""

    place: str
    """Its place, for messages."""
    problem: str
    """The problem."""
    is_unfinished: bool = False
    """Whether it is the last line of a file, without its end: someone may be writing it."""


RowIterator = Iterator[Row | BrokenRow]


def read_rows(path: str | Path) -> RowIterator:
    """Yield the rows of a file or of a folder written by `Dataset.save_to_disk`.

    Raises:
        InputError: The path does not exist, cannot be read, or has an ending that is not known.
    """
    path = Path(path)
    if path.is_dir():
        return _from_datasets_folder(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; expected a JSONL, JSON, CSV or Parquet file, or a datasets folder")
    readers: dict[str, Callable[[Path], RowIterator]] = {
        ".jsonl": _from_jsonl,
        ".ndjson": _from_jsonl,
        ".json": _from_json,
        ".csv": _from_csv,
        ".tsv": _from_csv,
        ".parquet": _from_parquet,
    }
    if _ending(path) not in readers:
        known = f"{', '.join(readers)} (also with .gz)"
        raise InputError(f"{path}: got the ending {_ending(path)!r}; expected one of {known} or a folder")
    return readers[_ending(path)](path)


def _ending(path: Path) -> str:
    """Return the ending that tells the format, in lower case and without a last `.gz`."""
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()


def read_values(path: str | Path) -> list[dict[str, Any]]:
    """Return the columns of all rows, for data sets that must be whole, as a training's.

    Raises:
        RowError: A row is broken; the message names the first one.
        InputError: As `read_rows`.
    """
    rows = []
    for row in read_rows(path):
        if isinstance(row, BrokenRow):
            raise RowError(f"{path}, {row.place}: {row.problem}")
        rows.append(dict(row.values))
    return rows


def read_prompts(path: str | Path) -> list[dict[str, Any]]:
    """Return the columns of all rows for a trainer, which takes a `prompt` from each: a text, or a list of messages.

    Raises:
        RowError: A row is broken, has no prompt, or one of another kind than the rows before.
        InputError: As `read_rows`.
    """
    rows = read_values(path)
    kinds: dict[type, str] = {str: "a text", list: "messages"}
    for number, row in enumerate(rows, 1):
        kind, first = type(row.get("prompt")), type(rows[0].get("prompt"))
        if kind not in kinds:
            got = ", ".join(map(str, row)) or "none"
            raise RowError(
                f"{path}, row {number}: got the columns {got}; expected `prompt`, a text or a list of messages"
            )
        if kind is not first:
            raise RowError(
                f"{path}, row {number}: got {kinds[kind]} as the prompt, and {kinds[first]} before; expected one"
            )
    return rows


def count_rows(path: str | Path) -> int | None:
    """Return the number of rows if it is cheap to count, for progress bars."""
    path = Path(path)
    if _ending(path) in (".jsonl", ".ndjson") and path.is_file():
        with opened(path) as file:
            return sum(1 for line in _lines(file) if line is None or line.strip())
    if path.suffix.lower() == ".parquet" and path.is_file():
        import pyarrow
        import pyarrow.parquet

        with suppress(pyarrow.ArrowException, OSError):  # reading it will say what is wrong
            return int(pyarrow.parquet.ParquetFile(path).metadata.num_rows)
    return None


def _from_jsonl(path: Path) -> RowIterator:
    with opened(path) as file:
        for number, line in enumerate(_lines(file), start=1):
            if line is None:
                yield BrokenRow(f"line {number}", f"longer than {_MAX_LINE_BYTES >> 20} MiB")
            elif line.strip():
                row = _json_row(line, f"line {number}")
                if isinstance(row, BrokenRow) and not line.endswith(b"\n"):
                    row = replace(row, is_unfinished=True)
                yield row


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines of a file, None for one that is too long, of which no more than that is held in memory."""
    while line := file.readline(_MAX_LINE_BYTES + 1):
        is_cut = len(line) > _MAX_LINE_BYTES
        while is_cut and line and not line.endswith(b"\n"):
            line = file.readline(_MAX_LINE_BYTES + 1)
        yield None if is_cut else line


def _json_row(line: bytes, place: str) -> Row | BrokenRow:
    try:
        values = json.loads(line.decode("utf-8-sig").rstrip("\r\n"), object_pairs_hook=unique_keys)
    except UnicodeDecodeError:
        return BrokenRow(place, _NOT_UTF8)
    except RecursionError:
        return BrokenRow(place, "not valid JSON (nested too deeply)")
    except ValueError as error:  # also an integer of too many digits
        hint = "; a file that is one list of rows is to end in .json" if line.strip() == b"[" else ""
        return BrokenRow(place, f"not valid JSON ({_reason(error)}){hint}")
    return _row(values, place)


def _reason(error: ValueError) -> str:
    """Return what is wrong with a line, and where in it."""
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    return f"{error.msg.removesuffix(' at')} at column {error.pos + 1}"


def _row(values: Any, place: str) -> Row | BrokenRow:
    if not isinstance(values, dict):
        return BrokenRow(place, f"got {type(values).__name__}, expected an object with columns")
    return BrokenRow(place, "nested too deeply") if is_too_deep(values) else Row(place, values)


def _from_json(path: Path) -> RowIterator:
    try:
        text = read_text(path, max_bytes=MAX_TABLE_BYTES, encoding="utf-8-sig")
        content = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        if _begins_with_object(path):  # JSON lines, as the Prometheus benchmark's files are
            yield from _from_jsonl(path)
            return
        raise InputError(f"{path}: not a valid JSON file ({error}); expected a list of objects") from error
    if not isinstance(content, list):
        content = _wrapped(content, path)
    for number, values in enumerate(content, start=1):
        yield _row(values, f"row {number}")


def _wrapped(content: Any, path: Path) -> list[Any]:
    """Return the list that stands under `data` beside facts on the file, as in SQuAD's."""
    if not isinstance(content, dict):
        raise InputError(f"{path}: got {type(content).__name__}; expected a list of objects")
    lists = [
        name for name, value in content.items() if isinstance(value, list) and (name == "data" or _has_rows(value))
    ]
    if len(lists) > 1:
        raise InputError(
            f"{path}: got several lists of objects, perhaps the splits of a data set: "
            f"{textwrap.shorten(', '.join(map(repr, lists)), 80)}; expected one list: write the one to read to a file "
            "of its own"
        )
    if lists != ["data"]:
        keys = textwrap.shorten(", ".join(map(repr, content)), 80) or "none"
        raise InputError(f"{path}: got an object with the keys {keys}; expected a list of objects, or one under 'data'")
    found: list[Any] = content["data"]
    return found


def _has_rows(values: list[Any]) -> bool:
    return any(isinstance(one, dict) for one in values)


def _begins_with_object(path: Path) -> bool:
    """Whether the first line that is not empty is an object by itself."""
    with opened(path) as file:
        first = next((line for line in _lines(file) if line is None or line.strip()), None)
    return first is not None and isinstance(_json_row(first, ""), Row)


def _from_csv(path: Path) -> RowIterator:
    csv.field_size_limit(1 << 28)
    line, text = 0, ""

    def lines(file: Iterable[str]) -> Iterator[str]:
        nonlocal text
        for text in file:
            text.encode()  # fails on bytes that are no text, after all lines before them
            yield text  # the last one tells whether a row is still being written

    try:
        with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as text_file:
            reader = csv.reader(lines(text_file), strict=True, delimiter=(mark := _delimiter(path)))
            names = next((cells for cells in reader if cells), [])
            _check_once(names, path)
            line = reader.line_num
            for cells in reader:
                place, line = f"line {line + 1}", reader.line_num
                if cells and len(cells) != len(names):
                    expected = f"{number_of(len(names), 'cell')} as in the header"
                    problem = f"expected {expected}, got {len(cells)}; one with a {mark!r} in it needs quotes"
                    yield BrokenRow(place, problem, is_unfinished=not text.endswith(("\n", "\r")))
                elif cells:  # a blank line has none
                    row = zip(names, cells, strict=True)
                    yield Row(place, {name: cell or _empty_cell(name) for name, cell in row})
    except (UnicodeEncodeError, csv.Error) as error:  # the next row's beginning is not known any more
        reason = _NOT_UTF8 if isinstance(error, UnicodeEncodeError) else f"not valid CSV ({error})"
        problem = f"{reason}, and nothing after it can be read"
        yield BrokenRow(f"line {line + 1}", problem, is_unfinished="unexpected end of data" in str(error))


def _check_once(names: Iterable[str], path: Path) -> None:
    """Raise InputError if a file has a column twice, of which its rows would keep the last."""
    if twice := [name for name, number in Counter(names).items() if number > 1]:
        raise InputError(f"{path}: got the column {twice[0]!r} twice; expected each column once")


def _delimiter(path: Path) -> str:
    """Return what separates the cells, by the header: spreadsheets write semicolons if their decimals have commas."""
    with opened(path) as file:
        header = next((line for line in _lines(file) if line and line.strip(b"\xef\xbb\xbf\r\n")), b"")
    if _ending(path) == ".tsv":
        return "\t"
    return next((mark for mark in ",;\t" if mark.encode() in header), ",")


def _empty_cell(column: str) -> str | None:
    """Return None for an absent value, except that a response may be empty."""
    return "" if column in ("response", "completion", "orig_response") else None


def _from_parquet(path: Path) -> RowIterator:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(path)
        _check_once(file.schema_arrow.names, path)
        for batch in file.iter_batches(batch_size=256):
            for values in batch.to_pylist():
                number += 1
                yield Row(f"row {number}", values)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:  # also a date beyond the year 9999
        raise InputError(f"{path}: not a valid Parquet file ({error})") from error


def _from_datasets_folder(path: Path) -> RowIterator:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a folder written by Dataset.save_to_disk") from error
    if isinstance(loaded, datasets.DatasetDict):
        raise InputError(f"{path}: got the splits {', '.join(loaded)}; give one of them, for example {path}/train")
    for number, values in enumerate(loaded, start=1):
        yield Row(f"row {number}", values)
