"""An append-only JSONL log of every judgment that became a reward.

It does not know trainers; a rank other than the first writes a file of its own beside the first one's.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.types import GradingRequest, Judgment


class JudgmentLog:
    """Appends one JSON line a judgment.

    Args:
        path: The file; its folder must exist. Rank 1 of a distributed run writes `name.rank1.jsonl`.

    Raises:
        InputError: The file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._given = Path(path)
        self.append([])  # fail now, not after the first batch was judged

    @property
    def path(self) -> Path:
        """The file that this process writes."""
        rank = os.environ.get("RANK", "0")
        return (
            self._given
            if rank == "0" or not rank.isdecimal()
            else self._given.with_suffix(f".rank{rank}{self._given.suffix}")
        )

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records as one block, so that a reader never sees half of a batch."""
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        try:
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(lines)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot write the judgment log ({error.strerror}); give a path in a writable folder"
            ) from error


def judgment_record(request: GradingRequest, judgment: Judgment) -> dict[str, Any]:
    """Return the JSON fields of one judgment: what was judged, and what came of it."""
    return {
        "instruction": request.instruction,
        "response": request.response,
        "reference_answer": request.reference_answer,
        "rubric": request.rubric.name,
        **judgment.to_dict(),
    }
