"""Answers and references that are empty or stand for a missing one."""

import logging
import re
from functools import lru_cache

logger = logging.getLogger(__name__)

_MARKS = r"[\s.,;:!?'\"()\[\]{}|/\\_\u2010-\u2027-]*"  # no operators: "=>" may be an answer
_WORDS = (
    "n[./ ]{0,2}a|none|null|nil|nan|undefined|todo|tbd|empty|deleted|removed|unanswered|not (?:available|answered)"
    "|no (?:answer|response|reply|output)"
)
_PLACEHOLDER = re.compile(rf"{_MARKS}(?:[<*]*(?:{_WORDS})[>*]*{_MARKS})?", re.IGNORECASE)


def is_placeholder(answer: str) -> bool:
    """Whether an answer is blank, only punctuation, or words like "N/A" and "No response."."""
    return _PLACEHOLDER.fullmatch(answer) is not None


def stands_for_none(reference: str) -> bool:
    """Whether a reference is a placeholder in words, or dashes, dots and question marks; `[]` and `{}` may be right."""
    words = reference.strip()
    is_word = any(map(str.isalpha, words)) and words.lower() != "undefined"  # which a program may print
    return is_placeholder(reference) and (is_word or not set(words) - {*"-.?…–—"})


@lru_cache(maxsize=64)
def warn_of_no_answer(response: str) -> None:
    """Say, once for each in a process, that a response may stand for none."""
    logger.warning("a response is %r, which may stand for none: it is judged as it stands", response)


@lru_cache(maxsize=64)
def warn_of_placeholder(reference: str) -> None:
    """Say, once for each in a process, that a reference may stand for none."""
    logger.warning(
        "a reference answer is %r, which the judge takes for an answer with the highest score; leave it empty if it "
        "stands for none",
        reference,
    )
