"""What was recognized in a file's first rows: which column each part was read from, and which stay unread."""

import logging
from dataclasses import dataclass, field

from prom_reward.data.formats import KINDS, Example, Kind
from prom_reward.data.unread import unread_columns
from prom_reward.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Recognition:
    """The columns of a file, gathered row by row."""

    where: str
    """The file, for messages."""
    kinds: list[Kind] = field(default_factory=list)
    """The kinds of its rows."""
    columns: dict[str, list[str]] = field(default_factory=dict)
    """The columns that each role was read from."""
    unread: list[str] = field(default_factory=list)
    """Columns whose meaning is known and that nobody read."""

    def note(self, example: Example) -> None:
        """Take in a row whose requests were made."""
        if example.kind not in self.kinds:
            self.kinds.append(example.kind)
        for role, names in example.columns.by_role().items():
            known = self.columns.setdefault(role, [])
            known += [name for name in names if name not in known]
        self.unread += [name for name in unread_columns(example.columns) if name not in self.unread]

    def __str__(self) -> str:
        kinds = " and ".join(KINDS[kind] for kind in self.kinds)
        read = ", ".join(f"{role} from {' + '.join(names)}" for role, names in self.columns.items() if role != "id")
        return f"{kinds}: {read}" + (f"; unread: {', '.join(self.unread)}" if self.unread else "")

    def check(self, *, strict: bool = False) -> None:
        """Warn of columns whose meaning is known and that stay unread.

        Raises:
            InputError: There are some and `strict` is set.
        """
        if not self.unread:
            return
        problem = (
            f"{self.where}: the columns {', '.join(self.unread)} stay unread although their meaning is known; name the "
            "right one with --column ROLE=NAME, or drop them"
        )
        if strict:
            raise InputError(problem)
        logger.warning("%s", problem)
