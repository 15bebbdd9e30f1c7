"""Dialogues that are one text, with `Human:` and `Assistant:` before the turns."""

import re

from prom_reward.prompts.content import Message, Parts, Role

_DIALOGUE_TURNS = tuple(
    (
        re.compile(rf"(?:\A\s*|\n\n)(?:({human})|{assistant}): ?"),
        re.compile(rf"\A\s*{human}:.*?\n\n{assistant}:", re.DOTALL),
    )
    for human, assistant in (("Human", "Assistant"), ("H", "A"))
)


def dialogue_messages(text: str) -> list[Message] | None:
    """Read a `Human: ...`, `Assistant: ...` text, as HH-RLHF's are; None if the text is another."""
    for turn, dialogue in _DIALOGUE_TURNS:
        if dialogue.match(text):
            marks = list(turn.finditer(text))
            ends = [mark.start() for mark in marks[1:]] + [len(text)]
            return [
                _spoken_turn("user" if mark[1] else "assistant", text[mark.end() : end].strip())
                for mark, end in zip(marks, ends, strict=True)
            ]
    return None


def _spoken_turn(role: Role, text: str) -> Message:
    parts = Parts("dialogue")
    parts.add(text)
    return next(parts.messages(role, ""))


def dialogue_answer_at(text: str) -> int | None:
    """Return the index after the mark of a dialogue's last answer; None if the text is no dialogue that ends in one."""
    for turn, dialogue in _DIALOGUE_TURNS:
        if dialogue.match(text):
            *_, last = turn.finditer(text)
            return None if last[1] else text.rindex(":", 0, last.end()) + 1
    return None
