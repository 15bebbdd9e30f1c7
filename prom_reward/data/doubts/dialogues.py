"""Dialogues that are written as text in another form than the one that is read: they are judged as one text."""

import re
from collections.abc import Iterable

from prom_reward.data.formats import Example
from prom_reward.prompts.messages import dialogue_messages
from prom_reward.prompts.transcripts import PromptValue

_USERS = ("Human", "User", "H", "Customer", "Prompter")
_ASSISTANTS = ("Assistant", "Bot", "A", "AI", "Chatbot", "ChatGPT", "GPT", "Agent", "Model")
_MARK = re.compile(rf"^[ \t]*(?:\*\*)?({'|'.join((*_USERS, *_ASSISTANTS))})(?:\*\*)?:", re.MULTILINE | re.IGNORECASE)

_LINE_END = re.compile(r"[^\n]\n(?:User|Assistant):")


def unread_dialogue(example: Example) -> str:
    """Return the speakers of a text that begins like a dialogue of several turns and is read as one; else nothing.

    `Human:` and `Assistant:`, and `H:` and `A:`, are read if a blank line stands before each.
    """
    prompts = () if _is_as_judged(example.prompt) else (example.prompt,)
    texts = (text for text in (*prompts, *example.responses) if isinstance(text, str))
    return next(filter(None, map(_unread_speakers, texts)), "")


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
    if not (_has(speakers, _USERS) and _has(speakers, _ASSISTANTS)):
        return ""
    read = dialogue_messages(text) or ()
    return " and ".join(f"{name}:" for name in speakers[:2]) if len(read) < len(marks) else ""


def _has(speakers: Iterable[str], names: Iterable[str]) -> bool:
    return not {name.lower() for name in names}.isdisjoint(name.lower() for name in speakers)
