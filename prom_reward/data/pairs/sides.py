"""Preference pairs: the two answers of a row, and the prompt that they share."""

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

from prom_reward.data.cells import cut_answer, is_whole, listed_texts, messages_of, read_answer, read_cell
from prom_reward.data.columns import Columns
from prom_reward.data.doubts.doubtful_answers import AMBIGUOUS, check_no_pointers
from prom_reward.data.doubts.null_columns import check_no_null_answer, check_not_null
from prom_reward.data.pairs.preferences import check_no_verdict, voted_sides
from prom_reward.data.questions import agreed_prompt
from prom_reward.errors import RowError
from prom_reward.prompts.transcripts import PromptValue

logger = logging.getLogger(__name__)

_MIN_WORDS = 8
"""Of a prompt that no answer begins with by itself."""


def two_sides(columns: Columns) -> tuple[PromptValue, PromptValue] | None:
    """Return the preferred and the other answer of a row, perhaps as whole conversations; None if it holds no pair.

    Raises:
        RowError: One side is missing, or the row does not say which side is preferred.
    """
    if columns.is_named("winner"):
        return _voted(columns)
    chosen, rejected = columns.get("chosen"), columns.get("rejected")
    if chosen is not None and rejected is not None:
        if not (columns.is_named("chosen") or columns.is_named("rejected")):
            check_no_pointers(columns, chosen, rejected)
        return _one(chosen, "chosen"), _one(rejected, "rejected")
    if rejected is not None and not columns.has("chosen") and (best := _best(columns, _one(rejected, "rejected"))):
        return best
    if columns.has("chosen") or columns.has("rejected"):
        check_no_verdict(columns)
        missing, other = ("rejected", "chosen") if chosen is not None else ("chosen", "rejected")
        raise RowError(f"a pair without {missing!r}; expected a response beside {other!r}")
    return _voted(columns)


def _voted(columns: Columns) -> tuple[PromptValue, PromptValue] | None:
    """Return the sides of a row that names its better answer."""
    voted = voted_sides(columns)
    if voted is None:
        return None
    asked = listed_texts(columns.get("prompt"))
    if asked is None or not any(map(listed_texts, voted)):
        columns.forget("prompt")
        return read_answer(voted[0]), read_answer(voted[1])
    columns.values = {**columns.values, columns.read["prompt"]: asked[0]}
    return _turns(asked, voted[0]), _turns(asked, voted[1])


def _turns(asked: Sequence[str], answers: Any) -> PromptValue:
    """Return a side whose turns stand in one list and the questions in another, as in the arena's CSV files."""
    texts = listed_texts(answers)
    if texts is None or len(texts) != len(asked):
        raise RowError(f"got a list of texts as the prompt and {answers!r:.60} as an answer; expected a text for each")
    if len(asked) == 1:
        return texts[0]
    return [
        {"role": role, "content": text}
        for turn in zip(asked, texts, strict=True)
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]


def split_pair(
    prompt: PromptValue | None, chosen: PromptValue, rejected: PromptValue
) -> tuple[PromptValue, PromptValue, PromptValue]:
    """Return the prompt and both answers; a prompt inside of the sides is taken out of them.

    Raises:
        RowError: There is no prompt, the sides begin with different prompts, or with another than the row states.
    """
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise RowError("got a text and messages as the two sides; expected both of one kind")
    are_whole = [is_whole(side, prompt) for side in (chosen, rejected)]
    if not all(are_whole):
        if prompt is None:
            raise RowError(
                "no prompt: got two answers and no column with the question; name it with --column prompt=NAME (a "
                "beginning that both answers share is no prompt)"
            )
        if any(are_whole):
            raise RowError("got an answer and a whole conversation as the two sides; expected both of one kind")
        if " " in str(prompt).strip() and all(_begins_with(side, prompt) for side in (chosen, rejected)):
            warn_of_repeated_prompt()
        return prompt, chosen, rejected
    if isinstance(chosen, str) and isinstance(rejected, str):
        (first, better), (second, worse) = cut_answer(chosen), cut_answer(rejected)
        if first != second:
            raise _differing(_first_difference(str(first), str(second)))
        return agreed_prompt(prompt, first), better, worse
    return _split_messages(prompt, list(chosen), list(rejected))


def repeats(answer: PromptValue, prompt: PromptValue | None, *, of_one_word: bool = False) -> bool:
    """Whether an answer begins with a prompt that is long or ends its line, or with any: "The sky is" may begin one."""
    if not isinstance(prompt, str) or not _begins_with(answer, prompt):
        return False
    return of_one_word or prompt.endswith("\n") or len(prompt.split()) >= _MIN_WORDS


def _begins_with(answer: PromptValue, prompt: PromptValue | None) -> bool:
    are_texts = isinstance(answer, str) and isinstance(prompt, str) and bool(prompt.strip())
    return are_texts and str(answer).lstrip().startswith(str(prompt).strip())


@cache
def warn_of_repeated_prompt() -> None:
    """Say, once in a process, that answers begin with their prompt."""
    logger.warning(
        "an answer begins with its prompt, which the judge then reads twice; cut it off if it is no part of the answer"
    )


def _split_messages(
    prompt: PromptValue | None, chosen: list[Any], rejected: list[Any]
) -> tuple[PromptValue, PromptValue, PromptValue]:
    """Cut off the messages that both sides begin with: all but the last at most, since the answers may be equal.

    Of several messages of the assistant at the end all are the answer's, and the last is judged.
    """
    shared = 0
    for one, other in zip(chosen[:-1], rejected[:-1], strict=False):
        if one != other and messages_of([one]) != messages_of([other]):  # other keys, such as a time, may differ
            break
        shared += 1
    while shared and [one.role for one in messages_of(chosen[shared - 1 : shared]) or ()] == ["assistant"]:
        shared -= 1
    if not shared or any(_asks(side[shared:]) for side in (chosen, rejected)):
        raise _differing(f"message {shared + 1} is another in each")
    return agreed_prompt(prompt, chosen[:shared]), chosen[shared:], rejected[shared:]


def _asks(messages: Sequence[Any]) -> bool:
    return any(message.role in ("user", "system") for message in messages_of(messages) or ())


def _differing(how: str) -> RowError:
    return RowError(
        f"the prompts of chosen and rejected differ: {how}; expected conversations that differ in their answers alone"
    )


def _first_difference(first: str, second: str) -> str:
    shorter = min(len(first), len(second))
    at = next((at for at in range(shorter) if first[at] != second[at]), shorter)
    begin = max(0, at - 20)
    return f"{first[begin : at + 20]!r} and {second[begin : at + 20]!r}"


def _one(value: Any, side: str) -> PromptValue:
    """Return a side; of a list with one answer that answer."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str) and bool(value)
    if is_list and all(isinstance(one, str) for one in value):
        if len(value) > 1:
            raise RowError(
                f"got {len(value)} answers as {side!r}; expected one: write a row for each, or name one with --column "
                f"{side}={side}[0]"
            )
        value = value[0]
    return read_answer(value)


def _best(columns: Columns, rejected: PromptValue) -> tuple[PromptValue, PromptValue] | None:
    """Return the sides of ms-swift's rows, whose preferred answer is the response, or the last of the messages."""
    response = columns.get("response")
    check_not_null(columns, "response", response)
    if response is not None:
        if columns.read["response"] in AMBIGUOUS and not columns.is_named("response"):
            check_no_null_answer(columns, columns.read["response"])
        return read_answer(response), rejected
    messages = read_cell(columns.get("messages") or "")
    read = messages_of(messages)
    if isinstance(messages, str) or not read or read[-1].role != "assistant":
        return None
    check_no_null_answer(columns, f"{columns.read['messages']}[-1].content")
    if isinstance(rejected, str):
        rejected = [{"role": "assistant", "content": rejected}]
    return (messages if is_whole(rejected) else messages[-1:]), rejected
