"""Checks of a response that code decides: counts, words, format.

A check is written as a name with an argument, `{"max_words": 60}` in a file; see CHECKS for the names. A check of your
own is a Python function of the response, in a file by its name: `my_module:my_function`.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from prom_reward.errors import RubricError, near_miss

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_SENTENCE_END = re.compile(r"[.!?。！？]+[\"'”’)\]]*(?=\s|$)")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+\S", re.MULTILINE)

Takes = Literal["count", "phrases", "text", "nothing"]
"""The kind of a check's argument; "phrases" is a text or a list of texts."""


def words_of(text: str) -> list[str]:
    """Return a text's words; "didn't" and "cease-fire" are one each."""
    return _WORD.findall(text)


def num_words(text: str) -> int:
    """Return the number of words of a text."""
    return len(words_of(text))


def num_sentences(text: str) -> int:
    """Return the number of sentences of a text, the last one also without a mark at its end."""
    ends = len(_SENTENCE_END.findall(text))
    tail = _SENTENCE_END.split(text)[-1]
    return ends + bool(_WORD.search(tail))


def num_paragraphs(text: str) -> int:
    """Return the number of paragraphs of a text, with empty lines between them."""
    return sum(bool(part.strip()) for part in re.split(r"\n\s*\n", text))


def _phrases(value: Any) -> list[str]:
    return [one.casefold() for one in (value if isinstance(value, list | tuple) else [value])]


def _is_json(text: str, _: Any) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_in_script(text: str, script: Any) -> bool:
    """Whether at least nine of ten letters are of a script, by the first word of their Unicode names."""
    names = [unicodedata.name(char, "").partition(" ")[0] for char in text if char.isalpha()]
    return bool(names) and sum(name == script.upper() for name in names) >= 0.9 * len(names)


CHECKS: Mapping[str, tuple[Takes, Callable[[str, Any], bool]]] = {
    "min_words": ("count", lambda text, count: num_words(text) >= count),
    "max_words": ("count", lambda text, count: num_words(text) <= count),
    "min_sentences": ("count", lambda text, count: num_sentences(text) >= count),
    "max_sentences": ("count", lambda text, count: num_sentences(text) <= count),
    "num_paragraphs": ("count", lambda text, count: num_paragraphs(text) == count),
    "num_bullets": ("count", lambda text, count: len(_BULLET.findall(text)) == count),
    "max_chars": ("count", lambda text, count: len(text) <= count),
    "contains": ("phrases", lambda text, phrases: all(one in text.casefold() for one in _phrases(phrases))),
    "contains_any": ("phrases", lambda text, phrases: any(one in text.casefold() for one in _phrases(phrases))),
    "excludes": ("phrases", lambda text, phrases: not any(one in text.casefold() for one in _phrases(phrases))),
    "starts_with": ("text", lambda text, phrase: text.lstrip().casefold().startswith(phrase.casefold())),
    "ends_with": ("text", lambda text, phrase: text.rstrip().casefold().endswith(phrase.casefold())),
    "is_json": ("nothing", _is_json),
    "is_lowercase": ("nothing", lambda text, _: text == text.lower()),
    "is_uppercase": ("nothing", lambda text, _: text == text.upper()),
    "has_heading": ("nothing", lambda text, _: bool(_HEADING.search(text))),
    "script": ("text", _is_in_script),
}
"""The built-in checks by name: the kind of the argument, and the function of response and argument."""


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """A check that code decides.

    Raises:
        RubricError: The name is unknown, or the argument is of another kind.
    """

    name: str
    """A name of CHECKS, or `module:function`; of a function that is given as such its name, for logs."""
    argument: Any = field(default=None, hash=False)
    """The value that a built-in check compares with, for example a count or a phrase."""
    function: Callable[[str], bool] | None = field(default=None, compare=False)
    """Your own check of the response instead of a built-in one."""

    def __post_init__(self) -> None:
        if self.function is not None or self.is_imported:
            return
        if self.name not in CHECKS:
            raise RubricError(
                f"unknown check {self.name!r:.60}; expected one of {', '.join(CHECKS)}, or 'module:function' of your "
                f"own.{near_miss(self.name, CHECKS)}"
            )
        kind, _ = CHECKS[self.name]
        if not _is_of(kind, self.argument):
            raise RubricError(
                f"check {self.name!r}: got the argument {self.argument!r:.60}; expected {_EXPECTED[kind]}"
            )

    @property
    def is_imported(self) -> bool:
        """Whether it names a function of your own, which is imported at its first use."""
        return ":" in self.name

    @classmethod
    def parse(cls, value: Any) -> "CodeCheck":
        """Read a check from `{"max_words": 60}`, a name alone, or a function of the response."""
        match value:
            case CodeCheck():
                return value
            case str():
                return cls(value)
            case Mapping() if len(told := {str(name): one for name, one in value.items() if one is not None}) == 1:
                [(name, argument)] = told.items()
                return cls(name, None if argument is True and CHECKS.get(name, ("",))[0] == "nothing" else argument)
        if callable(value):
            return cls(getattr(value, "__name__", type(value).__name__), function=value)
        raise RubricError(f"got {value!r:.60} as a check; expected for example {{'max_words': 60}}")

    def to_value(self) -> Any:
        """Return the form that `parse` reads back.

        Raises:
            RubricError: It is a function of your own.
        """
        if self.function is not None or self.is_imported:
            raise RubricError(
                f"check {self.name!r}: got a function of your own; expected a built-in check, as labelings and servers "
                "run no other"
            )
        return self.name if self.argument is None else {self.name: self.argument}

    def load(self) -> Callable[[str], bool]:
        """Return the function of the response.

        Raises:
            RubricError: A function of your own does not exist.
        """
        if self.function is not None:
            return self.function
        if not self.is_imported:
            function = CHECKS[self.name][1]
            return lambda response: function(response, self.argument)
        module, _, name = self.name.partition(":")
        try:
            imported = import_module(module)
        except (ImportError, ValueError) as error:
            raise RubricError(f"check {self.name!r}: cannot be imported ({error})") from error
        if not hasattr(imported, name):
            raise RubricError(f"check {self.name!r}: {module!r} has no {name!r}.{near_miss(name, dir(imported))}")
        loaded = getattr(imported, name)
        if not callable(loaded):
            raise RubricError(f"check {self.name!r}: got {type(loaded).__name__}; expected a function of the response")
        return loaded  # type: ignore[no-any-return]  # a user's own function

    def __call__(self, response: str) -> bool:
        """Return whether a response passes; whatever the check raises goes through.

        Raises:
            TypeError: The check returns something other than True or False.
        """
        found = self.load()(response)
        if not isinstance(found, bool):
            raise TypeError(f"the check {self.name!r} returned {found!r:.40}; expected True or False")
        return found


_EXPECTED: Mapping[Takes, str] = {
    "count": "a whole number, 0 or more",
    "phrases": "a text or a list of texts",
    "text": "a text",
    "nothing": "none",
}


def _is_of(kind: Takes, value: Any) -> bool:
    match kind:
        case "count":
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case "text":
            return isinstance(value, str) and bool(value)
        case "phrases":
            listed = value if isinstance(value, list | tuple) else [value]
            return bool(listed) and all(isinstance(one, str) and one for one in listed)
        case "nothing":
            return value is None
