"""A trainer's batch: its columns become grading requests, which come back with judgments and rewards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prom_reward.errors import RowError, RubricError
from prom_reward.judging.base import Judge
from prom_reward.prompts.transcripts import PromptValue, transcript
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.types import GradingRequest, Judgment, Rubric


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReader:
    """Reads the rows of a trainer's batch."""

    rubrics: tuple[Rubric, ...] = ()
    """For rows whose rubric column is missing or None."""
    rubric_column: str = "rubric"
    """Holds a rubric in any form that `Rubric.parse` reads, or a list of them."""
    reference_column: str = "reference_answer"
    """Holds the reference answer; None or a missing column means that there is none."""
    include_reasoning: bool = False
    """Whether the judge sees the policy's thoughts."""

    def requests(
        self,
        prompts: Sequence[PromptValue],
        completions: Sequence[PromptValue],
        columns: Mapping[str, Any],
        *,
        guard: bool = True,
    ) -> list[list[GradingRequest]]:
        """Return one request per rubric for every completion.

        Args:
            prompts: N prompts, strings or message lists.
            completions: N completions, in the same order.
            columns: The data set's other columns, N values each.
            guard: Whether to neutralize judge text in a completion's earlier messages, which join the instruction.

        Raises:
            RubricError: A row has no rubric and there is no default, or its rubric cannot be read.
            RowError: A column is not as long as the batch, or a row's values have the wrong type.
        """
        if len(prompts) != len(completions):
            raise RowError(f"got {len(prompts)} prompts and {len(completions)} completions; expected as many of each")
        rubrics = _column(columns, self.rubric_column, len(prompts))
        references = _column(columns, self.reference_column, len(prompts))
        requests = []
        for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            instruction, response = transcript(
                prompt, completion, include_reasoning=self.include_reasoning, guard=guard
            )
            reference = self._reference(references[row], row)
            requests.append(
                [
                    GradingRequest(
                        instruction=instruction, response=response, rubric=rubric, reference_answer=reference
                    )
                    for rubric in self._row_rubrics(rubrics[row], row)
                ]
            )
        return requests

    def _reference(self, value: object, row: int) -> str | None:
        if value is not None and not isinstance(value, str):
            raise RowError(f"row {row}: got {type(value).__name__} in {self.reference_column!r}; expected a string")
        return value or None

    def _row_rubrics(self, value: Any, row: int) -> tuple[Rubric, ...]:
        if not value:
            if self.rubrics:
                return self.rubrics
            raise RubricError(
                f"row {row} has no rubric: its column {self.rubric_column!r} is missing or empty and no default was "
                "given; pass rubric= (a built-in name such as 'helpfulness', or a rubric of your own)"
            )
        try:
            return parse_rubrics(value)
        except RubricError as error:
            raise RubricError(f"row {row}, column {self.rubric_column!r}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBatch:
    """A batch with its judgments and rewards; the outer lists have an entry per row, the inner ones per rubric."""

    number: int
    """The count of the reward's batches in this process, from 1."""
    judge: Judge
    """The judge that graded it."""
    requests: Sequence[Sequence[GradingRequest]]
    """The judge's input."""
    judgments: Sequence[Sequence[Judgment]]
    """The judge's output."""
    rewards: Sequence[float | None]
    """One per row."""
    seconds: float
    """Time in the judge."""

    @property
    def pairs(self) -> list[tuple[GradingRequest, Judgment]]:
        """The requests with their judgments, over all rows."""
        rows = zip(self.requests, self.judgments, strict=True)
        return [pair for requests, judgments in rows for pair in zip(requests, judgments, strict=True)]

    def rows(self) -> Iterator[tuple[Sequence[GradingRequest], Sequence[Judgment], float | None]]:
        """Return the rows with their rewards."""
        return zip(self.requests, self.judgments, self.rewards, strict=True)


def _column(columns: Mapping[str, Any], name: str, length: int) -> Sequence[Any]:
    values = columns.get(name)
    if values is None:
        return [None] * length
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != length:
        raise RowError(f"column {name!r}: got {type(values).__name__}; expected a list of {length} values")
    return values
