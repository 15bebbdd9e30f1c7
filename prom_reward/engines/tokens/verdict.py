"""The grammar of a judge's verdict: the label that follows its last `[RESULT]`, outside of its thoughts.

Engines stop decoding by it and `prom_reward.judging.parsing` reads by it, so both agree.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prom_reward.thinking import answer_start
from prom_reward.types import RESULT_MARKER

_MARKER = re.compile(re.escape(RESULT_MARKER), re.IGNORECASE)
_SAID = r"(?:(?:the\s+)?(?:final\s+|overall\s+)?(?:score|rating|result)\b(?:\s+(?:is|of))?[\s:=*_]*)?"
_OPENING = rf"[\s:=*_\"'`]*{_SAID}[(\[*_\"'`\s]{{0,8}}"
_CLOSING = r"[)\]*_\"'` \t]*"
_MORE = (
    r"e[-+−]?\d+",
    r"[ \t]?%",
    r"[ \t]?[½¼¾]",
    r"[ \t]+\d/\d",
    r"[ \t]+and\s+a\s+half",
)  # behind the digits of a number
_BETWEEN = r"(?:[-–—~～〜→|&+<>]+|to|or|and|vs\.?|through)[*_\s]*\d"
_LISTED = r"(?<=[ \t])(?!(?P=label)\b)\d|[,;:][ \t]*\d+[ \t]*(?:\n|\Z)"  # "4 5" and "4, 5", but not "4 4"
NUMBER = re.compile(
    rf"{_OPENING}(?P<verdict>(?P<label>[-+−]?\d+)(?:[.,'’_]\d+|[ \u00a0\u202f]\d{{3}}(?!\d))*(?:{'|'.join(_MORE)})?)"
    rf"(?:{_CLOSING}(?:(?:points?|stars?)\b)?{_CLOSING}[(\[]?(?:/|(?:out\s+)?of\b)[*_\s]*(?P<of>\d+))?"
    rf"(?P<range>{_CLOSING}(?:{_BETWEEN}|{_LISTED}))?",
    re.IGNORECASE,
)
"""An integer in the forms that judges write, with what makes another number, scale or range of it."""
_BESIDE = r"(?:or|and|vs\.?|[/&|+=<≈~]+)"  # what makes another verdict of two letters; "A > B" is A
_NAMES = ("response", "assistant", "answer")
_NAMED = rf"(?:{'|'.join(_NAMES)})?[\s:]*[(\[*_\"'`]*"
WINNER = re.compile(
    rf"{_OPENING}{_NAMED}(?P<verdict>(?P<label>[AB]))(?!['’]?[A-Za-z]|{_CLOSING}{_BESIDE}[(\[*_\s]*{_NAMED}[AB]\b)"
    r"(?!(?<=(?-i:a))\s+(?-i:[a-z]))",  # "a better response" is an article
    re.IGNORECASE,
)
"""A or B in the forms that judges write."""
MAX_TAIL_CHARS = 80
"""Text further after the marker is no verdict."""


def _beginnings(names: Sequence[str]) -> str:
    """Return a pattern of all beginnings of some words."""
    return "|".join(name[:end].replace(" ", r"\s+") for name in names for end in range(len(name), 0, -1))


_GROWING = re.compile(
    rf"(?:[.’]|e[-+−]?|{_CLOSING}(?:[,;:][ \t]*|\d+/?)"
    rf"|{_CLOSING}(?:{_beginnings(('points', 'stars'))})?{_CLOSING}[(\[]?"
    rf"(?:/|{_beginnings(('out of', 'of', 'through', 'to', 'or', 'and a half', 'vs.'))}|[-–—~～〜→&|+=<>≈]+)?[*_\s]*"
    rf"|{_CLOSING}{_BESIDE}[(\[*_\s]*(?:{_beginnings(_NAMES)})?[\s:]*[(\[*_\"'`]*)\Z",
    re.IGNORECASE,
)
_SETTLED_CHARS = 24  # more than any part of the grammar that can still change a verdict, as ") and Response **"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict in a judge's text."""

    text: str
    """The label as written, or an off-scale number."""
    start: int
    """Index of its first character in the text."""
    end: int
    """Exclusive end index of all that belongs to it, as in "4/5" or "4.5"."""
    is_complete: bool
    """False while what follows could still make another verdict of it ("1" of "10", "4" of "4/10")."""


def find_verdict(text: str, labels: Sequence[str], *, opened: bool = False) -> Verdict | None:
    """Return the verdict after the last `[RESULT]`; None if there is none (yet).

    Args:
        text: The judge's text.
        labels: The labels of the scale, or A and B.
        opened: The judge's chat template has opened its thoughts: the text begins in them.
    """
    at = marker_end(text, opened=opened)
    return None if at is None else _verdict_at(text, at, len(text), labels)


def first_verdict(text: str, labels: Sequence[str], *, opened: bool = False) -> Verdict | None:
    """Return the verdict at which an engine that looks at every token would have stopped.

    For engines that see a text when it is over: text after the verdict does not count.
    """
    start = answer_start(text, opened=opened)
    markers = [] if start is None else list(_MARKER.finditer(text, start))
    ends = [*(marker.start() for marker in markers[1:]), len(text)]
    verdicts = (_verdict_at(text, marker.end(), end, labels) for marker, end in zip(markers, ends, strict=False))
    return next((verdict for verdict in verdicts if verdict is not None), None)


def _verdict_at(text: str, at: int, end: int, labels: Sequence[str]) -> Verdict | None:
    """Return the verdict after a marker's end, in a text that ends at `end`."""
    grammar = NUMBER if all(label.isdecimal() for label in labels) else WINNER
    match = grammar.match(text, at, min(end, at + MAX_TAIL_CHARS))
    if match is None or match.groupdict().get("range"):
        return None
    rest = text[match.end() : min(end, match.end() + _SETTLED_CHARS)]
    is_complete = len(rest) >= _SETTLED_CHARS or not _GROWING.match(rest)
    label = match["label"] if grammar is NUMBER else match["label"].upper()
    return Verdict(label, match.start("label"), match.end(), is_complete)


def marker_end(text: str, *, opened: bool = False) -> int | None:
    """Return the index after the last `[RESULT]` of a judge's answer; None if there is none outside of its thoughts."""
    start = answer_start(text, opened=opened)
    return None if start is None else max((match.end() for match in _MARKER.finditer(text, start)), default=None)


def ends_in_marker(text: str, *, opened: bool = False) -> bool:
    """Whether nothing but white space follows the last `[RESULT]` of a judge's answer."""
    at = marker_end(text, opened=opened)
    return at is not None and not text[at:].strip()
