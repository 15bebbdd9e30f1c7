"""The content of one message: text, thoughts, tool calls and tool results, from any layout's blocks."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from prom_reward.errors import RowError
from prom_reward.prompts.numpy_text import joins_texts
from prom_reward.thinking import split_thoughts

Role = Literal["system", "user", "assistant", "tool"]

_TEXT_BLOCKS = ("text", "input_text", "output_text", "summary_text")
_THOUGHT_BLOCKS = ("thinking", "reasoning", "thought", "reasoning_text", "redacted_thinking")
_CALL_BLOCKS = ("tool_use", "server_tool_use", "tool_call", "function_call")
_RESULT_BLOCKS = ("tool_result", "function_call_output", "web_search_tool_result")
_STEP_BLOCKS = ("step-start", "step-finish")  # Vercel's, which hold nothing
_MEDIA = re.compile(r"(?:input_)?(image|audio|video|file|document)(?:_url|_file)?")
_RESULT_KEYS = ("content", "output", "response", "result")
_ARGUMENT_KEYS = ("arguments", "input", "args", "parameters")
_NAME_KEYS = ("name", "tool_name", "toolName")
_THOUGHT_TEXT_KEYS = ("thinking", "text", "reasoning", "content", "summary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    """The speaker."""
    text: str = ""
    """The words, without thoughts; media are `[image]` and the like."""
    thoughts: str = ""
    """The thoughts of a reasoning model before them."""
    calls: tuple[str, ...] = ()
    """The assistant's tool calls, as `[calls name with {"argument": "value"}]`."""
    name: str = ""
    """The tool's name, if the message is a tool's."""
    written: str = ""
    """Thoughts and words as the model wrote them, with the marks, if they stood in one text or never end."""
    is_apart: bool = field(default=False, compare=False)
    """Whether a server took the thoughts apart, also if there were none."""
    media: tuple[str, ...] = field(default=(), compare=False)
    """The kinds of images and the like that stand in the text as `[image]`, which no judge sees."""


class Parts:
    """The content of one message, block by block."""

    def __init__(self, place: str) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[str] = []
        self.results: list[Message] = []
        self.media: list[str] = []
        self.is_apart = False
        self._place = place

    def add(self, content: Any) -> None:
        """Take in a content: nothing, a text, a block, or a list of these."""
        if content is None:
            return
        if isinstance(content, str):
            self.texts.append(content)
        elif isinstance(content, Mapping):
            if content.get("type") not in _STEP_BLOCKS:
                self._block(content)
        elif isinstance(content, Sequence) and not isinstance(content, bytes):
            for one in content:
                self.add(one)
        else:
            raise RowError(f"{self._place}: got {content!r:.40} as content; expected a text or content blocks")

    def messages(self, role: Role, name: str) -> Iterator[Message]:
        """Yield the message, after the tools' results that it holds."""
        yield from self.results
        text = "".join(self.texts)
        if self.results and not text and not self.calls:
            return
        found = split_thoughts(text) if role == "assistant" else None
        thoughts = [*self.thoughts, *([found.thoughts] if found and found.thoughts else [])]
        yield Message(
            role=role,
            text=found.answer if found else text,
            thoughts="\n\n".join(thoughts),
            calls=tuple(self.calls),
            name=name,
            written=text if found and (found.thoughts or not found.is_closed) and not self.thoughts else "",
            is_apart=self.is_apart,
            media=tuple(self.media),
        )

    def add_thoughts(self, text: str) -> None:
        """Take in thoughts that stand apart from the words; an empty text if the model did not think."""
        self.is_apart = True
        if text:
            self.thoughts.append(text)

    def add_media(self, kind: str) -> None:
        """Take in an image or the like, of which the text says that it is there."""
        self.texts.append(f"[{kind}]")
        self.media.append(kind)

    def _block(self, block: Mapping[str, Any]) -> None:
        text = _block_text(block)
        kind = str(block.get("type") or ("text" if text else ""))
        call = first_of(block, ("functionCall", "function_call", "toolUse"))
        result = first_of(block, ("functionResponse", "function_response", "toolResult"))
        if kind in _THOUGHT_BLOCKS or block.get("thought") is True or "reasoningContent" in block:
            self.add_thoughts(_thought(block))
        elif kind in _TEXT_BLOCKS and (text is not None or block.get("text") is None):
            self.texts.append(text or "")
        elif kind == "refusal":
            self.texts.append(str(block.get("refusal") or ""))
        elif kind in _CALL_BLOCKS or call is not None:
            self.calls.append(written_call(block if call is None else call, self._place))
        elif kind in _RESULT_BLOCKS or isinstance(result, Mapping):
            self.results.append(_result(result if isinstance(result, Mapping) else block))
        elif media := _media(block, kind):
            if document := _document(block):
                self.texts.append(document)
            else:
                self.add_media(media)
        else:
            shown = kind or ", ".join(sorted(map(str, block)))
            raise RowError(
                f"{self._place}: unknown content block {shown!r:.60}; expected text, thinking, tool_use, image ..."
            )


def _result(block: Mapping[str, Any]) -> Message:
    found = first_of(block, _RESULT_KEYS)
    media: tuple[str, ...] = ()
    if _is_blocks(found):
        text = _plain(found)
        kinds = [_MEDIA.fullmatch(str(one["type"])) for one in found if not isinstance(one.get("text"), str)]
        media = tuple(kind[1] for kind in kinds if kind)
    else:
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str) if found else ""
    return Message(role="tool", text=text, name=str(block.get("name") or ""), media=media)


def _block_text(block: Mapping[str, Any]) -> str | None:
    """Return a text block's text, which OpenAI's assistants keep under `value`; None if it is no text."""
    text = first_of(block, ("text", "content"))
    text = text.get("value") if isinstance(text, Mapping) else text
    return text if isinstance(text, str) else None


def _is_blocks(value: object) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and all(isinstance(one, Mapping) and "type" in one for one in value)


def _plain(blocks: Sequence[Mapping[str, Any]]) -> str:
    return "".join(str(one["text"]) if isinstance(one.get("text"), str) else f"[{one['type']}]" for one in blocks)


def _thought(block: Mapping[str, Any]) -> str:
    held = block.get("reasoningContent")  # Bedrock's
    block = held.get("reasoningText") or {} if isinstance(held, Mapping) else block
    found = first_of(block, _THOUGHT_TEXT_KEYS)
    return found if isinstance(found, str) else _plain(found) if _is_blocks(found) else ""


def is_item(block: Mapping[str, Any]) -> bool:
    """Whether a block can stand among messages: a call, a result or thoughts."""
    return block.get("type") in (*_THOUGHT_BLOCKS, *_CALL_BLOCKS, *_RESULT_BLOCKS)


def _media(block: Mapping[str, Any], kind: str) -> str:
    for key in (kind, *map(str, block)):
        if match := _MEDIA.fullmatch(key):
            return match[1]
    return "file" if {"inlineData", "inline_data", "fileData", "file_data"} & block.keys() else ""


def _document(block: Mapping[str, Any]) -> str:
    """Return a document that is given in words, as Anthropic and Cohere take it, on lines of its own; else nothing."""
    held = first_of(block, ("source", "document"))
    words = first_of(held, ("data", "content", "text")) if isinstance(held, Mapping) else None
    if not isinstance(held, Mapping) or held.get("type", "text") not in ("text", "content"):  # base64, a URL
        return ""
    text = _plain(words) if _is_blocks(words) else words if isinstance(words, str) else ""
    title = first_of(block, ("title",)) or first_of(held, ("title",))
    return f"{title}\n{text}\n\n" if text and isinstance(title, str) else f"{text}\n\n" if text else ""


def stored_call(text: Any) -> Any:
    """Return a tool call that is stored as text, parsed; a text that is no mapping is the call's name."""
    if not isinstance(text, str):
        return text
    parsed = parsed_text(text)
    return parsed if isinstance(parsed, Mapping) else {"name": text}


def written_call(call: Any, place: str) -> str:
    """Return a tool call as a transcript shows it."""
    function = (first_of(call, ("function", "custom")) or call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        raise RowError(f"{place}: got a tool call of type {type(call).__name__}; expected a mapping with a name")
    arguments: Any = first_of(function, _ARGUMENT_KEYS) or {}
    if not isinstance(arguments, str):
        if isinstance(arguments, Mapping):
            # Arrow pads argument structs with None: an absent argument is not an argument.
            arguments = {key: value for key, value in arguments.items() if value is not None}
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    return f"[calls {first_of(function, _NAME_KEYS) or 'an unnamed tool'} with {arguments}]"


def parsed_text(text: str) -> Any:
    """Return the JSON or Python literal that a text is; None if it is neither, or Python would join its texts."""
    for parse in (json.loads, _literal):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _literal(text: str) -> Any:
    value = ast.literal_eval(text)
    return None if joins_texts(text) else value


def first_of(item: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Return the first of some keys' values that is not None."""
    return next((item[key] for key in keys if item.get(key) is not None), None)
