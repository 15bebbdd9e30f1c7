"""Opens a source to label: a file, a folder of `datasets`, or a data set of the hub."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from prom_reward.data.formats import Kind, RowFormat
from prom_reward.data.pairs.preferences import NumberedVerdicts
from prom_reward.data.recognition import check_one_kind
from prom_reward.data.rows import BrokenRow, Row, RowIterator, read_rows
from prom_reward.engines.model.hub import hub_answers
from prom_reward.errors import InputError, RowError
from prom_reward.files import names_hub_repository

_PEEKED = 64


def open_source(source: str | Path, *, split: str = "train") -> RowIterator:
    """Yield the rows of a file or folder, or stream those of a hub data set (`owner/name`).

    Raises:
        InputError: There is no such file or data set, or it has an ending that is not known.
    """
    if is_hub_id(source):
        return _from_hub(str(source), split)
    return read_rows(source)


def is_hub_id(source: str | Path) -> bool:
    """Whether a source is a data set's id on the hub."""
    path = Path(source)
    has_ending = bool(path.suffix) and not path.suffix[1:].isdecimal()  # `owner/name-1.5` ends in a version
    return names_hub_repository(str(source)) and not has_ending and not path.exists()


def recognize(rows: RowIterator, row_format: RowFormat, *, where: str) -> tuple[Kind, list[Row | BrokenRow]]:
    """Read the first rows and say what they are.

    Returns:
        The kind, and the rows that were taken from `rows`.

    Raises:
        InputError: There is no row, none that is known, or rows of several kinds.
    """
    peeked = list(islice(rows, _PEEKED))
    kinds: dict[Kind, str] = {}
    first_problem = ""
    verdicts = NumberedVerdicts(row_format.columns)
    for row in peeked:
        try:
            if isinstance(row, Row):
                verdicts.note(row.values)
                kinds.setdefault(row_format.kind(row.values), row.place)
            else:
                first_problem = first_problem or f"{row.place}: {row.problem}"
        except RowError as error:
            first_problem = first_problem or f"{row.place}: {error}"
    verdicts.check(where)
    if not peeked:
        raise InputError(f"{where}: it has no rows; expected at least one")
    if not kinds:
        raise InputError(f"{where}: no row can be labeled; {first_problem}")
    check_one_kind(kinds, where)
    return next(iter(kinds)), peeked


def _from_hub(name: str, split: str) -> Iterator[Row | BrokenRow]:
    import datasets

    if not hub_answers():  # its client would try for a minute
        raise InputError(
            f"{name}: no such file, and the hub, which may have a data set of this name, does not answer; give a file "
            "or a folder of `datasets`"
        )
    try:
        loaded = datasets.load_dataset(name, split=split, streaming=True)
    except Exception as error:  # whatever the hub's client raises: no network, no such data set, no such split
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name}: no such file, and the hub's data set cannot be opened ({type(error).__name__}: {reason}); "
            "give a file, a folder of `datasets`, or owner/name with --split"
        ) from error
    for number, values in enumerate(loaded, start=1):
        yield Row(f"row {number}", values)
