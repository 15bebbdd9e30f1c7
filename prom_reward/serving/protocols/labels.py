"""The one column that frameworks pass through to a reward: their label."""

from collections.abc import Collection, Mapping
from typing import Any

from prom_reward.data.cells import is_blank
from prom_reward.data.columns import COLUMN_NAMES, may_hold_rubric, spelling
from prom_reward.errors import RowError, near_miss
from prom_reward.rubrics.formats import is_level_key, json_value

_SHOWN = ("rubric", "reference_answer", "prompt", "criteria", "score1_description")
_READ = {*_SHOWN, "orig_criteria", *COLUMN_NAMES["rubric"], *COLUMN_NAMES["reference_answer"]}
_BESIDE = {"requirements", "rubric_digest", *COLUMN_NAMES["id"]}  # do not make a JSON text columns
_REFERENCE_LIKE = ("answer", "final_answer", "gold", "expected", "label")
"""Keys that hold a reference in other frameworks' labels: a JSON text with one is no answer, until a person says so."""
_SLIP = 0.8


def label_columns(label: object, named: Collection[str] = ()) -> dict[str, Any]:
    """Return the columns that a framework's label holds.

    Args:
        label: A JSON object holds columns, and so does one as text if the judge reads one of them, such as `rubric`,
            `reference_answer` or `prompt`; any other value is the reference answer, also if it is JSON.
        named: Columns, or paths into them, that the judge reads besides.

    Raises:
        RowError: A column is not known, or a JSON text has a key that may be meant as one.
    """
    held = json_value(label) if isinstance(label, str) else label
    if not isinstance(held, Mapping):
        return {} if label in (None, "") else {"reference_answer": label}
    columns = {name: value for name, value in held.items() if not is_blank(value)}  # Arrow pads objects
    read = {_root(name) for name in (*_READ, *named)}
    if held is label or any(_is_read(name, read) for name in held):
        unknown = next((name for name in columns if not _is_read(name, read | _BESIDE)), None)
    else:
        unknown = next((name for name in columns if _may_be_column(spelling(name), read)), None)
        columns = {"reference_answer": label}
    if unknown is not None:
        raise RowError(
            f"label: unknown key {unknown!r:.60}; expected some of {', '.join(_SHOWN)}."
            f"{near_miss(spelling(unknown), read)} An answer that is JSON itself goes under 'reference_answer', as text"
        )
    return columns


def _is_read(name: str, read: Collection[str]) -> bool:
    return name in read or is_level_key(name) or may_hold_rubric(name)


def _may_be_column(name: str, read: Collection[str]) -> bool:
    return name in _REFERENCE_LIKE or bool(near_miss(name, read, cutoff=_SLIP))


def _root(path: str) -> str:
    """Return the column that a path begins with."""
    return path.partition(".")[0].partition("[")[0]
