"""The questions of a labeling: what its rows are, and the requests of each row."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from prom_reward.data.formats import KINDS, Example, Kind, RowFormat
from prom_reward.data.pairs.preferences import NumberedVerdicts
from prom_reward.data.pairs.spreading import spread_pairs
from prom_reward.data.recognition import Recognition
from prom_reward.data.rows import BrokenRow, Row, RowIterator
from prom_reward.data.sources import open_source, recognize
from prom_reward.errors import ConfigError, InputError
from prom_reward.rubrics.reading import AnyRubric, RubricLike, read_rubrics
from prom_reward.types import ComparisonRequest, GradingRequest, JudgeRequest

Method = Literal["grade", "rank", "both"]
"""Grade every response, rank the two sides of each pair, or do both."""


@dataclass(slots=True)
class SourceReader:
    """Opens the source anew for every pass, and stops before a last line that is still being written."""

    source: str | Path
    """A file, a folder, or a hub id."""
    split: str = "train"
    """The split of a hub data set."""
    limit: int | None = None
    """The most rows to read."""
    columns: Mapping[str, str] | None = None
    """Columns by role, for those without a known name."""
    warnings: list[str] = field(default_factory=list)
    """Notes on the last pass, for the user."""

    def rows(self) -> Iterator[Row | BrokenRow]:
        """Yield the rows from the first on."""
        found = islice(open_source(self.source, split=self.split), self.limit)
        for row in spread_pairs(found, self.columns or {}):
            if isinstance(row, BrokenRow) and row.is_unfinished:
                self.warnings = [f"{row.place} has no end, as if it were being written: left to a later run"]
                return
            yield row


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """A row with its requests, or with the reason why it is left out."""

    row: Row | BrokenRow
    """The row."""
    problem: str | None = None
    """The reason why it is left out; None if it is labeled."""
    example: Example | None = None
    """The row's content."""
    rubrics: tuple[AnyRubric, ...] = ()
    """The row's rubrics."""
    grading: list[list[GradingRequest]] = field(default_factory=list)
    """For each response a request for each rubric; empty if pairs are only ranked."""
    comparing: list[tuple[ComparisonRequest, ComparisonRequest]] = field(default_factory=list)
    """For each rubric the comparison in both orders; empty if responses are only graded."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The row's columns; none if it cannot be read."""
        return self.row.values if isinstance(self.row, Row) else {}

    def requests(self) -> Iterator[JudgeRequest]:
        """Yield all requests."""
        yield from chain.from_iterable(self.grading)
        yield from chain.from_iterable(self.comparing)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelingTask:
    """The format by which rows become requests."""

    kind: Kind
    """The kind of the rows."""
    row_format: RowFormat
    """Reads a row."""
    rubrics: tuple[AnyRubric, ...]
    """For rows without a rubric."""
    method: Method
    """Whether responses are graded, pairs ranked, or both."""
    recognition: Recognition = field(compare=False)
    """The columns of the first rows, or of all, by role."""

    def plan(self, row: Row | BrokenRow) -> PlannedRow:
        """Return a row with its requests."""
        if isinstance(row, BrokenRow):
            return PlannedRow(row=row, problem=row.problem)
        try:
            example = self.row_format.example(row.values)
            if example.kind != self.kind:
                raise InputError(f"got a row of another kind ({example.kind}) than the first ones ({self.kind})")
            grading = example.requests(self.rubrics)
        except InputError as error:
            return PlannedRow(row=row, problem=str(error))
        return PlannedRow(
            row=row,
            example=example,
            rubrics=tuple(request.rubric for request in grading[0]),
            grading=[] if self.method == "rank" else grading,
            comparing=[] if self.method == "grade" else list(map(_both_orders, *grading)),
        )


def open_task(
    reader: SourceReader,
    *,
    rubric: RubricLike | None = None,
    method: Method = "grade",
    reference_answer: str | None = None,
    strict: bool = False,
) -> tuple[LabelingTask, RowIterator]:
    """Recognize the rows of a source; return the task, and the rows from the first on.

    The recognition is of the first rows; with `strict` it is of all rows, which takes a pass over the source.

    Raises:
        InputError: The rows are not recognized, none can be labeled, or they cannot be ranked.
    """
    if method not in ("grade", "rank", "both"):
        raise ConfigError(f"got method={method!r}; expected grade, rank or both")
    source, rows = str(reader.source), reader.rows()
    rubrics = read_rubrics(rubric) if rubric is not None else ()
    for given in rubrics:
        given.to_dict()  # fails now and not after the first shard
    row_format = RowFormat(columns=dict(reader.columns or {}), reference_answer=reference_answer)
    kind, peeked = recognize(rows, row_format, where=source)
    if kind != "pair" and method != "grade":
        raise InputError(f"{source}: got {KINDS[kind]} and method={method}; only preference pairs can be ranked")
    found = Recognition(source, verdicts=NumberedVerdicts(row_format.columns))
    task = LabelingTask(kind=kind, row_format=row_format, rubrics=rubrics, method=method, recognition=found)
    planned = [task.plan(row) for row in peeked]
    if all(one.problem is not None for one in planned):
        first = next(one for one in planned if isinstance(one.row, Row))
        raise InputError(f"{source}: no row can be labeled; {first.row.place}: {first.problem}")
    if strict:
        found.note_all(reader.rows(), row_format, rubrics)
    else:
        note_planned(found, planned)
    return task, chain(peeked, rows)


def note_planned(recognition: Recognition, planned: Iterable[PlannedRow]) -> None:
    """Take in the rows that are labeled, and the verdicts of all."""
    for one in planned:
        recognition.verdicts.note(one.values)
        if one.example is not None:
            recognition.note(one.example, one.row.place)


def _both_orders(chosen: GradingRequest, rejected: GradingRequest) -> tuple[ComparisonRequest, ComparisonRequest]:
    request = ComparisonRequest.of(chosen, rejected)
    return request, request.swapped()
