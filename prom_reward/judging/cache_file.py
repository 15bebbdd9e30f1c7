"""An SQLite file of texts by key, safe for several processes and bounded in size.

A fault of the file never stops the work: a damaged file is moved aside and replaced, with a warning; a file that cannot
be used causes one warning.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from prom_reward.errors import InputError
from prom_reward.files import home_expanded

logger = logging.getLogger(__name__)

_APPLICATION_ID = 0x70726A63  # "prjc": marks a file as this program's
# SQLite has no checksums of its own: a flipped bit would change a judgment in silence.
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (key BLOB NOT NULL UNIQUE, value TEXT NOT NULL, checksum INTEGER NOT NULL)"
)
_BUSY_S = 30.0
_KEYS_A_QUERY = 500
_EVICTED_SHARE = 8  # an eighth at once, so that it is rare


class CacheFile:
    """Texts by key in an SQLite file; the oldest go first if it grows too large.

    It pickles as its path, and opens the file at the first use in each process.

    Args:
        path: The file, on a disk of this machine (not on NFS); its folder must exist.
        max_bytes: The largest size of its contents.

    Raises:
        InputError: The folder does not exist, or the file is another program's database.
    """

    def __init__(self, path: str | Path, *, max_bytes: int) -> None:
        self.path = home_expanded(path).absolute()
        self.max_bytes = max_bytes
        if not self.path.parent.is_dir() or self.path.is_dir():
            raise InputError(f"{path}: not a place for a judgment cache; give a file in a folder that exists")
        self._reset()
        self._guarded(lambda connection: None)

    def __getstate__(self) -> tuple[Path, int]:
        return self.path, self.max_bytes

    def __setstate__(self, state: tuple[Path, int]) -> None:
        self.path, self.max_bytes = state
        self._reset()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return the texts of those keys that the file has."""
        found: dict[bytes, str] = {}

        def read(connection: sqlite3.Connection) -> None:
            found.clear()
            for start in range(0, len(keys), _KEYS_A_QUERY):
                part = keys[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, value, checksum FROM entries WHERE key IN ({marks})"  # noqa: S608  # marks alone
                found.update(_sound(connection.execute(query, part)))

        return found if self._guarded(read) else {}

    def put(self, entries: Mapping[bytes, str]) -> None:
        """Keep texts; a key that the file has stays as it is."""

        def write(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                rows = [(key, value, _checksum(key, value)) for key, value in entries.items()]
                connection.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?)", rows)
                self._evict(connection)

        self._guarded(write)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._close()

    def _evict(self, connection: sqlite3.Connection) -> None:
        """Delete the oldest entries while the contents are too large; their pages are used again."""
        while self._used_bytes(connection) > self.max_bytes:
            (count,) = connection.execute("SELECT COUNT(*) FROM entries").fetchone()
            if count == 0:
                return
            connection.execute(
                "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries ORDER BY rowid LIMIT ?)",
                (max(1, count // _EVICTED_SHARE),),
            )

    @staticmethod
    def _used_bytes(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._has_complained = False

    def _guarded(self, work: Callable[[sqlite3.Connection], None]) -> bool:
        """Run `work` on the file, and once more on a new file if it is damaged; return whether it was done."""
        with self._lock:
            for _ in range(2):
                try:
                    work(self._opened())
                except sqlite3.OperationalError as error:  # locked, full, read-only: the contents are sound
                    self._close()
                    if not self._has_complained:
                        logger.warning("%s: the judgment cache cannot be used (%s)", self.path, error)
                    self._has_complained = True
                    return False
                except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                    self._move_aside(error)
                else:
                    return True
            return False

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():  # a connection must not cross a fork
            self._connection = self._open()
            self._pid = os.getpid()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._check_owner(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with _transaction(connection):
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_owner(self, connection: sqlite3.Connection) -> None:
        # One query is one snapshot: another process may be creating the file just now.
        query = "SELECT application_id, (SELECT COUNT(*) FROM sqlite_master) FROM pragma_application_id"
        owner, tables = connection.execute(query).fetchone()
        if tables and owner != _APPLICATION_ID:
            raise InputError(
                f"{self.path}: this is another program's database, not a judgment cache; give another path"
            )

    def _move_aside(self, error: Exception) -> None:
        """Rename a damaged file, unless another process has already replaced it."""
        import fcntl

        self._close()
        with self.path.with_name(f"{self.path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._is_sound():
                return
            aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
            logger.warning(
                "%s: the judgment cache is damaged (%s); moved to %s and replaced by an empty one",
                self.path,
                error,
                aside,
            )

    def _is_sound(self) -> bool:
        try:
            with contextlib.closing(self._open()) as connection:
                for _ in _sound(connection.execute("SELECT key, value, checksum FROM entries")):
                    pass
            return True
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False

    def _close(self) -> None:
        if self._connection is not None and self._pid == os.getpid():
            self._connection.close()
        self._connection = None


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _sound(rows: Iterable[tuple[bytes, str, int]]) -> Iterator[tuple[bytes, str]]:
    """Return keys and values, and fail on a wrong checksum."""
    for key, value, checksum in rows:
        if _checksum(key, value) != checksum:
            raise sqlite3.DatabaseError("an entry's checksum is wrong")
        yield key, value


def _checksum(key: bytes, value: str) -> int:
    return zlib.crc32(value.encode("utf-8", "surrogatepass"), zlib.crc32(key))
