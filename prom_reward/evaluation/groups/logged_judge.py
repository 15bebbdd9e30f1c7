"""A judge's earlier judgments as a judge: the file of `prom-reward grade --out`, or a reward's judgment log."""

import logging
from collections.abc import Collection, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from prom_reward.data.formats import RowFormat
from prom_reward.data.labels.judged_rows import judged_example
from prom_reward.data.rows import BrokenRow, read_rows
from prom_reward.errors import InputError, number_of
from prom_reward.judging.base import Judge
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import GradingRequest, Judgment, Outcome

_Key = tuple[str, str, str | None, str]
_ROUNDING = 0.05  # on the rubric's scale: what batches of other sizes make of one answer in bf16

logger = logging.getLogger(__name__)


class LoggedJudge(Judge):
    """Answers with the judgment that a file has for the same texts under the same rubric.

    A rubric is known by its name, and by its digest if the file has one. Of several judgments of an answer, as of one
    that was sampled twice, the last one counts; a warning tells how many differ.

    Args:
        path: The file.
        columns: Columns of graded rows whose names say nothing, by role, as `--column` gave them to `grade`.

    Raises:
        InputError: The file cannot be read, a line is no judgment, or two judges differ on an answer.
    """

    reads_checklists = True

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        self.name = path.stem
        self._path = path
        self._judgments: dict[_Key, dict[str, Judgment]] = {}
        """By the digest of the rubric, empty if the file does not tell."""
        row_format = RowFormat(columns=dict(columns or {}))
        gaps: list[float] = []
        places: list[str] = []
        judges: set[str] = set()
        for row in read_rows(path):
            if isinstance(row, BrokenRow):
                raise InputError(f"{path}: {row.place}: {row.problem}")
            try:
                digest = str(row.values.get("rubric_digest") or "")
                found = self._judgments.setdefault(_key(row.values, row_format), {})
                judgment = Judgment.from_dict(row.values)
            except InputError as error:
                raise InputError(f"{path}: {row.place}: {error}; expected the file of `prom-reward grade`") from error
            if digest in found and (gap := _gap(found[digest], judgment)):
                gaps.append(gap)
                places.append(row.place)
            found[digest] = judgment
            judges.add(str(row.values.get("judge") or ""))
        self._check_gaps(gaps, places, judges - {""})

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

    def _check_gaps(self, gaps: Sequence[float], places: Sequence[str], judges: Collection[str]) -> None:
        """Refuse two judges that differ on an answer; warn of a judge that differs with itself."""
        if not gaps:
            return
        told = (
            f"{self._path}: {number_of(len(gaps), 'judgment')} of an answer that differs from an earlier one of it, "
            f"the first in {places[0]}, {_apart(max(gaps))}"
        )
        if len(judges) > 1:
            raise InputError(f"{told}; got the judges {' and '.join(sorted(judges))}, expected one in each file")
        logger.warning("%s; the last one counts: leave out the others", told)

    def _found(self, request: GradingRequest) -> Judgment | None:
        found = self._judgments.get(_request_key(request), {})
        return found.get(rubric_digest(request.rubric), found.get(""))


def _apart(gap: float) -> str:
    return "one of them without a score" if gap == inf else f"up to {gap:.2f} apart"


def _gap(one: Judgment, other: Judgment) -> float:
    """Return how far two judgments lie apart, infinite if only one has a score; what rounding makes is nothing."""
    scores = [one.expected_score, other.expected_score]
    known = [score for score in scores if score is not None]
    if len(known) < 2:
        return inf if known else 0.0
    gap = abs(known[0] - known[1])
    return gap if gap > _ROUNDING else 0.0


def is_logged(judge: str | None) -> bool:
    """Whether a judge is named by a file of judgments."""
    return judge is not None and judge.lower().endswith(".jsonl")


def _request_key(request: GradingRequest) -> _Key:
    return request.instruction, request.response, request.reference_answer, request.rubric.name


def _key(values: Mapping[str, Any], row_format: RowFormat) -> _Key:
    example = judged_example(values, row_format)
    [(instruction, response)] = example.texts()
    return instruction, response, example.reference_answer, str(values.get("rubric_name", values.get("rubric")))
