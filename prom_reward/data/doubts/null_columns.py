"""Refuses what would stand in for a column that is null: the reference for an answer, a label for a verdict."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from prom_reward.data.cells import is_empty, is_missing
from prom_reward.data.columns import COLUMN_NAMES, Columns
from prom_reward.data.doubts.doubtful_answers import AMBIGUOUS
from prom_reward.data.doubts.other_answers import is_of_model
from prom_reward.data.pairs.preferences import SIDES
from prom_reward.errors import RowError

_ANSWERS = tuple(
    name
    for name in (*COLUMN_NAMES["response"], *COLUMN_NAMES["responses"], *(side for pair in SIDES for side in pair))
    if name not in (*AMBIGUOUS, "answers")
)
"""Columns that hold answers and nothing else; one of them may stand in for another, as tables pad with null."""
_QUESTIONS = tuple(name for name in COLUMN_NAMES["prompt"] if name not in COLUMN_NAMES["context"])


def check_no_null_answer(columns: Columns, stand_in: str, role: str = "response") -> None:
    """Refuse an answer from a column that may hold the reference, beside an answer's own column that is null.

    If a question's column is null too, a table of several forms was padded, and the row is of another one.

    Args:
        columns: The row.
        stand_in: The column or path of the answer.
        role: Its role.

    Raises:
        RowError: It is so.
    """
    if any(_nulls(columns, _QUESTIONS)):
        return
    unknown = _empty_of_models(columns) if columns.read.get(role) == stand_in else ()  # beside messages they are told
    if name := next(chain(_nulls(columns, _ANSWERS), unknown), None):
        nothing = "null" if is_missing(columns.values[name]) else "empty"
        raise RowError(
            f"no response: {name!r} is {nothing}, and {stand_in!r} may hold the reference; leave the row out, or name "
            f"the answer to judge with --column {role}={stand_in}"
        )


def check_not_null(columns: Columns, role: str, value: Any) -> None:
    """Refuse a row whose answer the caller named, if that is null: no other column stands in for it.

    Raises:
        RowError: It is so.
    """
    if value is None and columns.is_named(role):
        raise RowError(f"no response: {columns.named(role)!r} is null; leave the row out")


def _nulls(columns: Columns, names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if name in columns.values and is_missing(columns.values[name]))


def _empty_of_models(columns: Columns) -> Iterator[str]:
    """Yield columns without a value under a model's name, or a name such as `pred`, that the caller gave no role."""
    names = (name for name in columns.values if is_of_model(name) and not columns.is_taken(name))
    return (name for name in names if is_empty(columns.values[name]))
