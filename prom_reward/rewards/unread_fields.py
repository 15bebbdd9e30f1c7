"""Finds the columns that a judge does not see, each once."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from prom_reward.data.cells import is_empty
from prom_reward.errors import RowError, RubricError
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.batch import RowReader, column_of, is_column

logger = logging.getLogger(__name__)

_MAX_KNOWN = 1000  # a client may make up names without end


class UnreadFields:
    """Remembers which columns were looked at, each at the first row that holds a value in it."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def new(self, rows: RowReader, prompts: Sequence[PromptValue], columns: Mapping[str, Any]) -> list[str]:
        """Return the columns whose meaning is known and that the judge does not see, without those of earlier calls.

        Args:
            rows: Reads the rows.
            prompts: N prompts.
            columns: The columns, N values each, and everything else that a trainer passes.
        """
        if len(self._known) > _MAX_KNOWN:
            return []
        lists = {name: values for name, values in columns.items() if is_column(values, len(prompts))}
        first: dict[str, int] = {}
        for name, values in lists.items():
            for at, value in enumerate(values):
                for held in _held(name, value):
                    if held not in self._known:
                        first.setdefault(held, at)
        self._known |= first.keys()
        found: list[str] = []
        for at in sorted(set(first.values())):
            with suppress(RowError, RubricError):  # whoever reads the row says what is wrong with it
                row = {name: [values[at]] for name, values in lists.items()}
                found += [one for one in rows.unread([prompts[at]], row) if _is_first(one, at, first)]
        return list(dict.fromkeys(found))

    def warn(self, rows: RowReader, prompt: PromptValue, columns: Mapping[str, Any]) -> None:
        """Warn of the fields of a row that comes alone; see `new`."""
        if unread := self.new(rows, [prompt], {name: [value] for name, value in columns.items()}):
            logger.warning(
                "the judge does not see the fields %s of the rows; send a reference as reference_answer and a rubric "
                "as rubric if it should",
                ", ".join(unread),
            )


def _held(name: str, value: Any) -> Iterator[str]:
    """Yield a column that holds a value, and the keys that do in its mapping."""
    if is_empty(value):
        return
    yield name
    if isinstance(value, Mapping):
        yield from (f"{name}.{key}" for key, one in value.items() if not is_empty(one))


def _is_first(path: str, at: int, first: Mapping[str, int]) -> bool:
    return first.get(path, first.get(column_of(path))) == at
