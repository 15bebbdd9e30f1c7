"""Cuts rows into shards, and finds in each the requests that no earlier shard has.

The plan depends on the rows and the options alone, never on which process is faster: a shard takes a fixed number of
rows in the order of the input, the last one what is left, and rows that are appended later begin a new shard. A request
belongs to the first shard in which it appears.
"""

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from prom_reward.data.rows import BrokenRow, Row, RowIterator
from prom_reward.labeling.requests import request_key
from prom_reward.labeling.shards import Shard
from prom_reward.labeling.task import PlannedRow
from prom_reward.types import JudgeRequest


class RequestIndex:
    """Maps each request to its shard, on disk, so that memory does not grow with the input.

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

    def claim(self, key: str, start: int) -> bool:
        """Give a request to a shard unless another one has it; return whether this one has it now."""
        taken = self._connection.execute("INSERT OR IGNORE INTO request VALUES (?, ?)", (key, start)).rowcount
        return bool(taken) or self.owner(key) == start

    def is_new(self, key: str) -> bool:
        """Return whether a request is asked for the first time."""
        return bool(self._connection.execute("INSERT OR IGNORE INTO request VALUES (?, 0)", (key,)).rowcount)

    def owner(self, key: str) -> int:
        """Return the shard that a request belongs to."""
        [start] = self._connection.execute("SELECT start FROM request WHERE key = ?", (key,)).fetchone()
        return int(start)

    def is_new_id(self, name: str) -> bool:
        """Return whether no earlier row has this id."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return bool(self._connection.execute("INSERT OR IGNORE INTO id VALUES (?)", (digest,)).rowcount)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def cut_rows(rows: RowIterator, done: Mapping[int, int], size: int) -> Iterator[tuple[int, list[Row | BrokenRow]]]:
    """Yield ranges of rows with the number of their first row: finished shards as they are, the rest in new ones.

    Args:
        rows: The rows from the first on.
        done: The number of rows of each finished shard, by its first row.
        size: Rows of a new shard.
    """
    start = 0
    ahead = deque(sorted(done))
    while True:
        while ahead and ahead[0] < start:
            ahead.popleft()
        gap = ahead[0] - start if ahead else size
        part = list(islice(rows, done.get(start) or min(size, gap)))
        if not part:
            return
        yield start, part
        start += len(part)


def digest_rows(rows: list[Row | BrokenRow]) -> str:
    """Return a digest of the rows' content."""
    digest = hashlib.sha256()
    for row in rows:
        content: Any = row.values if isinstance(row, Row) else [row.problem]
        digest.update(json.dumps(content, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:32]


def plan_shard(planned: list[PlannedRow], start: int, index: RequestIndex) -> Shard:
    """Return a shard with the requests that belong to it."""
    requests: dict[str, JudgeRequest] = {}
    for request in (request for one in planned for request in one.requests()):
        key = request_key(request)
        if index.claim(key, start):
            requests.setdefault(key, request)
    digest = digest_rows([one.row for one in planned])
    return Shard(start=start, num_rows=len(planned), rows_digest=digest, requests=requests)
