"""Rows that hold judgments: of `prom-reward grade --out`, and of the log that a reward writes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prom_reward.data.columns import Columns
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
    """The policy's prompt, as text."""
    response: str
    """The response."""
    judgments: Mapping[str, Judgment]
    """The judgments by the names of their rubrics."""


def holds_judgment(row: Row) -> bool:
    """Whether a row says how a judgment ended."""
    return "outcome" in row.values


def judged_responses(rows: Iterable[Row | BrokenRow]) -> tuple[list[JudgedResponse], list[BrokenRow]]:
    """Read rows with a judgment each; rows of one response by several rubrics follow each other.

    Returns:
        The responses, and the rows that cannot be read.
    """
    found: list[JudgedResponse] = []
    broken: list[BrokenRow] = []
    for row in rows:
        try:
            _add(found, _judged(row))
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


def _judged(row: Row | BrokenRow) -> JudgedResponse:
    if isinstance(row, BrokenRow):
        raise RowError(row.problem)
    judgment = Judgment.from_dict(row.values)
    name = next((row.values[one] for one in _RUBRIC_COLUMNS if isinstance(row.values.get(one), str)), None)
    if name is None:
        raise RowError(f"got a judgment without its rubric's name; expected it in {' or '.join(_RUBRIC_COLUMNS)}")
    columns = Columns(row.values)
    response = columns.get("response")
    return JudgedResponse(
        place=row.place,
        instruction=str(columns.get("prompt")),
        response="" if response is None else str(response),
        judgments={name: judgment},
    )
