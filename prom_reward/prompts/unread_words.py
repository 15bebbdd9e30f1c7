"""Words that a message keeps under a key which no layout reads."""

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from prom_reward.errors import RowError

logger = logging.getLogger(__name__)

_CARRIERS = re.compile(
    r"tool\w*|attachments?|files?|documents?|image\w*|outputs?|results?|responses?|answers?|completions?", re.I
)
"""Names of parts of a turn; other keys, such as WildChat's `header`, are facts about it."""
_FACT = re.compile(r"\w+(?:_|(?=[A-Z]))(?i:ids?|name|type|status|choice)")
"""Names of facts about such a part."""


def check_unread_words(others: Mapping[str, Any], place: str, *, is_all: bool) -> None:
    """Warn of words that a judge will not see; refuse a message that has no others, unless they are its `tools`.

    Args:
        others: The keys of a message that were not read, with their values.
        place: The message, for errors.
        is_all: The message has no content.

    Raises:
        RowError: It holds words under such a key alone.
    """
    for key, value in others.items():
        if _FACT.fullmatch(str(key)) or not _CARRIERS.fullmatch(str(key)) or not _holds_words(value):
            continue
        if is_all and key != "tools":  # a system message may do nothing but offer tools
            raise RowError(f"{place}: got no content, but words under {key!r:.40}; expected them under 'content'")
        _warn_of_words(key)


def _holds_words(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(map(_holds_words, parts))


@lru_cache(maxsize=64)
def _warn_of_words(key: str) -> None:
    """Say, once for each key in a process, that a judge does not see the words under it."""
    logger.warning(
        "a message holds words under %r that the judge does not see; write what it should see into 'content'", key
    )
