"""Answers that are empty or stand for a missing answer."""

import re

_MARKS = r"[\s.,;:!?'\"()\[\]{}|/\\_\u2010-\u2027-]*"  # no operators: "=>" may be an answer
_WORDS = (
    "n[./ ]{0,2}a|none|null|nil|nan|undefined|todo|tbd|empty|deleted|removed|unanswered|not (?:available|answered)"
    "|no (?:answer|response|reply|output)"
)
_PLACEHOLDER = re.compile(rf"{_MARKS}(?:[<*]*(?:{_WORDS})[>*]*{_MARKS})?", re.IGNORECASE)


def is_placeholder(answer: str) -> bool:
    """Whether an answer is blank, only punctuation, or words like "N/A" and "No response."."""
    return _PLACEHOLDER.fullmatch(answer) is not None
