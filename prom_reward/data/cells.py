"""The values of cells: texts, messages in any layout, messages stored as text, numbers and missing values."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import isfinite, isnan
from typing import Any

from prom_reward.data.api_texts import answer_path, is_openai_response
from prom_reward.errors import RowError
from prom_reward.prompts.content import Message, parsed_text
from prom_reward.prompts.dialogues import dialogue_answer_at, dialogue_messages
from prom_reward.prompts.messages import (
    CALL_KEYS,
    ROLES,
    TEXT_KEYS,
    answer_items,
    listed_messages,
    read_messages,
    stored_messages,
    turn_messages,
)
from prom_reward.prompts.transcripts import PromptValue

DIALOGUE_END = "\n\nAssistant:"
"""The end of the prompt inside of `chosen` and `rejected` in Anthropic's HH-RLHF."""
DIALOGUE_ENDS = (DIALOGUE_END, "\n\nA:")
"""All ends of prompts that are dialogues; the answer has a space after them."""

_ANSWER_KEYS = ("response", "completion", "answer", "text", "content", "generation", "output", "value")
_TEXT_KEYS = (*_ANSWER_KEYS[:-1], "explanation")  # a `value` may also rate the text
_PASSAGE_KEYS = ("text", "content", "page_content", "passage", "body", "snippet")
_SOURCE_KEYS = ("id", "doc_id", "docid", "url", "source")
_ROLE_KEYS = ("role", "from", "speaker", "author", "sender")


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, or the NaN that tables keep instead."""
    return value is None or (isinstance(value, float) and isnan(value))


def is_empty(value: Any) -> bool:
    """Whether a value holds nothing: a blank text, or a list or mapping of such, as Arrow pads structs with None.

    The same in JSON text holds nothing, too.
    """
    if isinstance(value, str):
        return value.strip() in ("", "[]", "{}", "null")
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    return all(map(is_empty, value)) if isinstance(value, list | tuple) else is_missing(value)


def is_blank(value: Any) -> bool:
    """Whether a value holds nothing, as `is_empty` says; but a text such as `[]` is a text."""
    return not value.strip() if isinstance(value, str) else is_empty(value)


def texts_of(value: Any) -> Iterator[str]:
    """Yield the texts and numbers in a value, without the roles of messages."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key not in ("role", "from"):
                yield from texts_of(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from texts_of(one)
    elif isinstance(value, int | float) and not is_missing(value):
        yield str(value)


def number_text(value: float) -> str:
    """Return a number as a person writes it: 4 for 4.0, and all digits of others."""
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


def read_cell(value: Any) -> PromptValue:
    """Return a string, or messages without the keys that Arrow pads with None.

    Messages that are stored as text, as CSV files hold them, become messages; a Human/Assistant dialogue stays a text.

    Raises:
        RowError: The value is neither a text, a number nor messages.
    """
    if isinstance(value, str):
        return value if listed_messages(value) is None else read_cell(parsed_text(value.strip()))
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return number_text(value)
    if isinstance(value, Mapping):
        _check_message(value)
        value = [value]
    if not isinstance(value, Sequence) or not all(isinstance(message, Mapping) for message in value):
        raise RowError(f"got {value!r:.60} as a text; expected a string or a list of messages")
    kept = [{key: item for key, item in message.items() if item is not None} for message in value]
    return [message for one in kept for message in turn_messages(one)]


def _check_message(value: Mapping[str, Any]) -> None:
    """Refuse a mapping that is no message, as Promptfoo's prompts."""
    if (
        value
        and value.keys().isdisjoint(("type", *_ROLE_KEYS, *TEXT_KEYS, *CALL_KEYS))
        and len(turn_messages(value)) < 2
    ):
        texts = [key for key, text in value.items() if isinstance(text, str)]
        raise RowError(
            f"got a mapping with the keys {', '.join(map(str, value))}; expected a text or messages: name the part "
            f"with them, as --column ROLE=NAME.{(texts or list(value))[0]}"
        )


def passages_text(value: Any) -> str | None:
    """Return passages as one text: a text, texts, or mappings such as `{"title": ..., "text": ...}`; else None.

    Empty ones do not count. A list that is stored as text stays as it stands: the question may be about it.
    """
    parts = [one for one in (value if isinstance(value, list | tuple) else [value]) if not is_empty(one)]
    texts = [one if isinstance(one, str) else _passage(one) for one in parts]
    found = [text.strip() for text in texts if text]
    return "\n\n".join(found) if found and len(found) == len(parts) else None


def _passage(value: Any) -> str | None:
    """Return a passage with its title; None if the mapping holds other words too, or is a message."""
    words = {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, Mapping) else {}
    told = [words.get("title"), *(words[key] for key in _PASSAGE_KEYS if key in words)]
    if len(told) != 2 or not words.keys() <= {"title", *_PASSAGE_KEYS, *_SOURCE_KEYS}:
        return None
    return "\n".join(filter(None, told))


def listed_texts(value: Any) -> list[str] | None:
    """Return the texts of a list of texts, perhaps stored as text; None if the value is none."""
    stripped = value.strip() if isinstance(value, str) else ""
    listed = parsed_text(stripped) if stripped.startswith("[") and stripped.endswith("]") else value
    is_list = isinstance(listed, list | tuple) and bool(listed) and all(isinstance(one, str) for one in listed)
    return list(listed) if is_list else None


def read_answer(value: Any) -> PromptValue:
    """Return an answer: a text, messages, or the text of a mapping such as UltraFeedback's and Nectar's.

    Raises:
        RowError: The value holds no answer.
    """
    if isinstance(value, str):
        items = answer_items(value)
        return value if items is None else read_cell(items)
    if isinstance(value, Mapping) and is_openai_response(value):
        return read_cell(value["output"])
    if not isinstance(value, Mapping) or any(map(partial(_names_role, value), _ROLE_KEYS)):
        _check_list(value)
        return read_cell(value)
    if "aliases" in value:  # TriviaQA's truth
        raise RowError("got an answer with aliases, which may be the reference; expected a response")
    text = next((value[key] for key in _ANSWER_KEYS if not is_missing(value.get(key))), None)
    if calls := {key: value[key] for key in CALL_KEYS if not is_empty(value.get(key))}:
        return read_cell({"role": "assistant", "content": text, **calls})
    _check_answer(value, text)
    return read_answer(text) if isinstance(text, str) else read_cell(text)


def _check_answer(value: Mapping[str, Any], text: Any) -> None:
    """Refuse an answer's mapping without a text, with an error in its place, or with two texts."""
    if is_empty(text) and not is_empty(value.get("error")):
        raise RowError(f"no response; got the error {str(value['error'])!r:.60} in its place")
    if text is None and (empty := [key for key in _ANSWER_KEYS if key in value]):
        raise RowError(f"got nothing in an answer's {empty[0]!r}; expected a text")
    if text is None:
        shown = ", ".join(sorted(map(str, value)))
        if path := answer_path(value):
            raise RowError(
                f"got an API's whole answer, with the keys {shown}; expected its words: name them with --column "
                f"ROLE=NAME.{path}"
            )
        raise RowError(f"got an answer with the keys {shown}; expected one of {', '.join(_ANSWER_KEYS)}")
    texts = {key: value[key].strip() for key in _TEXT_KEYS if isinstance(value.get(key), str) and value[key].strip()}
    if len(set(texts.values())) > 1:
        raise RowError(
            f"got an answer with other words in {' and '.join(map(repr, texts))}; expected one text: name it, as "
            f"--column ROLE=NAME.{next(iter(texts))}"
        )


def _check_list(value: Any) -> None:
    """Refuse an API's answers in a list, as TGI's, which are no messages."""
    first = value[0] if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping) else {}
    if first.keys().isdisjoint(("type", *_ROLE_KEYS, *TEXT_KEYS, *CALL_KEYS)) and (path := answer_path(first)):
        raise RowError(
            f"got an API's whole answer in a list, with the keys {', '.join(sorted(map(str, first)))}; expected its "
            f"words: name them with --column ROLE=NAME[0].{path}"
        )


def _names_role(value: Mapping[str, Any], key: str) -> bool:
    """Whether a key of an answer names its role; an `author` or a `sender` may also be a person."""
    written = value.get(key)
    return written is not None and (key in ("role", "from") or str(written).strip().lower() in ROLES)


def messages_of(value: PromptValue, what: str = "messages") -> list[Message] | None:
    """Return the messages of a value; None if it is a text that is no dialogue."""
    if isinstance(value, str):
        return stored_messages(value)
    return read_messages(value, what, default_role="assistant")


def is_whole(answer: PromptValue, prompt: PromptValue | None = None) -> bool:
    """Whether an answer is a whole conversation, which begins with what was asked.

    A text that is written as a dialogue is one if it holds the prompt; else it is an answer that is a dialogue.
    """
    if isinstance(answer, str):
        is_dialogue = DIALOGUE_END in answer and dialogue_messages(answer) is not None
        return is_dialogue and (prompt is None or holds(answer, prompt))
    return [message.role for message in messages_of(answer) or ()][:1] in (["system"], ["user"])


def cut_answer(conversation: PromptValue) -> tuple[PromptValue, PromptValue]:
    """Return a whole conversation without its last answer, and that answer.

    Raises:
        RowError: It does not end in an answer.
    """
    read = messages_of(conversation)
    if not read or len(read) < 2 or read[-1].role != "assistant":
        raise RowError("got a conversation that does not end in an answer to a prompt; expected the answer last")
    if not isinstance(conversation, str):
        return conversation[:-1], conversation[-1:]
    at = dialogue_answer_at(conversation)
    return conversation[:at], conversation[at:]


def said(value: PromptValue) -> list[str]:
    """Return the texts of a value, message by message, with single spaces."""
    messages = messages_of(value)
    texts = [value] if messages is None else [message.text for message in messages]
    return [" ".join(text.split()) for text in texts if isinstance(text, str) and text.strip()]


def holds(value: PromptValue, part: PromptValue) -> bool:
    """Whether every text of a part stands in the value, whatever the spaces between words."""
    texts = said(value)
    return all(any(stands_in(one, text) for text in texts) for one in said(part))


def stands_in(text: str, other: str) -> bool:
    """Whether a text stands in another, not as a part of a word: "2" is in "1 + 2", and not in "12"."""
    at = other.find(text)
    while at >= 0:
        end = at + len(text)
        if not (_is_one_word(text[:1], other[at - 1 : at]) or _is_one_word(text[-1:], other[end : end + 1])):
            return True
        at = other.find(text, at + 1)
    return False


def _is_one_word(edge: str, beyond: str) -> bool:
    return edge.isalnum() and (beyond.isalnum() or beyond == "_")
