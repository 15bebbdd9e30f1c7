"""A judge's text becomes a verdict, or the Outcome that says why there is none.

It does not know engines; only the last `[RESULT]` of the judge's own text counts.
"""

import re
from dataclasses import dataclass

from prom_reward.types import RESULT_MARKER, Outcome, ScoreScale

_MARKER = re.compile(re.escape(RESULT_MARKER), re.IGNORECASE)
_FILLER = r"[\s:=*_\"'`]*"
_SAID = r"(?:(?:the\s+)?(?:final\s+|overall\s+)?(?:score|rating|result)\b(?:\s+(?:is|of))?[\s:=*_]*)?"
_OPENING = rf"{_FILLER}{_SAID}[(\[*_\"'`\s]{{0,8}}"
_CLOSING = r"[)\]*_\"'`\s]*"
_NUMBER = re.compile(
    rf"{_OPENING}(?P<number>[-+−]?\d+(?:[.,]\d+)*(?:\s?%|[½¼¾])?)"
    rf"(?:{_CLOSING}[(\[]?(?:/|(?:out\s+)?of\b)[*_\s]*(?P<of>\d+))?"
    rf"(?P<range>{_CLOSING}(?:[-–—]|to|or|and)[*_\s]*\d)?",
    re.IGNORECASE,
)
_INTEGER = re.compile(r"\+?(\d+)(?:[.,]0{1,2})?")
_NAMED = r"(?:response|assistant|answer)?[\s:]*[(\[*_\"'`]*"
_WINNER = re.compile(
    rf"{_OPENING}{_NAMED}(?P<winner>[AB])(?!['’]?[A-Za-z]|{_CLOSING}(?:or|and|[/&|])[(\[*_\s]*{_NAMED}[AB]\b)"
    r"(?!(?<=(?-i:a))\s+(?-i:[a-z]))",  # "a better response" is an article
    re.IGNORECASE,
)
_LABEL_OF_FEEDBACK = re.compile(r"^\s*feedback\s*:\s*", re.IGNORECASE)
_TAIL_CHARS = 80


@dataclass(frozen=True, slots=True)
class ParsedScore:
    """What direct assessment says."""

    outcome: Outcome
    """SCORED, NO_RESULT or OFF_SCALE."""
    feedback: str
    """The text before the last `[RESULT]`, without its "Feedback:"."""
    score: int | None = None
    """The score, where the outcome is SCORED."""


@dataclass(frozen=True, slots=True)
class ParsedWinner:
    """What pairwise ranking says."""

    outcome: Outcome
    """SCORED or NO_RESULT."""
    feedback: str
    """The text before the last `[RESULT]`, without its "Feedback:"."""
    winner: str | None = None
    """"A" or "B", where the outcome is SCORED."""


def parse_score(text: str, scale: ScoreScale) -> ParsedScore:
    """Read the integer behind the last `[RESULT]`.

    Accepts what judges really write: `[RESULT] 4`, `[RESULT](4)`, `[RESULT] Score: 4`, `[RESULT] 4/5`,
    `[RESULT] 4.`, `[RESULT]: **4**`. A number that is not a label of the scale (7, -1, 4.5, 4%, 4/10 on 1 to 5)
    is OFF_SCALE and never rounded or clipped. A range ("1-5", "1 and 5") is no result.
    """
    feedback, tail = _split(text)
    match = _NUMBER.match(tail) if tail is not None else None
    if match is None or match["range"]:
        return ParsedScore(Outcome.NO_RESULT, feedback)
    integer = _INTEGER.fullmatch(match["number"])
    is_other_scale = match["of"] is not None and int(match["of"]) != scale.high
    if is_other_scale or integer is None or int(integer[1]) not in scale:
        return ParsedScore(Outcome.OFF_SCALE, feedback)
    return ParsedScore(Outcome.SCORED, feedback, int(integer[1]))


def parse_winner(text: str) -> ParsedWinner:
    """Read A or B behind the last `[RESULT]`; `[RESULT] Response A` and `[RESULT] (B)` count too."""
    feedback, tail = _split(text)
    match = _WINNER.match(tail) if tail is not None else None
    if match is None:
        return ParsedWinner(Outcome.NO_RESULT, feedback)
    return ParsedWinner(Outcome.SCORED, feedback, match["winner"].upper())


def _split(text: str) -> tuple[str, str | None]:
    """Return the feedback and what stands behind the last marker; None where there is no marker."""
    marks = list(_MARKER.finditer(text))
    head, tail = (text[: marks[-1].start()], text[marks[-1].end() :][:_TAIL_CHARS]) if marks else (text, None)
    return _LABEL_OF_FEEDBACK.sub("", head).strip(), tail
