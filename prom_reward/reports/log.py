"""Reads the JSONL log that `PrometheusReward(log_path=...)` writes, with those of a distributed run's other ranks."""

import glob
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from prom_reward.errors import InputError

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Raised by records that this package did not write."""
_T = TypeVar("_T")


def log_files(path: Path) -> list[Path]:
    """Return the logs of all ranks, that of rank 0 first."""
    return [path, *sorted(path.parent.glob(f"{glob.escape(path.stem)}.rank*{glob.escape(path.suffix)}"))]


def read_log(path: Path, convert: Callable[[Mapping[str, Any], int], _T], missing: list[str]) -> Iterator[_T]:
    """Yield what each record becomes.

    Args:
        path: The log of rank 0.
        convert: Takes a record and its rank; raises one of UNREADABLE if it is no judgment's.
        missing: Gets a line about a last record that was cut off.

    Raises:
        InputError: A file cannot be read, or holds something else.
    """
    for rank, log in enumerate(log_files(path)):
        number = 0
        try:
            with log.open(encoding="utf-8") as file:
                for line in file:
                    number += 1
                    if not line.strip():
                        continue
                    try:
                        record = json.loads(line)
                    except ValueError:
                        if line.endswith("\n"):
                            raise
                        missing.append(f"the last line of {log.name}: its writing was cut off")
                        continue
                    converted = convert(record, rank)
                    yield converted
        except (OSError, *UNREADABLE) as error:
            problem = f"no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
            raise InputError(
                f"{log}: not a judgment log (line {number}: {problem}); expected the file of "
                "PrometheusReward(log_path=...) or GroupReward(log_path=...), or a folder of `prom-reward label`"
            ) from error
