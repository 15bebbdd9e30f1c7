"""The rows that a command leaves out, named on standard error: one line a problem, with the places that have it."""

from collections.abc import Iterable, Sequence

from prom_reward.cli.parts.console import stderr
from prom_reward.errors import number_of

_SHOWN_PLACES = 3


def show_left_out(problems: Sequence[str], *, shown: int = 10) -> None:
    """Name the rows that are left out; after the first problems only their number.

    Args:
        problems: Each with its place before it, as in "line 3: no response".
        shown: The most lines.
    """
    places = _places(problems)
    show_problems(problems, "left out", shown=shown)
    if rest := sum(map(len, list(places.values())[shown:])):
        stderr.print(f"... and {number_of(rest, 'more row')} left out, {len(problems):,} in all", highlight=False)


def show_problems(problems: Iterable[str], verb: str, *, shown: int = 10) -> None:
    """Name the first problems, and after each what becomes of its rows."""
    for problem, places in list(_places(problems).items())[:shown]:
        stderr.print(f"{_named(places)}{problem}; {verb}", highlight=False, soft_wrap=True)


def _places(problems: Iterable[str]) -> dict[str, list[str]]:
    """Return the places of each problem."""
    places: dict[str, list[str]] = {}
    for one in problems:
        place, colon, problem = one.partition(": ")
        places.setdefault(problem if colon else one, []).append(place if colon else "")
    return places


def _named(places: Sequence[str]) -> str:
    named = ", ".join(places[:_SHOWN_PLACES])
    rest = len(places) - _SHOWN_PLACES
    return f"{named}{f' and {rest:,} more' if rest > 0 else ''}: " if named else ""
