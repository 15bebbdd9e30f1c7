"""Training rows from texts that people wrote: everyday tasks with answers of known quality, and preference pairs."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from prom_reward.data.labels.human_labels import read_labeled
from prom_reward.data.labels.labeled_rows import LabeledPair
from prom_reward.data.rows import read_values
from prom_reward.errors import InputError
from prom_reward.rubrics.reading import with_levels
from prom_reward.rubrics.rubric import builtin_rubric
from prom_reward.training.construction.build import Row, constructed_row, fact_rows
from prom_reward.training.construction.variants import Task, task_question

_KEYS = {one.name for one in fields(Task)}
_LONGEST = 500  # characters of a prompt or answer in a preference pair


def read_tasks(path: Path) -> list[Task]:
    """Read everyday tasks; see `prom_reward.training.construction.variants.Task`.

    Raises:
        InputError: The file cannot be read, or a row has other keys or values than a task.
    """
    return [_task(row, f"{path}: row {number}") for number, row in enumerate(read_values(path), start=1)]


def _task(row: Mapping[str, Any], place: str) -> Task:
    if set(row) != _KEYS:
        raise InputError(f"{place}: got the keys {', '.join(row)}; expected {', '.join(sorted(_KEYS))}")
    texts = {name: str(row[name]) for name in ("instruction", "reference_answer")}
    answers = {name: tuple(map(str, row[name])) for name in ("right_answers", "part_answers", "wrong_answers")}
    if isinstance(row["right_answers"], str) or not (answers["right_answers"] and answers["wrong_answers"]):
        raise InputError(f"{place}: expected lists of right_answers and wrong_answers with one text at least")
    return Task(
        instruction=texts["instruction"],
        reference_answer=texts["reference_answer"],
        right_answers=answers["right_answers"],
        part_answers=answers["part_answers"],
        wrong_answers=answers["wrong_answers"],
    )


def everyday_rows(tasks: Sequence[Task], *, repeats: int, seed: int = 0) -> list[Row]:
    """Return scored answers to everyday tasks, each task `repeats` times in other styles and under other rubrics."""
    draw = random.Random(f"{seed}:everyday")
    questions = [
        (task_question(task, draw.sample([one for one in tasks if one != task], 5), draw), at)
        for _ in range(repeats)
        for at, task in enumerate(tasks)
    ]
    return [row for question, at in questions for row in fact_rows(question, at, draw, held_out=False)]


def preference_rows(path: Path, *, num_pairs: int, seed: int = 0) -> list[Row]:
    """Return both answers of short preference pairs, by the rubric `harmlessness` and a soft score each.

    Raises:
        InputError: The file cannot be read.
    """
    short = [pair for pair in read_labeled(path, (builtin_rubric("harmlessness"),)).pairs if _is_short(pair)]
    drawn = random.Random(f"{seed}:pairs").sample(short, min(num_pairs, len(short)))
    return [
        constructed_row(side.instruction, side.response, with_levels(side.rubric), scores, f"pair-{number}")
        for number, one in enumerate(drawn)
        for side, scores in ((one.chosen, [3, 5]), (one.rejected, [1, 3]))
    ]


def _is_short(pair: LabeledPair) -> bool:
    texts = (pair.chosen.instruction, pair.chosen.response, pair.rejected.response)
    return max(map(len, texts)) < _LONGEST
