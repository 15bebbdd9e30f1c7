"""Refuses what would stand in for a column that is null: the reference for an answer, a label for a verdict."""

from collections.abc import Iterable, Iterator

from prom_reward.data.cells import is_missing
from prom_reward.data.columns import COLUMN_NAMES, Columns
from prom_reward.data.doubts.doubtful_answers import AMBIGUOUS
from prom_reward.data.preferences import SIDES
from prom_reward.errors import RowError

_ANSWERS = tuple(
    name
    for name in (*COLUMN_NAMES["response"], *COLUMN_NAMES["responses"], *(side for pair in SIDES for side in pair))
    if name not in (*AMBIGUOUS, "answers")
)
"""Columns that hold answers and nothing else; one of them may stand in for another, as tables pad with null."""


def check_no_null_answer(columns: Columns, stand_in: str, role: str = "response") -> None:
    """Refuse an answer from a column that may hold the reference, beside an answer's own column that is null.

    Args:
        columns: The row.
        stand_in: The column or path of the answer.
        role: Its role.

    Raises:
        RowError: It is so.
    """
    if name := next(_nulls(columns, _ANSWERS), None):
        raise RowError(
            f"no response: {name!r} is null, and {stand_in!r} may hold the reference; leave the row out, or name the "
            f"answer to judge with --column {role}={stand_in}"
        )


def _nulls(columns: Columns, names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if name in columns.values and is_missing(columns.values[name]))
