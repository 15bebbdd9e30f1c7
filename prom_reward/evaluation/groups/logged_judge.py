"""A judge's earlier judgments as a judge: the file of `prom-reward grade --out`, or a reward's judgment log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prom_reward.data.formats import RowFormat
from prom_reward.data.labels.judged_rows import judged_example
from prom_reward.data.rows import BrokenRow, read_rows
from prom_reward.errors import InputError
from prom_reward.judging.base import Judge
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import GradingRequest, Judgment, Outcome

_Key = tuple[str, str, str | None, str]


class LoggedJudge(Judge):
    """Answers with the judgment that a file has for the same texts under the same rubric; the last one wins.

    A rubric is known by its name, and by its digest if the file has one.

    Args:
        path: The file.
        columns: Columns of graded rows whose names say nothing, by role, as `--column` gave them to `grade`.

    Raises:
        InputError: The file cannot be read, or a line is no judgment.
    """

    reads_checklists = True

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        self.name = path.stem
        self._path = path
        self._judgments: dict[_Key, dict[str, Judgment]] = {}
        """By the digest of the rubric, empty if the file does not tell."""
        row_format = RowFormat(columns=dict(columns or {}))
        for row in read_rows(path):
            if isinstance(row, BrokenRow):
                raise InputError(f"{path}: {row.place}: {row.problem}")
            try:
                digest = str(row.values.get("rubric_digest") or "")
                found = self._judgments.setdefault(_key(row.values, row_format), {})
                found[digest] = Judgment.from_dict(row.values)
            except InputError as error:
                raise InputError(f"{path}: {row.place}: {error}; expected the file of `prom-reward grade`") from error

    @property
    def fingerprint(self) -> str:
        """The file's name."""
        return f"logged:{self._path.name}"

    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Return the logged judgments; an answer that the file has not is ENGINE_FAILED."""
        missing = Judgment(outcome=Outcome.ENGINE_FAILED, error=f"{self._path} has no judgment of this answer")
        return [self._found(one) or missing for one in requests]

    def check_has(self, requests: Sequence[GradingRequest]) -> None:
        """Raise InputError if the file lacks an answer: its group would be left out of every figure."""
        num_known = sum(self._found(one) is not None for one in requests)
        if num_known < len(requests):
            raise InputError(
                f"{self._path}: got judgments of {num_known} of {len(requests)} answers; expected all: grade the same "
                "rows with `prom-reward grade ROWS --out FILE`"
            )

    def _found(self, request: GradingRequest) -> Judgment | None:
        found = self._judgments.get(_request_key(request), {})
        return found.get(rubric_digest(request.rubric), found.get(""))


def is_logged(judge: str | None) -> bool:
    """Whether a judge is named by a file of judgments."""
    return judge is not None and judge.lower().endswith(".jsonl")


def _request_key(request: GradingRequest) -> _Key:
    return request.instruction, request.response, request.reference_answer, request.rubric.name


def _key(values: Mapping[str, Any], row_format: RowFormat) -> _Key:
    example = judged_example(values, row_format)
    [(instruction, response)] = example.texts()
    return instruction, response, example.reference_answer, str(values.get("rubric_name", values.get("rubric")))
