"""Checks of a response that code decides: counts, words, format.

A check is written as a name with arguments, `{"max_words": 60}` in a file; see CHECKS for the names.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prom_reward.errors import RubricError, near_miss

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_SENTENCE_END = re.compile(r"[.!?。！？]+[\"'”’)\]]*(?=\s|$)")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+\S", re.MULTILINE)


def _num_words(text: str) -> int:
    return len(_WORD.findall(text))


def _num_sentences(text: str) -> int:
    ends = len(_SENTENCE_END.findall(text))
    tail = _SENTENCE_END.split(text)[-1]
    return ends + bool(_WORD.search(tail))


def _num_paragraphs(text: str) -> int:
    return sum(bool(part.strip()) for part in re.split(r"\n\s*\n", text))


def _phrases(value: Any) -> list[str]:
    return [str(one).casefold() for one in (value if isinstance(value, list | tuple) else [value])]


def _is_json(text: str, _: Any) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_in_script(text: str, script: Any) -> bool:
    """Whether at least nine of ten letters are of a script, by the first word of their Unicode names."""
    names = [unicodedata.name(char, "").partition(" ")[0] for char in text if char.isalpha()]
    return bool(names) and sum(name == str(script).upper() for name in names) >= 0.9 * len(names)


CHECKS: Mapping[str, Callable[[str, Any], bool]] = {
    "min_words": lambda text, count: _num_words(text) >= count,
    "max_words": lambda text, count: _num_words(text) <= count,
    "min_sentences": lambda text, count: _num_sentences(text) >= count,
    "max_sentences": lambda text, count: _num_sentences(text) <= count,
    "num_paragraphs": lambda text, count: _num_paragraphs(text) == count,
    "num_bullets": lambda text, count: len(_BULLET.findall(text)) == count,
    "max_chars": lambda text, count: len(text) <= count,
    "contains": lambda text, phrases: all(one in text.casefold() for one in _phrases(phrases)),
    "contains_any": lambda text, phrases: any(one in text.casefold() for one in _phrases(phrases)),
    "excludes": lambda text, phrases: not any(one in text.casefold() for one in _phrases(phrases)),
    "starts_with": lambda text, phrase: text.lstrip().casefold().startswith(str(phrase).casefold()),
    "ends_with": lambda text, phrase: text.rstrip().casefold().endswith(str(phrase).casefold()),
    "is_json": _is_json,
    "is_lowercase": lambda text, _: text == text.lower(),
    "is_uppercase": lambda text, _: text == text.upper(),
    "has_heading": lambda text, _: bool(_HEADING.search(text)),
    "script": _is_in_script,
}
"""The built-in checks by name: each gets the response and the check's argument."""


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """A check that code decides.

    Raises:
        RubricError: The name is unknown; the message names the near miss.
    """

    name: str
    """A name of CHECKS; of your own function its name, for logs."""
    argument: Any = None
    """What the check compares with, for example a count or a phrase."""
    function: Callable[[str], bool] | None = field(default=None, compare=False)
    """Your own check of the response instead of a built-in one."""

    def __post_init__(self) -> None:
        if self.function is None and self.name not in CHECKS:
            raise RubricError(
                f"unknown check {self.name!r:.60}; expected one of {', '.join(CHECKS)}.{near_miss(self.name, CHECKS)}"
            )

    @classmethod
    def parse(cls, value: Any) -> "CodeCheck":
        """Read a check from `{"max_words": 60}`, a name alone, or a function of the response."""
        match value:
            case CodeCheck():
                return value
            case str():
                return cls(value)
            case Mapping() if len(value) == 1:
                [(name, argument)] = value.items()
                return cls(str(name), argument)
        if callable(value):
            return cls(getattr(value, "__name__", type(value).__name__), function=value)
        raise RubricError(f"got {value!r:.60} as a check; expected for example {{'max_words': 60}}")

    def __call__(self, response: str) -> bool:
        """Return whether a response passes; whatever the check raises goes through."""
        return bool(self.function(response) if self.function else CHECKS[self.name](response, self.argument))
