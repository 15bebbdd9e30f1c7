"""A trainer's batch: its columns become grading requests, which come back with judgments and rewards."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from prom_reward.data.advice import any_rubric
from prom_reward.data.columns import COLUMN_NAMES, Columns, check_roles, may_hold_rubric, value_at
from prom_reward.data.doubts.unread import unread_columns
from prom_reward.errors import ConfigError, RowError, RubricError, check_flags, number_of
from prom_reward.judging.base import Judge
from prom_reward.prompts.messages import last_role
from prom_reward.prompts.transcripts import PromptValue, closes_unopened_thoughts, transcript
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import GradingRequest, Judgment

logger = logging.getLogger(__name__)

_TEXTS = (str, bytes, bytearray)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReader:
    """Reads the rows of a trainer's batch, by the column names of `prom_reward.data.columns`."""

    rubrics: tuple[AnyRubric, ...] = ()
    """For rows without a rubric of their own."""
    rubric_column: str | None = None
    """The column with a rubric, or a path into one; None takes the known names."""
    reference_column: str | None = None
    """The column with the reference answer, or a path into one; None takes the known names."""
    include_reasoning: bool = False
    """Whether the judge sees thoughts: the policy's, and those in a reference."""
    opens_thoughts: bool = False
    """Whether the policy's chat template opens its thoughts: one that never closes them has not answered."""

    def __post_init__(self) -> None:
        check_flags(include_reasoning=self.include_reasoning, opens_thoughts=self.opens_thoughts)
        check_roles(self.named)
        names = [rubric.name for rubric in self.rubrics]
        if double := next((name for name in names if names.count(name) > 1), None):
            raise ConfigError(
                f"got several default rubrics named {double!r:.60}, whose metrics would be one; give each a name of "
                "its own: {'rubric': ..., 'name': ...}"
            )

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
        for name, texts in (("prompts", prompts), ("completions", completions)):
            if isinstance(texts, _TEXTS):
                raise RowError(f"got one text as {name}; expected a list of texts or of message lists")
        if len(prompts) != len(completions):
            sizes = f"{number_of(len(prompts), 'prompt')} and {number_of(len(completions), 'completion')}"
            raise RowError(f"got {sizes}; expected as many of each")
        requests = []
        rows = zip(prompts, completions, self._rows(columns, len(prompts)), strict=True)
        for at, (prompt, completion, row) in enumerate(rows):
            try:
                instruction, response = self.texts(prompt, completion, guard=guard)
                if not response and (role := last_role(completion)) not in (None, "assistant"):
                    _warn_of_unanswered(str(role))
                requests.append(self._row_requests(row, instruction, response))
            except (RubricError, RowError) as error:
                raise type(error)(f"row {at}: {error}") from error
        return requests

    def texts(self, prompt: PromptValue, completion: PromptValue, *, guard: bool = True) -> tuple[str, str]:
        """Return the instruction and the response of a rollout, as `transcript` does with this reader's settings."""
        found = transcript(
            prompt,
            completion,
            include_reasoning=self.include_reasoning,
            opens_thoughts=self.opens_thoughts,
            guard=guard,
        )
        if not (self.opens_thoughts or self.include_reasoning) and closes_unopened_thoughts(prompt, completion):
            _warn_of_unopened()
        return found

    def _row_requests(self, row: Columns, instruction: str, response: str) -> list[GradingRequest]:
        rubrics = row.own_rubrics(self.rubrics) or self.rubrics
        reference = row.reference(include_reasoning=self.include_reasoning)
        if not rubrics:
            raise RubricError(f"no rubric in the row's columns and no default; {any_rubric()}")
        return [
            GradingRequest(instruction=instruction, response=response, rubric=rubric, reference_answer=reference)
            for rubric in rubrics
        ]

    def unread(self, prompts: Sequence[PromptValue], columns: Mapping[str, Any]) -> list[str]:
        """Return the columns of the first row whose meaning is known but that the judge does not see."""
        if not prompts:
            return []
        row = self._rows({**columns, "prompt": prompts}, len(prompts))[0]
        row.take("prompt", "prompt")
        row.own_rubrics(self.rubrics)
        row.reference()
        return [name for name in unread_columns(row) if value_at(row.values, name) != prompts[0]]

    @property
    def named(self) -> dict[str, str]:
        """The columns that the caller named, by role."""
        roles = {"rubric": self.rubric_column, "reference_answer": self.reference_column}
        return {role: name for role, name in roles.items() if name is not None}

    def _rows(self, columns: Mapping[str, Any], length: int) -> list[Columns]:
        """Return the rows of the columns, without the other values that a trainer passes."""
        named = self.named
        paths = (*COLUMN_NAMES["reference_answer"], *COLUMN_NAMES["rubric"], *named.values())
        known = {"requirements", *paths, *map(column_of, paths)}
        for name in columns:
            if (name in known or may_hold_rubric(name)) and columns[name] is not None:
                check_column(name, columns[name], length)
        lists = {name: values for name, values in columns.items() if is_column(values, length)}
        return [Columns({name: values[at] for name, values in lists.items()}, named) for at in range(length)]


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


@cache
def _warn_of_unanswered(role: str) -> None:
    """Say, once in a process, that rollouts end in a turn that is no answer."""
    logger.warning(
        "a completion ends in a turn of the %s: the judge sees an empty response, and what was said before in the "
        "instruction",
        role,
    )


@cache
def _warn_of_unopened() -> None:
    """Say, once in a process, that a rollout which is cut off in its thoughts cannot be told from an answer."""
    logger.warning(
        "a completion closes thoughts that its prompt does not open: one that is cut off before that is judged as an "
        "answer; if the policy's chat template opens them, set opens_thoughts=True, --opens-thoughts of `prom-reward "
        "serve`, or PROM_REWARD_OPENS_THOUGHTS=1"
    )


def check_column(name: str, values: object, length: int) -> None:
    """Raise RowError if a column does not hold a value for each row of a batch."""
    if not is_column(values, length):
        got = type(values).__name__
        if isinstance(values, Sequence) and not isinstance(values, _TEXTS):
            got = f"a list of {len(values)}"
        raise RowError(f"column {name!r}: got {got}; expected a list of {number_of(length, 'value')}, one for each row")


def is_column(values: object, length: int) -> bool:
    """Whether a value is a list of one entry for each row of a batch."""
    return isinstance(values, Sequence) and not isinstance(values, _TEXTS) and len(values) == length


def column_of(path: str) -> str:
    """Return the column that a path begins with."""
    return path.partition(".")[0].partition("[")[0]
