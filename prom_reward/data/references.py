"""The reference answer in a cell."""

from typing import Any

from prom_reward.data.cells import is_empty, number_text
from prom_reward.data.placeholders import stands_for_none, warn_of_placeholder
from prom_reward.data.row_rubrics import reference_checklist
from prom_reward.errors import RowError
from prom_reward.prompts.numpy_text import check_no_numpy_text


def reference_text(value: Any, name: str) -> str | None:
    """Return a reference answer as text; a number is written out; NaN, a blank text and an empty list are none.

    Args:
        value: The cell.
        name: Its column, for messages.

    Raises:
        RowError: It is neither a text nor a number.
    """
    value = single(value)
    is_blank = not value.strip() if isinstance(value, str) else is_empty(value)
    if is_blank or reference_checklist(value) is not None:
        return None
    if isinstance(value, str):
        check_no_numpy_text(value, name)
        if stands_for_none(value):
            warn_of_placeholder(value.strip()[:40])
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    raise RowError(f"got {type(value).__name__} as the reference answer; expected a text")


def single(value: Any) -> Any:
    """Return the one entry of a list of one, and other values as they are."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
