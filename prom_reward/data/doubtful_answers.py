"""Refuses answers that may be something else: a reference, the steps of one answer, a key or an index."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from prom_reward.data.cells import is_empty, messages_of, read_text, said
from prom_reward.data.columns import Columns
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

_NUMBER = re.compile(r"[0-9]{1,3}(?:\.0)?")
_KEY = re.compile(r"\(?(?:[A-Ja-j]|[0-9])[).]?")


def check_no_key(columns: Columns, answer: PromptValue) -> None:
    """Refuse a letter or a number beside choices, as MMLU's: it is the key to the right one and no answer in words.

    Raises:
        RowError: It is so.
    """
    if not isinstance(answer, str) or not _KEY.fullmatch(answer.strip()):
        return
    values = columns.values
    if choices := next((str(name) for name in values if _is_choices(name) and not is_empty(values[name])), None):
        name = columns.read["response"]
        raise RowError(
            f"got {name}={answer.strip()!r} and {choices!r}, to which it may be the key; expected a response: name it "
            f"with --column response=..., or this one with --column response={name}"
        )


def check_not_gold(columns: Columns) -> None:
    """Refuse an `answer` beside a `solution`, as in sets of mathematics: both are the truth, and nobody has answered.

    Raises:
        RowError: It is so.
    """
    if columns.read["response"] != "answer" or is_empty(columns.get("reference_answer")):
        return
    if columns.read["reference_answer"] == "solution":
        raise RowError(
            "got 'answer' and 'solution', which may both be the reference; name the answer to judge with --column "
            "response=answer or --column response=solution"
        )


def check_no_index(columns: Columns, chosen: Any, rejected: Any) -> None:
    """Refuse two numbers as the sides of a pair beside several responses: they may count these, from 0 or from 1.

    Raises:
        RowError: It is so.
    """
    several = columns.get("responses")
    columns.forget("responses")
    are_numbers = all(_NUMBER.fullmatch(str(side)) for side in (chosen, rejected))
    if are_numbers and isinstance(several, list | tuple) and len(several) > 1:
        raise RowError(
            f"got chosen={chosen} and rejected={rejected} beside several responses, which they may count; expected the "
            "answers themselves: name one with --column chosen=... and --column rejected=..., as responses[0]"
        )


def _is_choices(name: object) -> bool:
    return str(name).strip().lower() in CHOICES


def check_only_answer(columns: Columns, answer: PromptValue) -> None:
    """Refuse an answer beside a conversation that ends in another: the first may be the reference.

    Raises:
        RowError: It is so.
    """
    name, value = columns.read["response"], columns.get("messages")
    columns.forget("messages")
    read: Sequence[Message] = ()
    with suppress(RowError):  # messages that are not understood end in no answer
        read = messages_of(read_text(value or "")) or ()
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
