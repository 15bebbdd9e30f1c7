"""Cuts rows into shards, and finds in each the requests that no earlier shard has.

It does not know judges. The plan depends on the rows and the options alone, never on which process is faster:
a shard takes a fixed number of rows in the order of the input, except that the last one of an input ends with it,
and rows that are appended later begin a new one. A request belongs to the first shard in which it appears.
"""

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from prom_reward.data.formats import Example, Kind, RowFormat
from prom_reward.data.rows import BrokenRow, Row, RowIterator
from prom_reward.errors import InputError
from prom_reward.labeling.requests import Request, request_key
from prom_reward.types import ComparisonRequest, GradingRequest, Rubric


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked about every row."""

    kind: Kind
    """What the rows are."""
    row_format: RowFormat
    """How they are read."""
    rubrics: tuple[Rubric, ...]
    """For rows without a rubric."""
    grades: bool
    """Whether every response is graded."""
    ranks: bool
    """Whether the two sides of a pair are compared, in both orders."""

    def plan(self, row: Row | BrokenRow) -> "PlannedRow":
        """Return what has to be asked about a row, or what is wrong with it."""
        if isinstance(row, BrokenRow):
            return PlannedRow(row=row, problem=row.problem)
        try:
            example = self.row_format.example(row.values)
            if example.kind != self.kind:
                raise InputError(f"got a row of another kind ({example.kind}) than the first ones ({self.kind})")
            grading = example.requests(self.rubrics)
        except InputError as error:
            return PlannedRow(row=row, problem=str(error))
        comparing = _comparisons(*grading) if self.ranks else []
        return PlannedRow(row=row, example=example, grading=grading, comparing=comparing, grades=self.grades)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """A row with its requests."""

    row: Row | BrokenRow
    """The row."""
    problem: str | None = None
    """Why it cannot be labeled; None where it can."""
    example: Example | None = None
    """What it holds."""
    grading: list[list[GradingRequest]] | None = None
    """For each response one request per rubric."""
    comparing: list[tuple[ComparisonRequest, ComparisonRequest]] | None = None
    """For each rubric the comparison in both orders, where that was asked for."""
    grades: bool = True
    """Whether the grading requests are asked, or only tell the rubrics."""

    def requests(self) -> Iterator[Request]:
        """Yield everything that has to be asked."""
        if self.grades:
            for requests in self.grading or ():
                yield from requests
        for orders in self.comparing or ():
            yield from orders


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedShard:
    """A run of rows with the requests that belong to it."""

    start: int
    """The first row, counted from 0."""
    num_rows: int
    """Rows of the run."""
    rows_digest: str
    """A digest of the rows' content."""
    requests: Mapping[str, Request]
    """The requests that no earlier shard has, by key."""


class RequestIndex:
    """Which shard a request belongs to, on disk, so that memory does not grow with the input.

    Args:
        path: A scratch file, made anew.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE request (key TEXT PRIMARY KEY, start INTEGER) WITHOUT ROWID",
            "CREATE TABLE id (name TEXT PRIMARY KEY) WITHOUT ROWID",
            "BEGIN",
        ):
            self._connection.execute(statement)

    def claim(self, key: str, start: int) -> int:
        """Give a request to a shard, unless an earlier one has it; return the one that has it."""
        taken = self._connection.execute("INSERT OR IGNORE INTO request VALUES (?, ?)", (key, start)).rowcount
        return start if taken else self.owner(key)

    def is_new(self, key: str) -> bool:
        """Whether a request was not asked before, which it then is."""
        return bool(self._connection.execute("INSERT OR IGNORE INTO request VALUES (?, 0)", (key,)).rowcount)

    def owner(self, key: str) -> int:
        """Return the shard that a request belongs to."""
        [start] = self._connection.execute("SELECT start FROM request WHERE key = ?", (key,)).fetchone()
        return int(start)

    def is_new_id(self, name: str) -> bool:
        """Whether no row before had this id."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return bool(self._connection.execute("INSERT OR IGNORE INTO id VALUES (?)", (digest,)).rowcount)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def cut_rows(rows: RowIterator, done: Mapping[int, int], size: int) -> Iterator[tuple[int, list[Row | BrokenRow]]]:
    """Yield runs of rows with their first row's number: finished shards as they are, the rest in runs of `size`.

    Args:
        rows: The rows from the first on.
        done: Rows of the shards that exist, by their first row.
        size: Rows of a shard.
    """
    start = 0
    ahead = deque(sorted(done))
    while True:
        while ahead and ahead[0] < start:
            ahead.popleft()
        gap = ahead[0] - start if ahead else size
        run = list(islice(rows, done.get(start) or min(size, gap)))
        if not run:
            return
        yield start, run
        start += len(run)


def digest_rows(rows: list[Row | BrokenRow]) -> str:
    """Return a digest of rows' content."""
    digest = hashlib.sha256()
    for row in rows:
        content: Any = row.values if isinstance(row, Row) else [row.problem]
        digest.update(json.dumps(content, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:32]


def plan_shard(
    planned: list[PlannedRow], start: int, index: RequestIndex, *, on_repeated_id: Callable[[PlannedRow], None]
) -> PlannedShard:
    """Return a shard with the requests that belong to it."""
    requests: dict[str, Request] = {}
    for one in planned:
        if one.example is not None and one.example.id is not None and not index.is_new_id(one.example.id):
            on_repeated_id(one)
        for request in one.requests():
            key = request_key(request)
            if index.claim(key, start) == start:
                requests.setdefault(key, request)
    digest = digest_rows([one.row for one in planned])
    return PlannedShard(start=start, num_rows=len(planned), rows_digest=digest, requests=requests)


def _comparisons(
    chosen: list[GradingRequest], rejected: list[GradingRequest]
) -> list[tuple[ComparisonRequest, ComparisonRequest]]:
    orders = []
    for one, other in zip(chosen, rejected, strict=True):
        request = ComparisonRequest(
            instruction=one.instruction,
            response_a=one.response,
            response_b=other.response,
            rubric=one.rubric,
            reference_answer=one.reference_answer,
        )
        orders.append((request, request.swapped()))
    return orders
