"""Every layout in which chat messages are stored, read into one.

OpenAI, ShareGPT, Gemini and Anthropic messages, their roles and content blocks, messages stored as text, and the
dialogues of `dialogues.py`. Anything else is refused: a dropped word is a wrong judgment.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeGuard

from prom_reward.errors import RowError, near_miss
from prom_reward.prompts.content import Message, Parts, Role, first_of, is_item, parsed_text, stored_call, written_call
from prom_reward.prompts.dialogues import dialogue_messages
from prom_reward.prompts.numpy_text import check_no_numpy_text
from prom_reward.prompts.unread_words import check_unread_words

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
TEXT_KEYS = ("content", "value", "parts", "text", "message")
"""The keys under which layouts keep a message's words."""
CALL_KEYS = ("tool_calls", "tool_call", "function_calls", "function_call")
"""The keys under which they keep its tool calls."""
_OTHER_CONTENT_KEYS = ("refusal", "audio", "additional_kwargs", *CALL_KEYS)
_SHOWN = re.compile(r"(image|video|audio)s?(?:_urls?)?")
_THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking", "tool_plan")
_CHANNELS = ("analysis", "commentary", "final")  # harmony, taken apart by a server: thoughts, thoughts, answer
_MESSAGE_KEYS = {
    *(*_ROLE_KEYS, *TEXT_KEYS, *_OTHER_CONTENT_KEYS, *_THOUGHT_KEYS),
    *("name", "id", "type", "channel", "tool_call_id"),
}
_ANSWER_KEYS = {*_ROLE_KEYS, *TEXT_KEYS, *CALL_KEYS, *_THOUGHT_KEYS, "refusal"}
# LangChain's messages name their role `type`, as `dumpd` and as their classes write it.
_TYPED_ROLES = {
    **{name: name for name in ("human", "ai", "system", "user", "assistant", "tool")},
    **{f"{name}Message": name.lower() for name in ("Human", "AI", "System", "Tool")},
}
_TURN_KEYS = (("input", "output"), ("human", "assistant"), ("user", "assistant"), ("question", "answer"))


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
    return _with_own_thoughts(found)


def last_role(value: Any) -> Role | None:
    """Return who speaks last in messages; None if the value is a text, empty, or states no known role."""
    last = value[-1] if isinstance(value, Sequence) and value else None
    written = first_of(last, _ROLE_KEYS) if isinstance(last, Mapping) else None
    return ROLES.get(_role_name(written)) if isinstance(written, str) else None


def turn_messages(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the messages of a turn that holds a question and its answer, as Capybara's do; a message as it is."""
    keys = next((keys for keys in _TURN_KEYS if item.keys() == set(keys)), None)
    if keys is None:
        return [item]
    turn = zip(("user", "assistant"), keys, strict=True)
    return [{"role": role, "content": item[key]} for role, key in turn if item[key]]


def stored_messages(text: str) -> list[Message] | None:
    """Read a text that is messages, by `listed_messages` and `dialogue_messages`; None if the text is a text."""
    return listed_messages(text) or dialogue_messages(text)


def listed_messages(text: str) -> list[Message] | None:
    """Read a text that is a list of messages or one message, as JSON or as Python writes it.

    Returns:
        The messages, or None if the text is a text, as one mapping with keys that no message has.
    """
    items = _stored_items(text)
    return read_messages(items) if items else None


def answer_items(text: str) -> Sequence[Mapping[str, Any]] | None:
    """Return the messages that an answer is, if it is stored as text.

    They are one message of the assistant, with its words, thoughts and calls alone; a list of an assistant's and its
    tools' messages; or a whole conversation.

    Returns:
        The messages, or None if the text is a text. An answer in JSON may look like a message: then it is judged whole.
    """
    items = _stored_items(text)
    try:
        read = read_messages(items) if items else []
    except RowError:
        return None
    if not items or not read:
        return None
    if text.lstrip().startswith("{"):
        is_answer = read[0].role == "assistant" and all(_told(item) <= _ANSWER_KEYS for item in items)
    elif read[0].role in ("system", "user"):
        is_answer = len(read) > 1
    else:
        is_answer = all(_told(item) <= _MESSAGE_KEYS for item in items)
    return items if is_answer else None


def _told(item: Mapping[str, Any]) -> set[str]:
    """Return the keys of a message that hold anything; clients write the others, too."""
    return {key for key, value in item.items() if value not in (None, "", [], {})}


def _stored_items(text: str) -> Sequence[Mapping[str, Any]] | None:
    """Return the mappings of messages that are stored as text, None if it is a text; refuse them in numpy's form."""
    stripped = text.strip()
    if not (stripped.startswith(("[", "{")) and stripped.endswith(("]", "}"))):
        return None
    value = parsed_text(stripped)
    if value is None and stripped.startswith("[{"):
        check_no_numpy_text(stripped, "messages")
    items = [value] if isinstance(value, Mapping) and _told(value) <= _MESSAGE_KEYS else value
    return items if are_messages(items) else None


def are_messages(value: object) -> TypeGuard[list[Mapping[str, Any]]]:
    """Whether a value is a list of messages with roles, not empty."""
    return isinstance(value, list) and bool(value) and all(map(_is_stored, value))


def _is_stored(item: object) -> bool:
    """Whether a parsed value is a message; an answer in JSON may have keys such as `author` too."""
    role = (item.get("role") or item.get("from")) if isinstance(item, Mapping) else None
    return (
        isinstance(item, Mapping)
        and isinstance(role, str)
        and _role_name(role) in {*ROLES, *_CALL_ROLES}
        and bool(item.keys() & {*TEXT_KEYS, "tool_calls"})
    )


def _with_own_thoughts(messages: list[Message]) -> list[Message]:
    """Join thoughts that are a message of their own, as in harmony, to the assistant's next message."""
    found: list[Message] = []
    for message in messages:
        before = found[-1] if found else None
        if message.role == "assistant" and before and _is_thought(before):
            thoughts = "\n\n".join(filter(None, (before.thoughts, message.thoughts)))
            found[-1] = replace(message, thoughts=thoughts, written="", is_apart=True)
        else:
            found.append(message)
    return found


def _is_thought(message: Message) -> bool:
    return message.role == "assistant" and bool(message.thoughts) and not (message.text or message.calls)


def _read(item: Any, place: str, default_role: str | None = None) -> Iterator[Message]:
    if not isinstance(item, Mapping):
        raise RowError(f"{place}: got {type(item).__name__}; expected a mapping with role and content")
    parts = Parts(place)
    written = first_of(item, _ROLE_KEYS)
    written = written.get("role") if isinstance(written, Mapping) else written
    if written is None and is_item(item):  # OpenAI's Responses keep calls, results and thoughts beside the messages
        parts.add(item)
        yield from parts.messages("assistant", "")
        return
    if written is None and isinstance(item.get("type"), str):
        written = _TYPED_ROLES.get(item["type"])
    if written is None and default_role is None:
        raise RowError(f"{place}: got no role but the keys {', '.join(map(str, item))}; expected 'role' and 'content'")
    role = _role(written or default_role, place)
    content = _content(item, place)
    if role == "call":
        yield Message(role="assistant", calls=(written_call(stored_call(content), place),))
        return
    parts.add(content)
    parts.texts += [text for text in (item.get("refusal"), _spoken(item)) if isinstance(text, str)]
    for one in (item[key] for key in _THOUGHT_KEYS if key in item):
        parts.add_thoughts(one if isinstance(one, str) else "")
    for kind in _media(item):
        parts.add_media(kind)
    parts.calls += [written_call(stored_call(call), place) for call in _calls(item, place)]
    parts.is_apart |= item.get("channel") in _CHANNELS
    if item.get("channel") in _CHANNELS[:2] and role == "assistant":
        parts.thoughts, parts.texts = [*parts.thoughts, *parts.texts], []
    is_empty = not (parts.texts or parts.thoughts or parts.calls or parts.results)
    others = {key: one for key, one in item.items() if key not in _MESSAGE_KEYS and not _SHOWN.fullmatch(str(key))}
    check_unread_words(others, place, is_all=is_empty)
    yield from parts.messages(role, str(item.get("name") or "") if role == "tool" else "")


def _role(written: object, place: str) -> Role | Literal["call"]:
    if not isinstance(written, str):
        raise RowError(f"{place}: got the role {written!r:.40}; expected one of {', '.join(ROLES)}")
    name = _role_name(written)
    if name in _CALL_ROLES:
        return "call"
    if name not in ROLES:
        raise RowError(
            f"{place}: unknown role {written!r:.40}; expected one of {', '.join(ROLES)}.{near_miss(name, ROLES)}"
        )
    return ROLES[name]


def _role_name(written: str) -> str:
    return written.strip().removesuffix(":").lower().replace("-", "_")


def _content(item: Mapping[str, Any], place: str) -> Any:
    """Return a message's content; a message that keeps its words elsewhere, or others in two places, is refused."""
    found = {key: item[key] for key in TEXT_KEYS if item.get(key) not in (None, "", [])}
    if len(found) > 1:
        said = [_words(value, place) for value in found.values()]
        if any(words != said[0] for words in said):
            raise RowError(f"{place}: got content under {' and '.join(found)}; expected one of them")
        return next((value for value in found.values() if not isinstance(value, str)), found[next(iter(found))])
    unread = item.keys() - {*_ROLE_KEYS, "name"}
    if unread and not unread & {*TEXT_KEYS, *_THOUGHT_KEYS, *_OTHER_CONTENT_KEYS}:
        raise RowError(f"{place}: got no content but the keys {', '.join(map(str, item))}; expected 'content'")
    return next(iter(found.values()), None)


def _words(content: Any, place: str) -> list[str]:
    parts = Parts(place)
    parts.add(content)
    return "".join(parts.texts).split()


def _spoken(item: Mapping[str, Any]) -> object:
    """Return the words of an answer that was spoken."""
    audio = item.get("audio")
    return audio.get("transcript") if isinstance(audio, Mapping) else None


def _media(item: Mapping[str, Any]) -> list[str]:
    """Return the kinds of media that stand beside a message's content, as Ollama's `images`."""
    found = [(_SHOWN.fullmatch(str(key)), value) for key, value in item.items() if value]
    return [match[1] for match, value in found if match and not (isinstance(value, Mapping) and "transcript" in value)]


def _calls(item: Mapping[str, Any], place: str) -> list[Any]:
    """Return a message's tool calls; LangChain may keep those of an API apart from its own."""
    calls = [call for key in CALL_KEYS if key != "tool_call" for call in _list(item.get(key), place)]
    one = item.get("tool_call")  # a flag or an id in some data sets, and in some the same as in `tool_calls`
    one = parsed_text(one) if isinstance(one, str) else one
    calls = calls or list(_list(one if isinstance(one, Mapping | list) else None, place))
    extra = item.get("additional_kwargs")
    return calls or (_calls(extra, place) if isinstance(extra, Mapping) else [])


def _list(value: Any, place: str) -> Sequence[Any]:
    """Return tool calls as a list; stored text is parsed, and text that is neither JSON nor Python is one call."""
    if isinstance(value, str) and value.strip():
        parsed = parsed_text(value)
        value = [value] if parsed is None else parsed
    if value is None or value == "":
        return ()
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value
    raise RowError(f"{place}: got tool calls of type {type(value).__name__}; expected a list")
