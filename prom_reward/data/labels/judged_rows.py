"""Rows that hold judgments: of `prom-reward grade --out`, and of the log that a reward writes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prom_reward.data.columns import value_at
from prom_reward.data.formats import KINDS, Example, RowFormat
from prom_reward.data.grading import PLAIN
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.errors import InputError, RowError
from prom_reward.types import Judgment

_RUBRIC_COLUMNS = ("rubric_name", "rubric")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedResponse:
    """A response with its judgments."""

    place: str
    """The place of its first row, such as "line 3"."""
    instruction: str
    """The policy's prompt, as a judge reads it."""
    response: str
    """The response."""
    judgments: Mapping[str, Judgment]
    """The judgments by the names of their rubrics."""


def holds_judgment(row: Row) -> bool:
    """Whether a row says how a judgment ended."""
    return "outcome" in row.values


def judged_example(values: Mapping[str, Any], row_format: RowFormat) -> Example:
    """Return the one response of a row with a judgment.

    A named column counts if the row has it: the rows of `grade` have it, those of a reward's log do not.

    Raises:
        RowError: There is no instruction or no response, or there are several responses.
    """
    named = {role: name for role, name in row_format.columns.items() if value_at(values, name) is not None}
    example = RowFormat(columns=named).example(values)
    if example.kind != "response":
        raise RowError(f"got {KINDS[example.kind]}; expected one response with its judgment")
    return example


def judged_responses(
    rows: Iterable[Row | BrokenRow], row_format: RowFormat = PLAIN
) -> tuple[list[JudgedResponse], list[BrokenRow]]:
    """Read rows with a judgment each; rows of one response by several rubrics follow each other.

    Args:
        rows: The rows.
        row_format: Names columns whose names say nothing.

    Returns:
        The responses, and the rows that cannot be read.
    """
    found: list[JudgedResponse] = []
    broken: list[BrokenRow] = []
    for row in rows:
        try:
            _add(found, _judged(row, row_format))
        except InputError as error:
            broken.append(BrokenRow(row.place, str(error)))
    return found, broken


def _add(found: list[JudgedResponse], one: JudgedResponse) -> None:
    last = found[-1] if found else None
    if last is None or (last.instruction, last.response) != (one.instruction, one.response):
        found.append(one)
    elif last.judgments.keys() & one.judgments.keys():
        found.append(one)  # the same text, sampled again
    else:
        judgments = {**last.judgments, **one.judgments}
        found[-1] = JudgedResponse(
            place=last.place, instruction=last.instruction, response=last.response, judgments=judgments
        )


def _judged(row: Row | BrokenRow, row_format: RowFormat) -> JudgedResponse:
    if isinstance(row, BrokenRow):
        raise RowError(row.problem)
    judgment = Judgment.from_dict(row.values)
    name = next((row.values[one] for one in _RUBRIC_COLUMNS if isinstance(row.values.get(one), str)), None)
    if name is None:
        raise RowError(f"got a judgment without its rubric's name; expected it in {' or '.join(_RUBRIC_COLUMNS)}")
    [(instruction, response)] = judged_example(row.values, row_format).texts()
    return JudgedResponse(place=row.place, instruction=instruction, response=response, judgments={name: judgment})
