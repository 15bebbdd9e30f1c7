"""Finds the verdict behind the judge's last `[RESULT]` while it is being written.

It does not know scales or outcomes: a verdict is a label, or a number that is none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prom_reward.types import RESULT_MARKER

_MARKER = re.compile(re.escape(RESULT_MARKER), re.IGNORECASE)
# The forms that `prom_reward.judging.parsing` reads: what is no verdict there must not end the decoding here.
_SAID = r"(?:(?:the\s+)?(?:final\s+|overall\s+)?(?:score|rating|result)\b(?:\s+(?:is|of))?[\s:=*_]*)?"
_OPENING = rf"[\s:=*_\"'`]*{_SAID}[(\[*_\"'`\s]{{0,8}}"
_NUMBER = re.compile(
    rf"{_OPENING}(?P<label>[-+−]?\d+)(?:[.,]\d+)?(?:\s*(?:/|out\s+of)\s*\d+)?(?P<range>\s*(?:[-–—]|to|or|and)\s*\d)?",
    re.IGNORECASE,
)
_GROWING = re.compile(r"(?:[.,]|[ \t]*(?:[/–—-]|to?|or?|out?|out[ \t]+of?|and?|a)?[ \t]*)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict in a judge's text."""

    text: str
    """The label as written, or an off-scale number."""
    start: int
    """Index of its first character in the text."""
    end: int
    """Index behind all that belongs to it, as in "4/5" or "4.5"."""
    is_complete: bool
    """False while the next tokens could still make another verdict of it ("1" of "10", "4" of "4.5")."""


def find_verdict(text: str, labels: Sequence[str]) -> Verdict | None:
    """Return the verdict behind the last `[RESULT]`, or None where there is none (yet)."""
    at = marker_end(text)
    if at is None:
        return None
    is_number = all(label.isdecimal() for label in labels)
    match = (_NUMBER if is_number else _letters(labels)).match(text, at)
    if match is None or match["range"]:
        return None
    return Verdict(match["label"], match.start("label"), match.end(), not _GROWING.match(text, match.end()))


def marker_end(text: str) -> int | None:
    """Return the index behind the last `[RESULT]`; None where there is none."""
    return max((match.end() for match in _MARKER.finditer(text)), default=None)


def ends_in_marker(text: str) -> bool:
    """Whether nothing but white space follows the last `[RESULT]`."""
    at = marker_end(text)
    return at is not None and not text[at:].strip()


def _letters(labels: Sequence[str]) -> re.Pattern[str]:
    choices = "|".join(map(re.escape, labels))
    return re.compile(
        rf"{_OPENING}(?:response|assistant|answer)?[\s:]*[(\[*_\"'`]*(?P<label>(?-i:{choices}))(?![A-Za-z'’])"
        rf"(?P<range>\s*(?:or|and|/)\s*(?:{choices}))?",
        re.IGNORECASE,
    )
