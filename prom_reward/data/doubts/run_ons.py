"""Responses that go on with the next turn of a dialogue after the answer, as of a model that was not stopped."""

import re
from collections.abc import Iterator
from itertools import islice

from prom_reward.data.doubts.dialogues import ASSISTANTS, LINE, USERS, first_line, speaker_mark
from prom_reward.data.formats import Example
from prom_reward.prompts.transcripts import DIALOGUE_OPENING

_HEADING = r"(?:#{2,3} ?)?"
_COLON = re.compile(rf"\n[ \t]*({_HEADING}(?:\*\*)?(?:Human|User|USER)(?:\*\*)?:)[ \t*]*(\S.*)?")
_INSTRUCTION = re.compile(r"\n[ \t]*#{2,3} ?(Instruction:)(?=\s*\S)")  # Alpaca's
_RESPONSE = re.compile(r"\n[ \t]*#{2,3} ?Response:")
_ANSWER_END = r"[.!?)\"'`*]"
_INLINE = re.compile(rf"{_ANSWER_END}[ \t]+(USER:)[ \t]+\S")  # Vicuna's
_INLINE_WORDS = re.compile(rf"{_ANSWER_END}[ \t]+(USER:)(?:[ \t]+[^\s:]+){{3}}(?!\S)")
_INST = re.compile(r"\n[ \t]*(\[INST\])[ \t]*\S")
_GLUED = re.compile(rf"(?:{_ANSWER_END}|\])(assistant|user)\n\n\s*\S")  # Llama 3's, without its tokens
_CODE = re.compile(
    r"^\s*(?:(?:const|let|var|final|auto|static) )?[\w.\[\]'\"]+(?:: ?[\w.\[\]]+)?\s*[-+*/|]?=(?!=)"  # an assignment
    r"|\bimport\b|^\s*(?:return|yield|await|del)\b"
    r"|[.(\[][A-Za-z_]\w*\.$|\w\([^()]*\)\.$|^\s*[a-z_]\w*\.$"  # an object and its attribute's dot
    r"|\b(?:self|this|req|request|session|context|ctx|auth|app|message|event|state|props|[a-z]+_\w+|[a-z]+[A-Z]\w*)\.$"
    r"|(?:^|[\s(])[\"'`*]+$"  # marks that open
)
"""The beginning of a line after which `user` is a name, and no turn."""
_SPEAKER = speaker_mark((*USERS, *ASSISTANTS), _HEADING)
_ASSISTANT = speaker_mark(ASSISTANTS, _HEADING)
_TEMPLATE_ASSISTANT = speaker_mark(("Assistant", "Bot"), _HEADING)
"""Marks that templates write; the other names are as often an entry's in a list or a comparison."""
_OTHER_ROLE = speaker_mark(("System", "Developer", "Tool", "Admin", "Administrator", "Moderator", "Guest"), _HEADING)
_LABEL = re.compile(r"[ \t]*(?:[-*+•|>]|\d{1,3}[.)]|[\w*#][\w*# /-]{0,30}:)")
_WORD_LINE = re.compile(r"^[ \t]*[\w-]+[ \t]*$", re.MULTILINE)
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
    inline = _INLINE if "ASSISTANT:" in text else _INLINE_WORDS
    kinds = (inline, _INST, *((_INSTRUCTION,) if _RESPONSE.search(text) else ()))
    for found in (one for kind in kinds for one in islice(kind.finditer(text), _MAX_MARKS)):
        if _is_after_answer(text[: found.start(1)].rstrip("# ")):
            yield found[1]
    for found in islice(_GLUED.finditer(text), _MAX_MARKS):
        before = text[: found.start(1)]
        is_name = found[1] == "user" and _CODE.search(before.rpartition("\n")[2])
        if _is_after_answer(before) and not is_name:
            yield f"the word {found[1]!r} and a blank line"
    yield from (f"a line {found!r}" for found in _lines(text))


def _opens_turn(text: str, found: "re.Match[str]") -> bool:
    """Whether a user's mark follows an answer, and is no entry of a list such as a form, roles or a comparison."""
    before, after = text[: found.start()], text[found.end() :]
    if not _is_after_answer(before) or _OTHER_ROLE.search(text):
        return False
    if _TEMPLATE_ASSISTANT.search(after):
        return True
    said = (found[2] or "").rstrip("* \t")
    if _ASSISTANT.search(after):
        return said.endswith("?")
    beside = (before.rstrip("\n").rpartition("\n")[2], after.lstrip("\n").partition("\n")[0])
    return len(said.split()) >= _MIN_WORDS and not any(map(_LABEL.match, beside))


def _is_after_answer(before: str) -> bool:
    """Whether what stands before a turn is an answer: no opening of an example, no dialogue, and no open fence."""
    answer = before.rstrip().rstrip("*_ \n")
    is_opened = not answer or answer.endswith(":")
    return not is_opened and not _SPEAKER.search(before) and before.count("```") % 2 == 0


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of one role's word alone that open a turn after an answer; in a glossary other words do so."""
    marks = list(LINE.finditer(text))
    has_entries = bool(marks) and any(not LINE.match(one[0]) for one in _WORD_LINE.finditer(text))
    starts = [*(mark.start() for mark in marks), len(text)]
    for at, mark in enumerate(marks[:_MAX_MARKS], 1):
        before, said = text[: mark.start()].rstrip(), text[mark.end() : starts[at]]
        if not before or not said.strip() or not _is_after_answer(before):
            continue
        goes_on = any(other[1] != mark[1] and other[1] in ("assistant", "model") for other in marks[at:])
        is_turn = before.endswith(_SENTENCE_END) and len(first_line(said).split()) >= _MIN_WORDS - 1
        if mark[1] in ("user", "human", "assistant") and (goes_on or (is_turn and not has_entries)):
            yield mark[1]
