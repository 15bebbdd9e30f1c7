"""The one column that frameworks pass through to a reward: their label."""

from collections.abc import Collection, Mapping
from typing import Any

from prom_reward.data.columns import COLUMN_NAMES
from prom_reward.rubrics.formats import is_level_key, json_value

_KNOWN = {"prompt", "criteria", "orig_criteria", *COLUMN_NAMES["rubric"], *COLUMN_NAMES["reference_answer"]}


def label_columns(label: object, named: Collection[str] = ()) -> dict[str, Any]:
    """Return the columns that a framework's label holds.

    Args:
        label: A JSON object holds columns, and so does one as text if the judge reads one of them, such as `rubric`,
            `reference_answer` or `prompt`; any other value is the reference answer, also if it is JSON.
        named: Columns, or paths into them, that the judge reads besides.
    """
    held = json_value(label) if isinstance(label, str) else label
    if isinstance(held, Mapping) and (held is label or _is_read(held, named)):
        return dict(held)
    return {} if label in (None, "") else {"reference_answer": label}


def _is_read(columns: Mapping[str, Any], named: Collection[str]) -> bool:
    known = {*_KNOWN, *named, *(path.partition(".")[0].partition("[")[0] for path in named)}
    return any(name in known or is_level_key(name) for name in columns)
