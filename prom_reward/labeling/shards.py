"""The folder of a labeling: shards of answers, each whole or absent, and the files that are made of them.

It does not know judges or what rows mean. A shard holds the answers to the requests that first appear in a fixed
run of rows, and is named by that run: its file appears by one rename, after its bytes are on the disk. So a
process that is killed leaves whole shards and at most a `.tmp` file that nothing reads.
"""

import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError, WorkError
from prom_reward.files import write_lines

Answers = Mapping[str, Mapping[str, Any]]

_SHARD_NAME = re.compile(r"(?P<start>[0-9]{9,18})-(?P<end>[0-9]{9,18})\.jsonl")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)  # not what was written here


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The answers of a run of rows."""

    start: int
    """The first row, counted from 0."""
    num_rows: int
    """Rows of the run."""
    rows_digest: str
    """A digest of the rows' content, to tell whether the input is still the same."""
    answers: Answers = field(repr=False)
    """JSON answers by request key: of the requests that no earlier shard holds."""

    @property
    def end(self) -> int:
        """The row behind the last."""
        return self.start + self.num_rows

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.start:09d}-{self.end:09d}.jsonl"


class LabelFolder:
    """A folder with a labeling.

    Args:
        path: The folder; made where it does not exist.

    Raises:
        InputError: It cannot be made or written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._shards.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be made ({error.strerror}); give an --out in a writable folder"
            ) from error

    @property
    def labels(self) -> Path:
        """The labeled rows."""
        return self.path / "labels.jsonl"

    @property
    def problems(self) -> Path:
        """The rows that could not be labeled, with what is wrong."""
        return self.path / "problems.jsonl"

    @property
    def manifest(self) -> Path:
        """What was asked for, and of which judge."""
        return self.path / "manifest.json"

    @property
    def scratch(self) -> Path:
        """A folder for what a run needs while it is at work."""
        return self.path / "scratch"

    @property
    def _shards(self) -> Path:
        return self.path / "shards"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs out of the folder; the system takes the lock back when the process ends, however it ends.

        Raises:
            WorkError: Another run is at work in it.
        """
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise WorkError(
                    f"{self.path}: another run labels into this folder; wait for it, or give another --out"
                ) from error
            yield

    def starts(self) -> dict[int, int]:
        """Return the number of rows of every shard, by its first row, in order."""
        names = (_SHARD_NAME.fullmatch(path.name) for path in sorted(self._shards.glob("*.jsonl")))
        return {int(name["start"]): int(name["end"]) - int(name["start"]) for name in names if name}

    def commit(self, shard: Shard) -> None:
        """Write a shard, whole or not at all.

        Raises:
            WorkError: The disk is full, or cannot be written.
        """
        head = {"start": shard.start, "rows": shard.num_rows, "digest": shard.rows_digest}
        answers = ({"key": key, **shard.answers[key]} for key in shard.answers)
        write_lines(self._shards / shard.name, [head, *answers])

    def read(self, start: int, num_rows: int) -> Shard:
        """Return a shard.

        Raises:
            WorkError: Its file cannot be read: something else than this package wrote it.
        """
        path = self._shards / f"{start:09d}-{start + num_rows:09d}.jsonl"
        try:
            with path.open(encoding="utf-8") as file:
                head, *lines = map(json.loads, file)
            answers = {line.pop("key"): line for line in lines}
            return Shard(start=start, num_rows=num_rows, rows_digest=head["digest"], answers=answers)
        except _UNREADABLE as error:
            raise WorkError(
                f"{path}: not a shard of labels ({error}); delete it to have its rows judged again"
            ) from error

    def digest(self, start: int, num_rows: int) -> str:
        """Return the digest of a shard's rows, without reading its answers."""
        path = self._shards / f"{start:09d}-{start + num_rows:09d}.jsonl"
        try:
            with path.open(encoding="utf-8") as file:
                return str(json.loads(file.readline())["digest"])
        except _UNREADABLE as error:
            raise WorkError(
                f"{path}: not a shard of labels ({error}); delete it to have its rows judged again"
            ) from error

    def forget(self, outcome: str) -> int:
        """Delete the shards that hold an answer with this outcome, and return how many there were."""
        found = 0
        for start, num_rows in self.starts().items():
            shard = self.read(start, num_rows)
            if any(answer["outcome"] == outcome for answer in shard.answers.values()):
                (self._shards / shard.name).unlink()
                found += 1
        return found
