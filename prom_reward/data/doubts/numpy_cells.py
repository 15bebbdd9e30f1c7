"""Refuses cells with lists that numpy printed, which would be judged as texts."""

from prom_reward.data.columns import Columns, value_at
from prom_reward.prompts.numpy_text import check_no_numpy_text


def check_no_numpy_cells(columns: Columns) -> None:
    """Refuse a row if a column that was read holds a list as numpy prints it.

    Raises:
        RowError: It is so.
    """
    for name in dict.fromkeys(columns.read.values()):
        value = value_at(columns.values, name)
        if isinstance(value, str):
            check_no_numpy_text(value, name)
