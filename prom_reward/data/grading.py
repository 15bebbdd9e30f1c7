"""Rows become grading requests, and judgments become rows again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from prom_reward.data.escaping import escaped
from prom_reward.data.formats import KINDS, RowFormat
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.errors import InputError, RowError
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import grade_requests
from prom_reward.rubrics.reading import AnyRubric, rubric_digest
from prom_reward.types import GradingRequest, Judgment

GRADED_COLUMNS = frozenset(
    {
        *("rubric_name", "rubric_digest", "rubric_weight", "unit_score", "judgments"),
        *(field.name for field in fields(Judgment)),
    }
)
"""The columns of a response's judgment, of `grade` or of `label`; one of the input with such a name is escaped."""

PLAIN = RowFormat(columns={}, kinds=("response",))
"""Reads rows by the known column names alone."""


def row_requests(
    values: Mapping[str, Any],
    default_rubrics: tuple[AnyRubric, ...],
    row_format: RowFormat = PLAIN,
    recognition: Recognition | None = None,
    place: str = "",
) -> list[GradingRequest]:
    """Return one request per rubric of a row with one response.

    Args:
        values: A row in any layout of `prom_reward.data.formats`.
        default_rubrics: For rows without a rubric.
        row_format: Names columns whose names say nothing.
        recognition: Takes in the columns that were read.
        place: The row's place, for the recognition.

    Raises:
        RowError: There is no instruction or no response, or the row holds several responses.
        RubricError: There is no rubric, or it cannot be read.
    """
    example = row_format.example(values)
    if example.kind != "response":
        raise RowError(f"got {KINDS[example.kind]}; expected one response per row: use `prom-reward label` for these")
    [requests] = example.requests(default_rubrics)
    if recognition is not None:
        recognition.note(example, place)
    return requests


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """The requests of some rows, and the rows that give none."""

    pairs: list[tuple[Row, GradingRequest]]
    """Each request with its row; a row with several rubrics stands here several times."""
    broken: list[BrokenRow]
    """Rows that cannot be read or graded."""
    num_rows: int
    """Rows of either kind."""

    @property
    def requests(self) -> list[GradingRequest]:
        """The requests of `pairs`."""
        return [request for _, request in self.pairs]


def batch_rows(
    rows: Iterable[Row | BrokenRow],
    default_rubrics: tuple[AnyRubric, ...],
    *,
    batch_size: int = 16,
    row_format: RowFormat = PLAIN,
    recognition: Recognition | None = None,
) -> Iterator[RequestBatch]:
    """Yield the requests of `batch_size` rows at a time; a row that cannot be graded loses no other."""
    rest = iter(rows)
    while batch := list(islice(rest, batch_size)):
        pairs: list[tuple[Row, GradingRequest]] = []
        broken: list[BrokenRow] = []
        for row in batch:
            if isinstance(row, BrokenRow):
                broken.append(row)
                continue
            try:
                requests = row_requests(row.values, default_rubrics, row_format, recognition, row.place)
                pairs += [(row, request) for request in requests]
            except InputError as error:
                broken.append(BrokenRow(row.place, str(error)))
        yield RequestBatch(pairs, broken, len(batch))


def grade_batch(judge: Judge, batch: RequestBatch) -> list[Judgment]:
    """Return one judgment a request, in order."""
    return grade_requests(judge, batch.requests)


def graded_rows(batch: RequestBatch, judgments: Iterable[Judgment]) -> list[dict[str, Any]]:
    """Return one graded row a request, in order."""
    return [
        graded_row(row.values, request, judgment)
        for (row, request), judgment in zip(batch.pairs, judgments, strict=True)
    ]


def graded_row(values: Mapping[str, Any], request: GradingRequest, judgment: Judgment) -> dict[str, Any]:
    """Return a row with its judgment; a column of the row that has a judgment's name becomes `input_NAME`."""
    verdict = {
        "rubric_name": request.rubric.name,
        "rubric_digest": rubric_digest(request.rubric),
        "rubric_weight": request.rubric.weight,
        **judgment.to_columns(),
    }
    return {**{escaped(name, GRADED_COLUMNS): value for name, value in values.items()}, **verdict}


def renamed_columns(batch: RequestBatch) -> dict[str, str]:
    """Return the columns of a batch's rows that have another name beside their judgments, and those names."""
    names = {name: escaped(name, GRADED_COLUMNS) for row, _ in batch.pairs for name in row.values}
    return {name: new for name, new in names.items() if new != name}
