"""Rows become grading requests, and judgments become rows again.

It does not know files or the command line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from prom_reward.data.rows import BrokenRow, Row
from prom_reward.errors import InputError, RowError, RubricError
from prom_reward.judging.base import Judge
from prom_reward.prompts.published import components
from prom_reward.prompts.transcripts import transcript
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.types import GradingRequest, Judgment, Rubric

# In Feedback-Collection rows `instruction` is the whole prompt, so the orig_ columns come first.
INSTRUCTION_COLUMNS = ("orig_instruction", "instruction", "prompt")
RESPONSE_COLUMNS = ("orig_response", "response", "completion")
REFERENCE_COLUMNS = ("orig_reference_answer", "reference_answer", "reference")
FLAT_RUBRIC = re.compile(r"(?:orig_)?(?:criteria|score\d+_description)")


def row_requests(values: Mapping[str, Any], default_rubrics: tuple[Rubric, ...]) -> list[GradingRequest]:
    """Return one request per rubric of a row.

    Args:
        values: A row with an instruction (`instruction`, `prompt` or `orig_instruction`: a string or messages), a
            response (`response`, `completion` or `orig_response`; an empty one is graded as it is), perhaps a
            reference (`reference_answer`, `reference` or `orig_reference_answer`), and perhaps a rubric
            (`rubric` in any form of `Rubric.parse`, or the Feedback-Collection's columns `orig_criteria`,
            `orig_score1_description`...). Where there is no response, the instruction may be a whole Prometheus
            prompt, as in the published benchmark files.
        default_rubrics: For rows without a rubric.

    Raises:
        RowError: There is no instruction or no response.
        RubricError: There is no rubric, or it cannot be read.
    """
    prompt = _first(values, INSTRUCTION_COLUMNS)
    completion = _first(values, RESPONSE_COLUMNS)
    if prompt is None or prompt in ("", []):
        raise RowError(
            f"no instruction; got the columns {_names(values)}, expected one of {', '.join(INSTRUCTION_COLUMNS)}"
        )
    whole = components(prompt) if completion is None and isinstance(prompt, str) else None
    if whole is not None:
        return row_requests(whole, default_rubrics)
    if completion is None:
        raise RowError(f"no response; got the columns {_names(values)}, expected one of {', '.join(RESPONSE_COLUMNS)}")
    instruction, response = transcript(prompt, completion)
    reference = _first(values, REFERENCE_COLUMNS) or None
    if reference is not None and not isinstance(reference, str):
        raise RowError(f"got {type(reference).__name__} as the reference answer, expected a string")
    return [
        GradingRequest(instruction=instruction, response=response, rubric=rubric, reference_answer=reference)
        for rubric in _row_rubrics(values, default_rubrics)
    ]


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """The requests of some rows, and the rows that give none."""

    pairs: list[tuple[Row, GradingRequest]]
    """Each request with its row; a row with several rubrics stands here several times."""
    broken: list[BrokenRow]
    """Rows that cannot be read or graded."""
    num_rows: int
    """Rows of either kind."""


def batch_rows(
    rows: Iterable[Row | BrokenRow], default_rubrics: tuple[Rubric, ...], *, batch_size: int = 16
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
                pairs += [(row, request) for request in row_requests(row.values, default_rubrics)]
            except InputError as error:
                broken.append(BrokenRow(row.place, str(error)))
        yield RequestBatch(pairs, broken, len(batch))


def grade_batch(judge: Judge, batch: RequestBatch) -> list[dict[str, Any]]:
    """Return one graded row a request, in order."""
    judgments = judge.grade([request for _, request in batch.pairs])
    return [
        graded_row(row.values, request, judgment)
        for (row, request), judgment in zip(batch.pairs, judgments, strict=True)
    ]


def graded_row(values: Mapping[str, Any], request: GradingRequest, judgment: Judgment) -> dict[str, Any]:
    """Return a row with its judgment; a column of the row that has a judgment's name becomes `input_NAME`."""
    verdict = {"rubric_name": request.rubric.name, **judgment.to_columns()}
    kept = {f"input_{name}" if name in verdict else name: value for name, value in values.items()}
    return {**kept, **verdict}


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)


def _names(values: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, values))) or "none"


def _row_rubrics(values: Mapping[str, Any], default: tuple[Rubric, ...]) -> tuple[Rubric, ...]:
    if values.get("rubric"):
        return parse_rubrics(values["rubric"])
    flat = {name: value for name, value in values.items() if FLAT_RUBRIC.fullmatch(name) and value is not None}
    if flat:
        return parse_rubrics(flat)
    if default:
        return default
    raise RubricError(
        "no rubric; give the row a 'rubric' column, or all rows one with --rubric (for example helpfulness)"
    )
