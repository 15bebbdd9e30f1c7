"""An append-only JSONL log of all judgments of a reward."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from prom_reward.errors import InputError
from prom_reward.files import check_json_lines_name, home_expanded
from prom_reward.rewards.batch import JudgedBatch
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import GradingRequest, Judgment

_BLOCK_BYTES = 1 << 20


class JudgmentLog:
    """Appends one JSON line per judgment.

    Args:
        path: The file; its folder is created. Rank 1 of a distributed run writes `name.rank1.jsonl`.

    Raises:
        InputError: The file cannot be written, or its name says another format.
    """

    def __init__(self, path: str | Path) -> None:
        self._given = home_expanded(path)
        check_json_lines_name(self._given)
        self.append([])  # fail now and not after the first batch
        _end_last_line(self.path)

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
        """Write records as one block, so that no reader sees half of a batch."""
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(lines)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot write the judgment log ({error.strerror}); give a path in a writable folder"
            ) from error


def _end_last_line(path: Path) -> None:
    """End a log's last line if a killed run left it unfinished; a record of which a part is missing is cut off."""
    with path.open("rb+") as file:
        start = end = file.seek(0, os.SEEK_END)
        tail = b""
        while start and b"\n" not in tail:
            start = max(0, start - _BLOCK_BYTES)
            file.seek(start)
            tail = file.read(end - start)
        tail = tail.rpartition(b"\n")[2]
        if not tail:
            return
        try:
            json.loads(tail)
        except ValueError:
            if tail.startswith(b"{"):  # only what this class wrote
                file.truncate(end - len(tail))
                return
        file.seek(end)
        file.write(b"\n")


def judgment_record(request: GradingRequest, judgment: Judgment) -> dict[str, Any]:
    """Return the JSON fields of one judgment and its request."""
    return {
        "instruction": request.instruction,
        "response": request.response,
        "reference_answer": request.reference_answer,
        "rubric": request.rubric.name,
        "rubric_digest": rubric_digest(request.rubric),
        **judgment.to_dict(),
    }


def batch_records(
    batch: JudgedBatch, *, step: int | None, mode: str | None, columns: Mapping[str, Sequence[object]]
) -> Iterator[dict[str, Any]]:
    """Return the records of a batch's judgments; without a step each has the name of its call.

    Args:
        batch: The judged batch.
        step: The trainer's step, if it tells.
        mode: "train" or "eval", if the trainer tells.
        columns: More fields, with one value per judgment; None values are left out, and so are names of the log's own.
    """
    number = count()
    call = {"call": uuid4().hex[:8]} if step is None else {}
    for row, (requests, judgments, reward) in enumerate(batch.rows()):
        for request, judgment in zip(requests, judgments, strict=True):
            at = next(number)
            found = {name: values[at] for name, values in columns.items() if values[at] is not None}
            yield {
                **found,
                "step": step,
                **call,
                "mode": mode,
                "row": row,
                "judge": batch.judge.name,
                **judgment_record(request, judgment),
                "weight": request.rubric.weight,
                "reward": reward,
            }
