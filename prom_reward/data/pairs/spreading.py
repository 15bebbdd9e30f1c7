"""Rows with several chosen or rejected answers, as those of RewardBench 2, become a row for each pair."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from prom_reward.data.columns import Columns
from prom_reward.data.rows import BrokenRow, Row

_SIDES = ("chosen", "rejected")


def spread_pairs(rows: Iterable[Row | BrokenRow], named: Mapping[str, str]) -> Iterator[Row | BrokenRow]:
    """Yield each row; in the place of one with lists of answers on both sides a row for each chosen and rejected one.

    Args:
        rows: The rows as they are in a file.
        named: Columns by role; a side that is named there is taken as it is.
    """
    for row in rows:
        if isinstance(row, BrokenRow) or not named.keys().isdisjoint(_SIDES):
            yield row
        else:
            yield from _pairs(row)


def _pairs(row: Row) -> Iterator[Row]:
    columns = Columns(row.values)
    sides = [_answers(columns.get(side)) for side in _SIDES]
    if not all(sides) or max(map(len, sides)) == 1:
        yield row
        return
    own_id = columns.get("id")
    for number, answers in enumerate(product(*sides), start=1):
        pair = {columns.read[side]: answer for side, answer in zip(_SIDES, answers, strict=True)}
        name = {} if own_id is None else {columns.read["id"]: f"{own_id}, pair {number}"}
        yield Row(f"{row.place}, pair {number}", {**row.values, **pair, **name})


def _answers(value: Any) -> list[Any]:
    """Return the answers of a side that is a list of texts or of conversations, else none."""
    is_list = isinstance(value, list | tuple) and bool(value)
    return (
        list(value)
        if is_list and all(isinstance(one, type(value[0])) and isinstance(one, str | list) for one in value)
        else []
    )
