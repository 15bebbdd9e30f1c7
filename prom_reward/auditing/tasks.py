"""Tasks of an audit: questions with an answer that deserves the best score.

The built-in tasks are in `presets/audit_tasks.yaml`. A file of your own has the columns `instruction`,
`reference_answer` and `rubric`; a question may have several rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from prom_reward.data.columns import Columns
from prom_reward.data.rows import read_values
from prom_reward.errors import InputError, RowError, RubricError, number_of
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import GradingRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTask:
    """A question with an answer that deserves the best score."""

    instruction: str
    """The question."""
    reference_answer: str
    """The answer."""
    rubric: AnyRubric
    """The rubric or checklist that answers are graded by."""

    def request(self, response: str) -> GradingRequest:
        """Return the request to grade a response to this task."""
        return GradingRequest(
            instruction=self.instruction,
            response=response,
            rubric=self.rubric,
            reference_answer=self.reference_answer,
        )


@cache
def builtin_tasks() -> tuple[AuditTask, ...]:
    """Return this project's own tasks."""
    preset = resources.files("prom_reward").joinpath("presets/audit_tasks.yaml")
    return _tasks(yaml.safe_load(preset.read_text(encoding="utf-8")), "audit_tasks.yaml", ())


def read_tasks(path: str | Path, default_rubrics: tuple[AnyRubric, ...] = ()) -> tuple[AuditTask, ...]:
    """Read tasks from a file: rows with `instruction`, `reference_answer`, and `rubric` unless there is a default.

    Raises:
        InputError: The file cannot be read, a row lacks a column, or `check_tasks` fails.
    """
    return _tasks(read_values(path), str(path), default_rubrics)


def check_tasks(tasks: Sequence[AuditTask], where: str) -> None:
    """Check that the tasks hold an answer to another question for every task.

    Raises:
        InputError: A task has none; the message begins with `where`.
    """
    if not tasks or any(next(other_answers(tasks, at), None) is None for at in range(len(tasks))):
        raise InputError(
            f"{where}: got {number_of(len(tasks), 'task')}; expected, for each task, a second one with another "
            "instruction and another reference_answer"
        )


def other_answers(tasks: Sequence[AuditTask], at: int) -> Iterator[str]:
    """Yield the distinct reference answers of other questions, starting after the task; never the task's own."""
    task = tasks[at]
    seen = {task.reference_answer}
    for step in range(1, len(tasks)):
        other = tasks[(at + step) % len(tasks)]
        if other.instruction != task.instruction and other.reference_answer not in seen:
            seen.add(other.reference_answer)
            yield other.reference_answer


def distinct_tasks(tasks: Sequence[AuditTask], count: int) -> list[AuditTask]:
    """Return the first `count` tasks (or fewer) that share neither instruction nor reference answer."""
    found: list[AuditTask] = []
    for task in tasks:
        shares = (task.instruction == one.instruction or task.reference_answer == one.reference_answer for one in found)
        if len(found) < count and not any(shares):
            found.append(task)
    return found


def _tasks(
    rows: Sequence[Mapping[str, Any]], where: str, default_rubrics: tuple[AnyRubric, ...]
) -> tuple[AuditTask, ...]:
    tasks = []
    for number, row in enumerate(rows, start=1):
        columns = Columns(row)
        instruction, reference = columns.get("prompt"), columns.reference()
        if not isinstance(instruction, str) or reference is None or len(reference.split()) < 8:
            raise RowError(f"{where}, row {number}: expected an instruction and a reference_answer of 8 words or more")
        try:
            rubrics = columns.rubrics(default_rubrics)
        except RubricError as error:
            raise RubricError(f"{where}, row {number}: {error}") from error
        tasks += [AuditTask(instruction=instruction, reference_answer=reference, rubric=one) for one in rubrics]
    check_tasks(tasks, where)
    return tuple(tasks)
