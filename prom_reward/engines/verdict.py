"""Finds the verdict behind the judge's last `[RESULT]` while it is being written.

It does not know scales or outcomes: a verdict is a label, or a number that is none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prom_reward.types import RESULT_MARKER

_MAX_TAIL_CHARS = 24  # "[RESULT] Score: 4" and its kin; what comes later is prose about results


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict in a judge's text."""

    text: str
    """The label as written, or an off-scale number."""
    start: int
    """Index of its first character in the text."""
    is_complete: bool
    """False while the next token could still make another label of it ("1" of "10")."""


def find_verdict(text: str, labels: Sequence[str]) -> Verdict | None:
    """Return the verdict behind the last `[RESULT]`, or None where there is none (yet)."""
    at = text.upper().rfind(RESULT_MARKER)
    if at < 0:
        return None
    tail_start = at + len(RESULT_MARKER)
    tail = text[tail_start : tail_start + _MAX_TAIL_CHARS]
    if all(label.isdecimal() for label in labels):
        match = re.search(r"\d+", tail)
    else:
        match = re.search(rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, labels))})(?![A-Za-z])", tail)
    if match is None:
        return None
    is_open = tail_start + match.end() == len(text)
    could_grow = is_open and any(label != match[0] and label.startswith(match[0]) for label in labels)
    return Verdict(match[0], tail_start + match.start(), not could_grow)


def ends_in_marker(text: str) -> bool:
    """Whether nothing but white space follows the last `[RESULT]`."""
    return text.rstrip().upper().endswith(RESULT_MARKER)
