"""Dialogues that are written as text in another form than the one that is read: they are judged as one text."""

import re
from collections.abc import Iterable
from itertools import pairwise

from prom_reward.data.formats import Example
from prom_reward.prompts.dialogues import dialogue_messages
from prom_reward.prompts.transcripts import PromptValue

USERS = ("Human", "User", "H", "Customer", "Prompter")
ASSISTANTS = ("Assistant", "Bot", "A", "AI", "Chatbot", "ChatGPT", "GPT", "Agent", "Model")

LINE = re.compile(r"^[ \t]*(system|user|human|assistant|model|tool)[ \t]*$", re.MULTILINE)
"""A line of a role's word alone, as templates leave it if their tokens are skipped."""

_LINE_END = re.compile(r"[^\n]\n(?:User|Assistant):")


def speaker_mark(names: Iterable[str], heading: str = "") -> "re.Pattern[str]":
    """Return the pattern of a line's beginning with a speaker's name, perhaps in bold, and a colon.

    Args:
        names: The speakers, in any case.
        heading: The pattern of marks before the name.
    """
    return re.compile(rf"^[ \t]*{heading}(?:\*\*)?({'|'.join(names)})(?:\*\*)?:", re.MULTILINE | re.IGNORECASE)


_MARK = speaker_mark((*USERS, *ASSISTANTS))


def unread_dialogue(example: Example) -> str:
    """Return the speakers of a text that begins like a dialogue of several turns and is read as one; else nothing.

    `Human:` and `Assistant:`, and `H:` and `A:`, are read if a blank line stands before each. Lines of one word, `user`
    and `assistant`, are what a template leaves without its tokens.
    """
    prompts = () if _is_as_judged(example.prompt) else (example.prompt,)
    texts = [text for text in (*prompts, *example.responses) if isinstance(text, str)]
    return next(filter(None, map(_unread_speakers, texts)), "") or next(filter(None, map(_lines, texts)), "")


def _is_as_judged(prompt: PromptValue) -> bool:
    """Whether a prompt has the paragraphs in which a judge reads all dialogues, as in MT-Bench's file."""
    if not isinstance(prompt, str):
        return False
    speakers = {mark[1] for mark in _MARK.finditer(prompt)}
    return speakers == {"User", "Assistant"} and not _LINE_END.search(prompt)


def _unread_speakers(text: str) -> str:
    marks = list(_MARK.finditer(text))
    if len(marks) < 2 or text[: marks[0].start()].strip():
        return ""
    speakers = list(dict.fromkeys(mark[1] for mark in marks))
    if not (_has(speakers, USERS) and _has(speakers, ASSISTANTS)):
        return ""
    read = dialogue_messages(text) or ()
    return " and ".join(f"{name}:" for name in speakers[:2]) if len(read) < len(marks) else ""


def _lines(text: str) -> str:
    """Return the first two roles of a text in which lines of one word open all turns."""
    marks = list(LINE.finditer(text)) if LINE.match(text.lstrip()) else []
    turns = [text[mark.end() : after.start()] for mark, after in pairwise(marks)]
    roles = list(dict.fromkeys(mark[1] for mark in marks))
    is_dialogue = len(roles) > 1 and all(map(str.strip, turns)) and not {"user", "human"}.isdisjoint(roles)
    return f"lines {roles[0]!r} and {roles[1]!r}" if is_dialogue else ""


def first_line(text: str) -> str:
    """Return the first line of a text that holds anything."""
    return text.lstrip().partition("\n")[0]


def _has(speakers: Iterable[str], names: Iterable[str]) -> bool:
    return not {name.lower() for name in names}.isdisjoint(name.lower() for name in speakers)
