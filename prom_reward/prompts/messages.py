"""Every layout in which chat messages are stored, read into one.

OpenAI, ShareGPT, Gemini and Anthropic messages, their roles and content blocks, messages stored as text, and dialogues
as `Human:` / `Assistant:` text. What is not understood is refused: a word that is dropped is a wrong judgment.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prom_reward.errors import RowError, near_miss
from prom_reward.prompts.content import Message, Parts, Role, first_of, parsed_text, stored_call, written_call

ROLES: Mapping[str, Role] = {
    **dict.fromkeys(("system", "developer", "context"), "system"),
    **dict.fromkeys(("user", "human", "prompter", "instruction", "question"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatbot", "ai", "chatgpt", "agent", "claude"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "ipython", "environment", "tool_response"), "tool"),
    **dict.fromkeys(("function_response", "function_result", "tool_result"), "tool"),
}
"""The roles of all layouts, by their names in lower case."""
_CALL_ROLES = ("function_call", "tool_call")  # ShareGPT: a turn of the assistant that is a call
_ROLE_KEYS = ("role", "from", "speaker", "author", "sender")
_TEXT_KEYS = ("content", "value", "parts", "text", "message")
_THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking")
_DIALOGUE_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant|H|A): ?")
_IS_DIALOGUE = re.compile(r"\A\s*(?:Human|H): ?.*\n\n(?:Assistant|A):", re.DOTALL)


def read_messages(value: Any, what: str = "messages", *, default_role: str | None = None) -> list[Message]:
    """Read messages in any layout.

    Args:
        value: A list of messages, or one message.
        what: A name for error messages, for example "completion".
        default_role: The role of a last message that states none.

    Raises:
        RowError: A message has an unknown role, no content that is understood, or is no mapping.
    """
    items = [value] if isinstance(value, Mapping) else value
    if not isinstance(items, Sequence) or isinstance(items, str | bytes):
        raise RowError(f"got a {what} of type {type(value).__name__}; expected a string or a list of messages")
    found: list[Message] = []
    for number, item in enumerate(items, start=1):
        role = default_role if number == len(items) else None
        found += _read(item, f"{what}, message {number}", role)
    return found


def stored_messages(text: str) -> list[Message] | None:
    """Read a text that is a list of messages, as JSON or as Python writes it, or a Human/Assistant dialogue.

    Returns:
        The messages, or None if the text is a text.
    """
    if _IS_DIALOGUE.match(text):
        return _dialogue(text)
    stripped = text.strip()
    if not (stripped.startswith(("[{", "[ {", "[\n")) and stripped.endswith("]")):
        return None
    value = parsed_text(stripped)
    is_list = isinstance(value, list) and bool(value)
    is_messages = is_list and all(isinstance(one, Mapping) and _is_stored(one) for one in value)
    return read_messages(value) if is_messages else None


def _is_stored(item: Mapping[str, Any]) -> bool:
    """Whether a parsed mapping is a message; an answer in JSON may have keys such as `author` too."""
    role = item.get("role") or item.get("from")
    return (
        isinstance(role, str)
        and role.lower() in {*ROLES, *_CALL_ROLES}
        and bool(item.keys() & {*_TEXT_KEYS, "tool_calls"})
    )


def _dialogue(text: str) -> list[Message]:
    """Read HH-RLHF's text form."""
    marks = list(_DIALOGUE_TURN.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    roles: dict[str, Role] = {"H": "user", "A": "assistant"}
    return [
        Message(role=roles[mark[1][0]], text=text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    ]


def _read(item: Any, where: str, default_role: str | None = None) -> Iterator[Message]:
    if not isinstance(item, Mapping):
        raise RowError(f"{where}: got {type(item).__name__}; expected a mapping with role and content")
    written = first_of(item, _ROLE_KEYS)
    written = written.get("role") if isinstance(written, Mapping) else written or default_role
    if not isinstance(written, str):
        raise RowError(f"{where}: got the role {written!r:.40}; expected one of {', '.join(ROLES)}")
    text = first_of(item, _TEXT_KEYS)
    if written.lower() in _CALL_ROLES:
        yield Message(role="assistant", calls=(written_call(stored_call(text), where),))
        return
    role = ROLES.get(written.lower())
    if role is None:
        raise RowError(
            f"{where}: unknown role {written!r:.40}; expected one of {', '.join(ROLES)}.{near_miss(written, ROLES)}"
        )
    name = str(item.get("name") or "") if role == "tool" else ""
    parts = Parts(where)
    parts.add(text)
    if isinstance(item.get("refusal"), str):
        parts.texts.append(item["refusal"])
    parts.thoughts += [item[key] for key in _THOUGHT_KEYS if isinstance(item.get(key), str) and item[key]]
    parts.calls += [written_call(call, where) for call in _list(item.get("tool_calls"), where)]
    if isinstance(item.get("function_call"), Mapping):
        parts.calls.append(written_call(item["function_call"], where))
    if item.get("channel") in ("analysis", "commentary") and role == "assistant":  # harmony, taken apart by a server
        parts.thoughts, parts.texts = [*parts.thoughts, *parts.texts], []
    yield from parts.messages(role, name)


def _list(value: Any, where: str) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value
    raise RowError(f"{where}: got tool calls of type {type(value).__name__}; expected a list")
