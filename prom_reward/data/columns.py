"""The one table of column names, and where in a row each part of a request is found."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from prom_reward.errors import ConfigError, RowError, RubricError, near_miss
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.types import Rubric

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": (
        *("orig_instruction", "instruction", "prompt", "question", "query", "problem", "post", "user_prompt"),
        *("user_input", "context"),
    ),
    "system": ("system", "system_prompt", "system_message"),
    "input": ("input",),
    "history": ("history",),
    "messages": ("messages", "conversations", "conversation", "dialog", "dialogue"),
    "response": (
        *("orig_response", "response", "completion", "output", "answer", "generation", "model_output", "prediction"),
        "generated_text",
    ),
    "responses": ("completions", "responses", "generations", "answers", "outputs", "candidates"),
    "chosen": ("chosen", "chosen_response", "response_chosen", "preferred", "better"),
    "rejected": ("rejected", "rejected_response", "response_rejected", "dispreferred", "worse"),
    "reference_answer": (
        *("orig_reference_answer", "reference_answer", "reference", "ground_truth", "gold_answer", "ideal_answer"),
        *("target", "reward_model.ground_truth"),
    ),
    "rubric": (
        "rubric",
        "score_rubric",
        "score_rubrics",
        "grading_rubric",
        "rubrics",
        "Rubrics",
        "rubric_items",
        "checklist",
    ),
    "id": ("id", "prompt_id", "row_id", "uid"),
}
"""The columns of each role; the first that has a value wins. `--column ROLE=PATH` names another."""

_FLAT_RUBRIC = re.compile(r"(?:orig_)?(?:criteria|score\d{1,9}_description)")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d{1,9})\]")
_WARNED_ROLES = (
    "prompt",
    "system",
    "input",
    "history",
    "messages",
    "response",
    "responses",
    "reference_answer",
    "rubric",
)


def check_roles(columns: Mapping[str, str]) -> None:
    """Raise ConfigError if a role that a column is named for is unknown."""
    for role in columns:
        if role not in COLUMN_NAMES:
            known = ", ".join(COLUMN_NAMES)
            raise ConfigError(f"unknown column role {role!r}; expected one of {known}.{near_miss(role, COLUMN_NAMES)}")


class Columns:
    """The columns of one row by role; remembers which ones were read.

    Args:
        values: The row.
        named: A column or a path into one (`messages[-1].content`) for each role whose name says nothing.
    """

    def __init__(self, values: Mapping[str, Any], named: Mapping[str, str] | None = None) -> None:
        self.values = values
        self._named = dict(named or {})
        self.read: dict[str, str] = {}

    def get(self, role: str) -> Any:
        """Return the value of a role, and note where it came from; None if the row has none.

        Raises:
            RowError: The role is named a column that the row does not have.
        """
        for name in self._names(role):
            value = value_at(self.values, name)
            if not is_missing(value):
                self.read[role] = name
                return value
        if role in self._named and value_at(self.values, self._named[role], is_strict=True) is _ABSENT:
            raise RowError(f"no column {self._named[role]!r} for {role}; got {shown_names(self.values)}")
        return None

    def has(self, role: str) -> bool:
        """Whether the row has a column for a role, perhaps an empty one."""
        return any(value_at(self.values, name, is_strict=True) is not _ABSENT for name in self._names(role))

    def take(self, *names: str) -> None:
        """Note columns that were read outside of their roles."""
        self.read |= {f"column {name}": name for name in names}

    def by_role(self) -> dict[str, list[str]]:
        """Return the columns that were read, by role; others than a role's own are the pair's or the rubric's."""
        found: dict[str, list[str]] = {}
        for role, name in self.read.items():
            if role.startswith("column "):
                role = "rubric" if _FLAT_RUBRIC.fullmatch(name) else "pair"  # noqa: PLW2901
            found.setdefault(role, []).append(name)
        return found

    def reference(self) -> str | None:
        """Return the reference answer as text; a number is written out, and NaN is none.

        Raises:
            RowError: It is neither a text nor a number.
        """
        value = self.get("reference_answer")
        if isinstance(value, list | tuple) and len(value) == 1:
            [value] = value
        if value is None or isinstance(value, str):
            return value or None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value:g}" if isinstance(value, float) else str(value)
        raise RowError(f"got {type(value).__name__} as the reference answer; expected a text")

    def rubrics(self, default: tuple[Rubric, ...]) -> tuple[Rubric, ...]:
        """Return the row's own rubrics, else the default ones; a rubric that cannot be read is never covered by them.

        Raises:
            RubricError: The row's rubric cannot be read, or there is none.
        """
        if found := self.own_rubrics() or default:
            return found
        raise RubricError(
            "no rubric; give the row a 'rubric' column, or all rows one with --rubric (for example helpfulness)"
        )

    def own_rubrics(self) -> tuple[Rubric, ...]:
        """Return the row's own rubrics, empty if it has none.

        Raises:
            RubricError: They cannot be read.
        """
        value = self.get("rubric")
        if value:
            return _parsed(value, self.read["rubric"])
        levels = {name: self.values[name] for name in self.values if _FLAT_RUBRIC.fullmatch(str(name))}
        flat = {name: text for name, text in levels.items() if not is_missing(text)}
        self.take(*flat)
        return parse_rubrics(flat) if flat else ()

    def unread(self) -> list[str]:
        """Return the columns whose meaning is known and that nobody read, unless they repeat what was read."""
        taken = {name.partition(".")[0].partition("[")[0] for name in self.read.values()}
        seen = "\n".join(_texts([self.values.get(name) for name in taken]))
        return [
            name
            for role in _WARNED_ROLES
            for name in COLUMN_NAMES[role]
            if name not in taken and name in self.values and not _repeats(self.values[name], seen)
        ]

    def _names(self, role: str) -> tuple[str, ...]:
        return (self._named[role],) if role in self._named else COLUMN_NAMES[role]


_ABSENT = object()
_LONG_ENOUGH = 20  # characters of a line that is not in another text by chance


def value_at(values: Mapping[str, Any], path: str, *, is_strict: bool = False) -> Any:
    """Return the value at a path such as `messages[-1].content`; None if there is none."""
    if path in values:
        return values[path]
    found: Any = values
    for key, index in _STEP.findall(path):
        try:
            found = found[int(index)] if index else found[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT if is_strict else None
    return found


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, or the NaN that tables keep instead."""
    return value is None or (isinstance(value, float) and isnan(value))


def shown_names(values: Mapping[str, Any]) -> str:
    """Return a row's column names for an error message."""
    return ", ".join(sorted(map(str, values))) or "no columns"


def _parsed(value: Any, column: str) -> tuple[Rubric, ...]:
    try:
        return parse_rubrics(value)
    except RubricError as error:
        raise RubricError(f"column {column!r}: {error}") from error


def _repeats(value: Any, seen: str) -> bool:
    """Whether a value says nothing that was not read: it is empty, or its texts and those read hold each other."""
    texts = [text.strip() for text in _texts(value) if text.strip()]
    lines = [line for line in seen.split("\n") if len(line) > _LONG_ENOUGH]
    return all(text in seen or any(line in text for line in lines) for text in texts)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key not in ("role", "from"):
                yield from _texts(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, int | float) and not is_missing(value):
        yield str(value)
