"""Whole requests and answers of APIs, as logs keep them, in mappings or in JSON text."""

from collections.abc import Mapping
from typing import Any

from prom_reward.errors import RowError
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.messages import are_messages


def api_answer(text: str) -> Mapping[str, Any] | None:
    """Return the whole answer of an API that is stored as text; None if the text is another, as an answer in JSON."""
    found = _mapping(text)
    return found if found and answer_path(found) else None


def answer_path(value: Mapping[str, Any]) -> str:
    """Return where the whole answer of an API holds its words; empty if the mapping is another."""
    if _is_message(value) or is_openai_response(value):
        return "content" if _is_message(value) else "output"
    first = _first(value.get("choices"))
    if isinstance(first.get("message"), Mapping):
        return "choices[0].message.content"
    if "text" in first and "finish_reason" in first:
        return "choices[0].text"
    content = _first(value.get("candidates")).get("content")
    return "candidates[0].content" if isinstance(content, Mapping) and "parts" in content else ""


def is_openai_response(value: Mapping[str, Any]) -> bool:
    """Whether a mapping is an answer of OpenAI's Responses API, whose items are under `output`."""
    return value.get("object") == "response" and isinstance(value.get("output"), list)


def check_no_request(text: str, column: str) -> None:
    """Refuse a prompt that is an API's whole request.

    Raises:
        RowError: It is so.
    """
    request = _mapping(text) or {}
    key = next((key for key in ("messages", "contents") if are_messages(request.get(key))), None)
    if key is not None:
        raise RowError(
            f"got an API's whole request in {column!r}: {text.strip()!r:.60}; expected a question: name its messages "
            f"with --column prompt={column}.{key}"
        )


def _is_message(value: Mapping[str, Any]) -> bool:
    """Whether a mapping is an answer of Anthropic's API."""
    return (value.get("type"), value.get("role")) == ("message", "assistant") and isinstance(value.get("content"), list)


def _first(value: Any) -> Mapping[str, Any]:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], Mapping) else {}


def _mapping(text: str) -> Mapping[str, Any] | None:
    stripped = text.strip()
    parsed = parsed_text(stripped) if stripped.startswith("{") and stripped.endswith("}") else None
    return parsed if isinstance(parsed, Mapping) else None
