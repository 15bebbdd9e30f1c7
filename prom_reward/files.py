"""Reads whole text files, of bounded size.

It does not know what they hold.
"""

from pathlib import Path

from prom_reward.errors import InputError

MAX_SETTINGS_BYTES = 10 << 20  # settings, rubrics, calibrations: thousands of rubrics fit
MAX_TABLE_BYTES = 1 << 30  # a JSON file of rows is parsed as a whole; JSONL and Parquet have no such limit


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
