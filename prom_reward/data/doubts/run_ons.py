"""Responses that go on with the next turn of a dialogue after the answer, as of a model that was not stopped."""

import re
from collections.abc import Iterator
from itertools import islice

from prom_reward.data.doubts.dialogues import ASSISTANTS, LINE, USERS, first_line
from prom_reward.data.formats import Example
from prom_reward.prompts.transcripts import DIALOGUE_OPENING

_COLON = re.compile(r"\n[ \t]*((?:#{2,3} ?)?(?:\*\*)?(?:Human|User|USER)(?:\*\*)?:)[ \t*]*(\S.*)?")
_INSTRUCTION = re.compile(r"\n[ \t]*#{2,3} ?(Instruction:)(?=\s*\S)")  # Alpaca's
_RESPONSE = re.compile(r"\n[ \t]*#{2,3} ?Response:")
_INLINE = re.compile(r"[.!?)\"'`*]\s+(USER:)\s+\S")  # Vicuna's, and an answer's end before it
_INST = re.compile(r"\n[ \t]*(\[INST\])[ \t]*\S")
_GLUED = re.compile(r"[.!?)\"'`*\]](assistant|user)\n\n\s*\S")  # Llama 3's, without its tokens
_ASSISTANT = re.compile(
    rf"^[ \t]*(?:#{{2,3}} ?)?(?:\*\*)?(?:{'|'.join(ASSISTANTS)})(?:\*\*)?:", re.MULTILINE | re.IGNORECASE
)
_SPEAKER = re.compile(
    rf"^[ \t]*(?:#{{2,3}} ?)?(?:\*\*)?(?:{'|'.join((*USERS, *ASSISTANTS))})(?:\*\*)?:", re.MULTILINE | re.IGNORECASE
)
_LABEL = re.compile(r"[ \t]*(?:[-*+•|>]|\d{1,3}[.)]|[\w*#][\w*# /-]{0,30}:)")
_ABOUT_DIALOGUES = re.compile(
    r"\b(?:dialog(?:ue)?|conversation|chat(?:bot)?|script|screenplay|interview|role-?play|skit|scene|transcript|exchange"
    r"|few-shot|template|token|persona)s?\b",
    re.IGNORECASE,
)
_SENTENCE_END = (".", "!", "?", ":", ")", '"', "'", "`", "*", "]", "…", "。", "！", "？")
_MIN_WORDS = 3
_MAX_MARKS = 32  # of a kind that are looked at in one response


def run_on(example: Example) -> str:
    """Return the mark of the next turn in a response that goes on after its answer; else nothing.

    A question about dialogues may have them in its answer, and so may a text in a fence of code.
    """
    for instruction, response in example.texts():
        if "\n" not in response and "USER:" not in response:
            continue
        found = next(_marks(response), "")
        if found and not _ABOUT_DIALOGUES.search(instruction.replace(DIALOGUE_OPENING, "")):
            return found
    return ""


def _marks(text: str) -> Iterator[str]:
    for found in islice(_COLON.finditer(text), _MAX_MARKS):
        if _opens_turn(text, found):
            yield found[1].strip("*# ")
            break
    kinds = (_INLINE, _INST, *((_INSTRUCTION,) if _RESPONSE.search(text) else ()))
    for found in (one for kind in kinds for one in islice(kind.finditer(text), _MAX_MARKS)):
        if _is_after_answer(text[: found.start(1)].rstrip("# ")):
            yield found[1]
    yield from (f"the word {found[1]!r} and a blank line" for found in _GLUED.finditer(text))
    yield from (f"a line {found!r}" for found in _lines(text))


def _opens_turn(text: str, found: "re.Match[str]") -> bool:
    """Whether a user's mark follows an answer, and is no entry of a list such as a form or a comparison."""
    before, after = text[: found.start()], text[found.end() :]
    if not _is_after_answer(before):
        return False
    if _ASSISTANT.search(after):
        return True
    beside = (before.rstrip("\n").rpartition("\n")[2], after.lstrip("\n").partition("\n")[0])
    is_sentence = len((found[2] or "").split()) >= _MIN_WORDS
    return is_sentence and not any(map(_LABEL.match, beside))


def _is_after_answer(before: str) -> bool:
    """Whether what stands before a turn is an answer: no opening of an example, no dialogue, and no open fence."""
    answer = before.rstrip().rstrip("*_ \n")
    is_opened = not answer or answer.endswith(":")
    return not is_opened and not _SPEAKER.search(before) and before.count("```") % 2 == 0


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of one role's word alone that open a turn after an answer."""
    marks = list(LINE.finditer(text))
    for at, mark in enumerate(marks[:_MAX_MARKS]):
        before, after = (
            text[: mark.start()].rstrip(),
            text[mark.end() : marks[at + 1].start() if marks[at + 1 :] else None],
        )
        if not before or not after.strip() or not _is_after_answer(before):
            continue
        goes_on = any(other[1] != mark[1] and other[1] in ("assistant", "model") for other in marks[at + 1 :])
        is_turn = before.endswith(_SENTENCE_END) and len(first_line(after).split()) >= _MIN_WORDS - 1
        if mark[1] in ("user", "human", "assistant") and (goes_on or is_turn):
            yield mark[1]
