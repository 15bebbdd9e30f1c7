"""Tables of estimates with their intervals, which fit a window of 80 columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from rich import box
from rich.measure import Measurement
from rich.table import Table

from prom_reward.cli.parts.console import stdout
from prom_reward.evaluation.agreement import Estimate

Cell = Callable[..., str]
"""Writes an estimate into a cell, with another one in parentheses beside it; takes `digits=` and `sign="+"`."""

_NARROW: Mapping[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}


def show_fitting(title: str, headings: Sequence[str], rows: Callable[[Cell], Iterable[Sequence[str]]]) -> None:
    """Print a table with each interval beside its value, or below it if the window is too narrow for that.

    If it still does not fit, its columns stand in several tables, each with the first one.
    """
    wide, narrow = (list(rows(partial(_shown, between=between))) for between in (" ", "\n"))
    table = _table(headings, wide, title=title)
    if _fits(table):
        stdout.print(table)
        return
    start, end = 1, len(headings)
    while start < end:
        stops = range(end, start + 1, -1)
        stop = next((one for one in stops if _fits(_table(headings, narrow, range(start, one)))), start + 1)
        stdout.print(_table(headings, narrow, range(start, stop), title=title if start == 1 else None))
        start = stop


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], chosen: range | None = None, *, title: str | None = None
) -> Table:
    """Return a table of all columns, or a narrow one of the first and the chosen ones."""
    columns = [0, *(range(1, len(headings)) if chosen is None else chosen)]
    table = Table(title=title, title_justify="left", **({} if chosen is None else _NARROW))
    for at in columns:
        table.add_column(headings[at], overflow="fold", no_wrap=at > 0)
    for row in rows:
        table.add_row(*(row[at] for at in columns))
    return table


def _fits(table: Table) -> bool:
    return Measurement.get(stdout, stdout.options.update(width=10_000), table).maximum <= stdout.width


def _shown(
    estimate: Estimate | None, beside: Estimate | None = None, *, between: str, digits: int = 3, sign: str = ""
) -> str:
    if estimate is None or estimate.value is None:
        return "" if estimate is None else "-"
    ends = [_number(end) for end in (estimate.low, estimate.high) if end is not None]
    interval = f"{between}[{', '.join(ends)}]" if ends else ""
    return f"{_number(estimate.value, digits, sign)}{f' ({brief(beside)})' if beside else ''}{interval}"


def brief(estimate: Estimate) -> str:
    """Return a value alone."""
    return "-" if estimate.value is None else _number(estimate.value)


def _number(value: float, digits: int = 2, sign: str = "") -> str:
    text = f"{value:{sign}z.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text
