"""Warns of fields that a judge does not see, in rows that come one by one."""

import logging
from collections.abc import Mapping
from typing import Any

from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.batch import RowReader

logger = logging.getLogger(__name__)

_MAX_KNOWN = 1000  # a client may make up names without end


class UnreadFields:
    """Remembers which fields were looked at."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def warn(self, rows: RowReader, prompt: PromptValue, columns: Mapping[str, Any]) -> None:
        """Warn, once for each name, of fields whose meaning is known and that the judge does not see."""
        given = {name: [value] for name, value in columns.items() if value is not None}
        new = given.keys() - self._known
        if not new or len(self._known) > _MAX_KNOWN:
            return
        self._known |= new
        if unread := [name for name in rows.unread([prompt], given) if name.partition(".")[0] in new]:
            logger.warning(
                "the judge does not see the fields %s of the rows; send a reference as reference_answer and a rubric "
                "as rubric if it should",
                ", ".join(unread),
            )
