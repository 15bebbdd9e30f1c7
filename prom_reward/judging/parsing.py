"""Parses a judge's text into a verdict, or the Outcome that says why there is none.

Only the last `[RESULT]` of the judge's own text counts.
"""

import re
from dataclasses import dataclass

from prom_reward.engines.tokens.verdict import MAX_TAIL_CHARS, NUMBER, WINNER, marker_end
from prom_reward.thinking import answer_start
from prom_reward.types import RESULT_MARKER, Outcome, ScoreScale

_INTEGER = re.compile(r"\+?(\d+)(?:[.,]0{1,2})?")
_LABEL_OF_FEEDBACK = re.compile(r"^\s*feedback\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParsedScore:
    """The verdict of direct assessment."""

    outcome: Outcome
    """SCORED, NO_RESULT or OFF_SCALE."""
    feedback: str
    """The text before the last `[RESULT]`, without its "Feedback:"."""
    score: int | None = None
    """The score, if the outcome is SCORED."""


@dataclass(frozen=True, slots=True)
class ParsedWinner:
    """The verdict of pairwise ranking."""

    outcome: Outcome
    """SCORED or NO_RESULT."""
    feedback: str
    """The text before the last `[RESULT]`, without its "Feedback:"."""
    winner: str | None = None
    """"A" or "B", if the outcome is SCORED."""


def parse_score(text: str, scale: ScoreScale) -> ParsedScore:
    """Read the integer after the last `[RESULT]`.

    Accepts the forms that judges write: `[RESULT] 4`, `[RESULT](4)`, `[RESULT] Score: 4`, `[RESULT] 4/5`,
    `[RESULT] 4.`, `[RESULT]: **4**`. A number that is not a label of the scale (7, -1, 4.5, 4%, 4/10 on 1 to 5)
    is OFF_SCALE and never rounded or clipped. A range or two numbers ("1-5", "1 and 5", "4 | 5") is no result.
    """
    feedback, tail = _split(text)
    match = NUMBER.match(tail) if tail is not None else None
    if match is None or match["range"]:
        return ParsedScore(Outcome.NO_RESULT, feedback)
    integer = _INTEGER.fullmatch(match["verdict"])
    is_other_scale = match["of"] is not None and int(match["of"]) != scale.high
    if is_other_scale or integer is None or int(integer[1]) not in scale:
        return ParsedScore(Outcome.OFF_SCALE, feedback)
    return ParsedScore(Outcome.SCORED, feedback, int(integer[1]))


def parse_winner(text: str) -> ParsedWinner:
    """Read A or B after the last `[RESULT]`; `[RESULT] Response A` and `[RESULT] (B)` count too."""
    feedback, tail = _split(text)
    match = WINNER.match(tail) if tail is not None else None
    if match is None:
        return ParsedWinner(Outcome.NO_RESULT, feedback)
    return ParsedWinner(Outcome.SCORED, feedback, match["label"].upper())


def _split(text: str) -> tuple[str, str | None]:
    """Return the feedback, and the text after the last marker or None if there is no marker."""
    end, start = marker_end(text), answer_start(text) or 0
    if end is None:
        head, tail = text[start:], None
    else:
        head, tail = text[start : end - len(RESULT_MARKER)], text[end : end + MAX_TAIL_CHARS]
    return _LABEL_OF_FEEDBACK.sub("", head).strip(), tail
