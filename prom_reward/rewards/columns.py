"""A trainer's batch (prompts, completions, columns) becomes grading requests.

It does not know judges, scores or rewards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.errors import RowError, RubricError
from prom_reward.prompts.transcripts import PromptValue, transcript
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.types import GradingRequest, Rubric


def batch_requests(
    prompts: Sequence[PromptValue],
    completions: Sequence[PromptValue],
    columns: Mapping[str, Any],
    *,
    default_rubrics: tuple[Rubric, ...],
    rubric_column: str = "rubric",
    reference_column: str = "reference_answer",
    include_reasoning: bool = False,
    guard: bool = True,
) -> list[list[GradingRequest]]:
    """Return for every completion one request per rubric of its row.

    Args:
        prompts: N prompts, strings or message lists.
        completions: N completions, in the same order.
        columns: The data set's other columns, N values each.
        default_rubrics: For rows whose rubric column is missing or None.
        rubric_column: Holds a rubric in any form that `Rubric.parse` reads, or a list of them.
        reference_column: Holds the reference answer; None or a missing column means there is none.
        include_reasoning: Show the judge what the policy thought, too.
        guard: Neutralize what a completion's earlier messages bring into the instruction.

    Raises:
        RubricError: A row has no rubric and there is no default, or its rubric cannot be read.
        RowError: A column is not as long as the batch, or a row's values have the wrong type.
    """
    if len(prompts) != len(completions):
        raise RowError(f"got {len(prompts)} prompts and {len(completions)} completions; expected as many of each")
    rubrics = _column(columns, rubric_column, len(prompts))
    references = _column(columns, reference_column, len(prompts))
    requests = []
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        instruction, response = transcript(prompt, completion, include_reasoning=include_reasoning, guard=guard)
        reference = references[row]
        if reference is not None and not isinstance(reference, str):
            raise RowError(f"row {row}: got {type(reference).__name__} in {reference_column!r}; expected a string")
        requests.append(
            [
                GradingRequest(
                    instruction=instruction,
                    response=response,
                    rubric=rubric,
                    reference_answer=reference or None,
                )
                for rubric in _row_rubrics(rubrics[row], default_rubrics, row, rubric_column)
            ]
        )
    return requests


def _column(columns: Mapping[str, Any], name: str, length: int) -> Sequence[Any]:
    values = columns.get(name)
    if values is None:
        return [None] * length
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != length:
        raise RowError(f"column {name!r}: got {type(values).__name__}; expected a list of {length} values")
    return values


def _row_rubrics(value: Any, default: tuple[Rubric, ...], row: int, column: str) -> tuple[Rubric, ...]:
    if not value:
        if default:
            return default
        raise RubricError(
            f"row {row} has no rubric: its column {column!r} is missing or empty and no default was given; pass "
            "rubric= (a built-in name such as 'helpfulness', or a rubric of your own)"
        )
    try:
        return parse_rubrics(value)
    except RubricError as error:
        raise RubricError(f"row {row}, column {column!r}: {error}") from error
