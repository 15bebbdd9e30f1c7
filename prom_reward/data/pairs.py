"""Preference pairs in every layout: which two answers, which of them is preferred, and the prompt that they share."""

import re
from collections.abc import Sequence
from typing import Any

from prom_reward.data.columns import Columns, is_missing
from prom_reward.errors import RowError
from prom_reward.prompts.content import Message
from prom_reward.prompts.messages import dialogue_messages, read_messages, stored_messages
from prom_reward.prompts.transcripts import PromptValue

DIALOGUE_END = "\n\nAssistant:"
"""How Anthropic's HH-RLHF ends the prompt inside of `chosen` and `rejected`."""

_SIDES = (
    ("orig_response_A", "orig_response_B"),  # Preference-Collection
    ("response_A", "response_B"),
    ("response_a", "response_b"),
    ("output_1", "output_2"),  # LLMBar, AlpacaEval
    ("response_1", "response_2"),
    ("response1", "response2"),  # HelpSteer3, PandaLM
    ("response_0", "response_1"),  # PKU-SafeRLHF
    ("answer_a", "answer_b"),
    ("completion_a", "completion_b"),
    ("human_ref_A", "human_ref_B"),  # SHP
    ("conversation_a", "conversation_b"),  # Arena
)
_VERDICTS = (
    *("orig_preference", "preference", "winner", "label", "labels", "overall_preference", "judgment", "chosen_label"),
    *("better_response_id", "annotator1"),
)
_FIRST = re.compile(r"(?:model_|response_|answer_|output_)?(?:a|1)|a\s*(?:>|>>|≻)\s*b", re.IGNORECASE)
_SECOND = re.compile(r"(?:model_|response_|answer_|output_)?(?:b|2)|b\s*(?:>|>>|≻)\s*a|a\s*<<?\s*b", re.IGNORECASE)
_TIE = re.compile(r"tie.*|c|a\s*=+\s*b|both.*|equal.*", re.IGNORECASE)


def two_sides(columns: Columns) -> tuple[Any, Any] | None:
    """Return the preferred and the other answer of a row; None if it holds no pair.

    Raises:
        RowError: One side is missing, or the row does not say which side is preferred.
    """
    chosen, rejected = columns.get("chosen"), columns.get("rejected")
    if rejected is not None and chosen is None:  # ms-swift: the preferred answer ends the messages, or is the response
        chosen = _last_answer(columns)
    if chosen is not None and rejected is not None:
        return _one(chosen, "chosen"), _one(rejected, "rejected")
    if columns.has("chosen") or columns.has("rejected"):
        missing, other = ("rejected", "chosen") if chosen is not None else ("chosen", "rejected")
        raise RowError(f"a pair without {missing!r}; expected a response beside {other!r}")
    return _voted(columns)


def split_pair(prompt: Any, chosen: Any, rejected: Any) -> tuple[PromptValue, PromptValue, PromptValue]:
    """Return the prompt and both answers; a prompt inside of the sides is taken out of them.

    Raises:
        RowError: There is no prompt, the sides begin with different prompts, or with another than the row states.
    """
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise RowError("got a text and messages as the two sides; expected both of one kind")
    if isinstance(chosen, str):
        return _split_texts(prompt, chosen, rejected)
    sides = [side if isinstance(side, Sequence) else [side] for side in (chosen, rejected)]
    if prompt is not None and not any(_asks(side) for side in sides):
        return prompt, sides[0], sides[1]
    return _split_messages(prompt, *sides)


def _split_texts(prompt: Any, chosen: str, rejected: str) -> tuple[PromptValue, str, str]:
    ends = [_dialogue_end(side) for side in (chosen, rejected)]
    if prompt is not None and None in ends:
        return prompt, chosen, rejected
    if prompt is None and None in ends:
        raise RowError(
            "no prompt: got two answers and no column with the question; name it with --column prompt=NAME (a "
            "beginning that both answers share is no prompt)"
        )
    first, second = (side[:end] for side, end in zip((chosen, rejected), ends, strict=True))
    if first != second:
        raise RowError(f"the prompts of chosen and rejected differ: {_differing(first, second)}; expected one prompt")
    if prompt is not None:
        _check_repeated(prompt, dialogue_messages(first) or [])
    return first, chosen[len(first) :], rejected[len(first) :]


def _dialogue_end(text: str) -> int | None:
    """Return where the last answer of a Human/Assistant dialogue begins; None if the text is none."""
    if dialogue_messages(text) is None or DIALOGUE_END not in text:
        return None
    return text.rfind(DIALOGUE_END) + len(DIALOGUE_END)


def _split_messages(
    prompt: Any, chosen: Sequence[Any], rejected: Sequence[Any]
) -> tuple[PromptValue, PromptValue, PromptValue]:
    """Return the messages that both sides begin with, and what each goes on with: at least its last message."""
    shared = 0
    for one, other in zip(chosen[:-1], rejected[:-1], strict=False):
        if one != other:
            break
        shared += 1
    if not shared or any(_asks(side[shared:]) for side in (chosen, rejected)):
        raise RowError(
            f"the prompts of chosen and rejected differ at message {shared + 1}; expected conversations that differ in "
            "their answers alone, or a prompt column"
        )
    if prompt is not None:
        _check_repeated(prompt, read_messages(chosen[:shared], "chosen"))
    return chosen[:shared], chosen[shared:], rejected[shared:]


def _check_repeated(prompt: Any, begun: Sequence[Message]) -> None:
    """Raise RowError if the conversations begin with another prompt than the row's own column states."""
    stated = prompt if isinstance(prompt, str) else read_messages(prompt, "prompt")[-1].text
    said = [message.text.strip() for message in begun]
    as_messages = (stored_messages(prompt) or dialogue_messages(prompt)) if isinstance(prompt, str) else None
    if stated.strip() not in said and not as_messages:
        raise RowError(f"the conversations do not begin with the row's prompt {stated!r:.60}; expected the same prompt")


def _asks(messages: Sequence[Any]) -> bool:
    return any(message.role in ("user", "system") for message in read_messages(messages, "side"))


def _differing(first: str, second: str) -> str:
    at = next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), 0)
    begin = max(0, at - 20)
    return f"{first[begin : at + 20]!r} and {second[begin : at + 20]!r}"


def _one(value: Any, side: str) -> Any:
    """Return a side; of a list with one text that text."""
    if (
        isinstance(value, Sequence)
        and value
        and not isinstance(value, str)
        and all(isinstance(one, str) for one in value)
    ):
        if len(value) == 1:
            return value[0]
        raise RowError(
            f"got {len(value)} answers as {side!r}; expected one: write a row for each, or name one with --column "
            f"{side}={side}[0]"
        )
    return value


def _last_answer(columns: Columns) -> Any:
    response = columns.get("response")
    if response is not None:
        return response
    messages = columns.get("messages")
    read = read_messages(messages) if messages and not isinstance(messages, str) else []
    return read[-1].text if read and read[-1].role == "assistant" else None


def _voted(columns: Columns) -> tuple[Any, Any] | None:
    """Return the sides of a row that names its better one."""
    values = columns.values
    for names in _SIDES:
        first, second = (values.get(name) for name in names)
        if is_missing(first) or is_missing(second):
            continue
        verdict = next((name for name in _VERDICTS if not is_missing(values.get(name))), None)
        if verdict is None:
            raise RowError(
                f"got {names[0]} and {names[1]} and no column that says which is better; expected one of "
                f"{', '.join(_VERDICTS)}, or name both with --column chosen=... --column rejected=..."
            )
        columns.take(*names, verdict)
        is_first = _prefers_first(values[verdict], verdict, names)
        return (first, second) if is_first else (second, first)
    return None


def _prefers_first(value: Any, column: str, names: tuple[str, str]) -> bool:
    """Return whether a verdict is for the first side.

    Numbers: SHP's `labels` is 1 for A and 0 for B, PKU-SafeRLHF's `better_response_id` counts from 0, HelpSteer3's
    `overall_preference` is negative for the first; all others count the sides from 1.
    """
    number = _number(value)
    if number is not None:
        signed = {"overall_preference": -number, "labels": 2 * number - 1, "better_response_id": 1 - 2 * number}
        lead = signed.get(column, {1: 1, 2: -1}.get(int(number), 0))
        if lead:
            return lead > 0
    elif isinstance(value, str):
        text = value.strip().strip("[]")
        for pattern, is_first in ((_FIRST, True), (_SECOND, False)):
            if pattern.fullmatch(text):
                return is_first
        if text in names:
            return text == names[0]
    raise RowError(f"got {column}={value!r:.40}, which prefers neither side; expected A or B (ties are no pair)")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
