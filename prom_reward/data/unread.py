"""The columns of a row whose meaning is known and that nobody read."""

import re

from prom_reward.data.cells import is_empty, texts_of
from prom_reward.data.columns import COLUMN_NAMES, Columns, value_at

QUESTION_PARTS = (
    *("choices", "options", "contexts", "retrieved_contexts", "retrieval_context", "documents", "passages", "passage"),
    *("image", "images", "video", "videos", "audio", "audios"),
)
"""Parts of a question that no layout reads: without them the judge sees another question."""

_UNWARNED_ROLES = ("id", "chosen", "rejected")


def unread_columns(columns: Columns) -> list[str]:
    """Return the columns of a row that nobody read although their meaning is known, unless they repeat what was read.

    A name counts however it is written: `Reference Answer` is known as `reference_answer`.
    """
    taken = {name.partition(".")[0].partition("[")[0] for name in columns.read.values()}
    if any(name.startswith("orig_") for name in taken):  # the others are the whole prompt and the judge's answer
        taken |= {"instruction", "input", "output"}
    seen = "\n".join(texts_of([columns.values.get(name) for name in taken]))
    found = sorted((_KNOWN[_spelling(name)], name) for name in columns.values if _spelling(name) in _KNOWN)
    unread = [name for _, name in found if name not in taken and _says_more(columns, name, seen)]
    return unread + _own_systems(columns)


def _spelling(name: object) -> str:
    return re.sub(r"[\s-]+", "_", str(name).strip()).lower()


_WARNED = [name for role in COLUMN_NAMES if role not in _UNWARNED_ROLES for name in COLUMN_NAMES[role]]
_KNOWN = {_spelling(name): place for place, name in reversed(list(enumerate([*_WARNED, *QUESTION_PARTS])))}


def _says_more(columns: Columns, name: str, seen: str) -> bool:
    value = columns.values[name]
    texts = list(texts_of(value))
    is_medium = not texts and name in QUESTION_PARTS and not is_empty(value)
    return is_medium or any(text.strip() not in seen for text in texts)


def _own_systems(columns: Columns) -> list[str]:
    """Return UltraFeedback's system texts, which are another for each response."""
    path = f"{columns.read.get('responses', '')}[0].custom_system_prompt"
    return [path] if value_at(columns.values, path) else []
