"""Rows from standard input."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prom_reward.errors import InputError


@contextmanager
def rows_path(path: Path | None) -> Iterator[Path]:
    """Yield the path of a file of rows; `-` becomes a temporary file with standard input's JSON or JSON lines.

    Raises:
        InputError: Standard input is a terminal.
    """
    if path is None or str(path) != "-":
        yield path or Path()
        return
    if sys.stdin.isatty():
        raise InputError("got - and a terminal as standard input; pipe rows into the command")
    text = sys.stdin.read()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ("stdin.json" if text.lstrip().startswith("[") else "stdin.jsonl")
        file.write_text(text, encoding="utf-8", errors="replace")
        yield file
