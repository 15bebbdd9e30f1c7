"""The folder of a labeling: shards of answers, each whole or absent, and the files made of them.

A shard holds the answers to the requests that first appear in a fixed range of rows, and is named by that range. Its
file appears by one rename, after its bytes are on the disk: a killed process leaves whole shards, and at most a `.tmp`
file that the next run deletes.
"""

import fcntl
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from prom_reward.errors import InputError, RowError, WorkError
from prom_reward.files import home_expanded, leftovers, write_lines
from prom_reward.labeling.requests import Answers, answer_from_json
from prom_reward.types import JudgeAnswer, JudgeRequest, Judgment, Outcome

_SHARD_NAME = re.compile(r"(?P<start>[0-9]{9,18})-(?P<end>[0-9]{9,18})\.jsonl")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, RowError)  # not written here


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A range of rows with the requests that belong to it."""

    start: int
    """The first row, counted from 0."""
    num_rows: int
    """Rows of the range."""
    rows_digest: str
    """A digest of the rows' content, which tells whether the input is still the same."""
    requests: Mapping[str, JudgeRequest] = field(repr=False)
    """The requests that no earlier shard has, by key."""


def check_overwrites_nothing(out: str | Path, names: Iterable[str], source: str | Path) -> None:
    """Refuse a folder in which files would be overwritten that no labeling wrote.

    Args:
        out: The folder.
        names: The files that will be written there.
        source: The input, which is never overwritten.

    Raises:
        InputError: One of the files is the input, or there is one and no labeling.
    """
    folder = home_expanded(out)
    for path in (folder / name for name in names):
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise InputError(f"{path}: got the input file as output; give another --out")
        if path.exists() and not (folder / "manifest.json").exists():
            raise InputError(f"{path}: the file exists and no labeling wrote it; give another --out")


class LabelFolder:
    """A folder with a labeling.

    Args:
        path: The folder; made if it does not exist.

    Raises:
        InputError: It cannot be made or written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = home_expanded(path)
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
        """The rows that were left out, each with the reason."""
        return self.path / "problems.jsonl"

    @property
    def manifest(self) -> Path:
        """The options and the judge of the labeling."""
        return self.path / "manifest.json"

    @property
    def scratch(self) -> Path:
        """A folder for temporary files of a run."""
        return self.path / "scratch"

    @property
    def _shards(self) -> Path:
        return self.path / "shards"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs out of the folder; the system releases the lock when the process ends, however it ends.

        Raises:
            WorkError: Another run works in it.
        """
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise WorkError(
                    f"{self.path}: another run labels into this folder; wait for it, or give another --out"
                ) from error
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Delete what killed runs left."""
        own = (leftovers(self.path, path.name) for path in (self.labels, self.problems, self.manifest))
        for path in chain(leftovers(self._shards), *own):
            path.unlink(missing_ok=True)

    def starts(self) -> dict[int, int]:
        """Return the number of rows of every shard, by its first row, in order."""
        names = (_SHARD_NAME.fullmatch(path.name) for path in sorted(self._shards.glob("*.jsonl")))
        return {int(name["start"]): int(name["end"]) - int(name["start"]) for name in names if name}

    def commit(self, shard: Shard, answers: Answers) -> None:
        """Write the answers of a shard, all or none.

        Raises:
            WorkError: The disk is full, or cannot be written.
        """
        head = {"start": shard.start, "rows": shard.num_rows, "digest": shard.rows_digest}
        lines = ({"key": key, **answer.to_dict()} for key, answer in answers.items())
        write_lines(self._file(shard.start, shard.num_rows), [head, *lines])

    def answers(self, start: int, num_rows: int) -> Answers:
        """Return the answers of a shard.

        Raises:
            WorkError: Its file cannot be read, so something else than this package wrote it.
        """
        path = self._file(start, num_rows)
        try:
            with path.open(encoding="utf-8") as file:
                _, *lines = map(json.loads, file)
            return {line["key"]: answer_from_json(line) for line in lines}
        except _UNREADABLE as error:
            raise _damaged(path, error) from error

    def digest(self, start: int, num_rows: int) -> str:
        """Return the digest of a shard's rows, without reading its answers.

        Raises:
            WorkError: As `answers`.
        """
        path = self._file(start, num_rows)
        try:
            with path.open(encoding="utf-8") as file:
                return str(json.loads(file.readline())["digest"])
        except _UNREADABLE as error:
            raise _damaged(path, error) from error

    def forget_failed(self) -> None:
        """Delete the shards with an answer on which an engine failed, wholly or in part."""
        for start, num_rows in self.starts().items():
            answers = self.answers(start, num_rows).values()
            if any(map(_has_failed, answers)):
                self._file(start, num_rows).unlink()

    def _file(self, start: int, num_rows: int) -> Path:
        return self._shards / f"{start:09d}-{start + num_rows:09d}.jsonl"


def _has_failed(answer: JudgeAnswer) -> bool:
    """Whether an engine failed on an answer, on one of its samples, or as the strong judge of a cascade."""
    flags = answer.flags if isinstance(answer, Judgment) else (*answer.flags_a, *answer.flags_b)
    return answer.outcome is Outcome.ENGINE_FAILED or (answer.is_scored and answer.error is not None and not flags)


def _damaged(path: Path, error: Exception) -> WorkError:
    return WorkError(f"{path}: not a shard of labels ({error}); delete it to have its rows judged again")
