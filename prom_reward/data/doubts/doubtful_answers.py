"""Refuses answers that may be something else: a reference, the steps of one answer, a key."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from prom_reward.data.cells import is_empty, messages_of, read_cell, said, texts_of
from prom_reward.data.columns import Columns
from prom_reward.data.pairs.preferences import SIDES
from prom_reward.errors import RowError
from prom_reward.prompts.content import Message
from prom_reward.prompts.transcripts import PromptValue

AMBIGUOUS = ("output", "answer")
"""Columns of a response that hold the reference in other data sets."""
CHOICES = (
    *("choices", "options", "endings", "multiple_choices"),
    *(f"{name}{at}" for name in ("option_", "option", "choice_", "choice", "op") for at in "abcde12345"),
    *"abcde",
)
"""The choices of a question, in one column or in one for each, as they are written in lower case."""

REFERENCE_LIKE = re.compile(
    r"(?:gold(?:en|_standard)?|final|ideal|expected|desired|correct|target|ref(?:erence)?|gt|ground_truth|official|oracle)"
    r"(?:_(?:answer|response|output|solution|completion|text|result)s?)?|human_(?:answer|response)s?|answer_key"
)
"""Names of references beside the known ones, as `spelling` returns them."""
_ONE_KEY = r"\(?(?:[A-Ja-j]|[0-9])[).]?"
_KEY = re.compile(
    rf"(?:(?:option|choice|answer)\s*)?{_ONE_KEY}(?:\s*(?:[,;/&]|and)\s*{_ONE_KEY}){{0,9}}|[A-J]{{2,10}}", re.I
)
_POINTER = re.compile(
    r"(?:(?:response|answer|output|completion|model|assistant)[ _]?)?(?:[A-J]|-?[0-9]{1,3}(?:\.0)?)", re.I
)


def check_no_key(columns: Columns, answer: PromptValue) -> None:
    """Refuse letters or a number beside choices, as MMLU's, and a choice's own words: they say which one is right.

    Raises:
        RowError: It is so.
    """
    values = columns.values
    choices = [name for name in values if _is_choices(name) and not is_empty(values[name])]
    if not choices or not isinstance(answer, str):
        return
    text = answer.strip()
    if _KEY.fullmatch(text) or any(text == one.strip() for name in choices for one in texts_of(values[name])):
        name = columns.read["response"]
        raise RowError(
            f"got {name}={text!r:.40} and {str(choices[0])!r}, to which it may be the key; expected a response: name "
            f"it with --column response=..., or this one with --column response={name}"
        )


def check_no_pointers(columns: Columns, chosen: Any, rejected: Any) -> None:
    """Refuse sides of a pair that may point at answers elsewhere in the row: 0 and 1, A and B, or columns' names.

    Raises:
        RowError: It is so.
    """
    sides = [str(side).strip().lower() for side in (chosen, rejected)]
    names = {str(name).lower() for name in columns.values}
    several = columns.get("responses")
    columns.forget("responses")
    has_answers = (
        (len(several) > 1 if isinstance(several, list | tuple) else not is_empty(several))
        or any({one.lower() for one in pair} <= names for pair in SIDES)
        or all(any(name.endswith(f"_{side}") for name in names) for side in sides)
    )
    if names.issuperset(sides) or (has_answers and all(map(_POINTER.fullmatch, sides))):
        raise RowError(
            f"got chosen={str(chosen)!r:.40} and rejected={str(rejected)!r:.40}, which may point at other columns' "
            "answers; expected the answers themselves: name each, as --column chosen=responses[0]"
        )


def check_only_answer(columns: Columns, answer: PromptValue) -> None:
    """Refuse an answer beside a conversation that ends in another: the first may be the reference.

    Raises:
        RowError: It is so.
    """
    name, value = columns.read["response"], columns.get("messages")
    columns.forget("messages")
    read: Sequence[Message] = ()
    with suppress(RowError):  # messages that are not understood end in no answer
        read = messages_of(read_cell(value or "")) or ()
    if read and read[-1].role == "assistant" and said(read[-1].text) != said(answer):
        raise RowError(
            f"got {name!r} and a conversation that ends in another answer; name the one to judge with --column "
            f"response={name} or --column response=messages[-1].content"
        )


def check_no_steps(columns: Columns, several: Any) -> None:
    """Refuse the steps of one answer, each with its label, as TRL keeps them for stepwise supervision.

    Raises:
        RowError: It is so.
    """
    labels = columns.values.get("labels")
    are_steps = isinstance(labels, Sequence) and bool(labels) and all(isinstance(one, bool) for one in labels)
    if are_steps and isinstance(several, Sequence) and len(several) == len(labels or ()):
        name = columns.read["responses"]
        raise RowError(
            f"got {name!r} with a label for each, which may be the steps of one answer; expected whole answers: say so "
            f"with --column responses={name}"
        )


def _is_choices(name: object) -> bool:
    return str(name).strip().lower() in CHOICES
