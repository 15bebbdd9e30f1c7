"""Follows a judgment log that is being written, and the logs of other ranks beside it."""

import json
from pathlib import Path

from prom_reward.errors import InputError
from prom_reward.explorer.judged import Judged
from prom_reward.reports.judgments import logged_judgment
from prom_reward.reports.log import UNREADABLE, log_files
from prom_reward.reports.selection import MAX_SHOWN, whole_groups

_QUIET_POLLS = 3  # without a new line, before a step counts as finished


class LogTail:
    """Returns what was appended since the last look, a step at a time, so that its groups are whole.

    A step is finished when a judgment of a later one is there, or when nothing was appended for some looks.

    Args:
        path: The log of rank 0, which may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[Path, int] = {}
        self._waiting: list[Judged] = []
        self._quiet = 0

    def poll(self) -> list[Judged]:
        """Return the judgments of finished steps that were not returned yet; of very many at once whole groups.

        Raises:
            InputError: A line is no judgment's, or the log became shorter.
        """
        new = [one for rank, log in enumerate(log_files(self._path)) if log.exists() for one in self._read(log, rank)]
        self._waiting += new
        self._quiet = 0 if new else self._quiet + 1
        last = max((one.row for one in self._waiting), default=0)
        is_over = self._quiet >= _QUIET_POLLS
        finished = [one for one in self._waiting if is_over or one.row < last]
        self._waiting = [] if is_over else [one for one in self._waiting if one.row >= last]
        return whole_groups(finished, MAX_SHOWN)

    def _read(self, log: Path, rank: int) -> list[Judged]:
        place = self._places.get(log, 0)
        if log.stat().st_size < place:
            raise InputError(f"{log}: became shorter while it was watched; reload the page")
        with log.open("rb") as file:
            file.seek(place)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._places[log] = place + len(whole)
        try:
            records = [json.loads(line) for line in whole.splitlines() if line.strip()]
            return [logged_judgment(record, rank) for record in records if record.get("mode") != "eval"]
        except UNREADABLE as error:
            raise InputError(f"{log}: not a judgment log ({type(error).__name__}: {error})") from error
