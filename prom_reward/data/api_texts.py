"""Whole requests and answers of APIs, as logs keep them, in mappings, in JSON text or as Python shows them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.errors import RowError
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.messages import are_messages

_SERVICE_KEYS = frozenset(
    {
        *("finish_reason", "finishReason", "finish_details", "stop_reason", "stopReason", "completionReason"),
        *("done_reason", "eval_count", "total_duration", "tokens_predicted", "generation_id", "meta_info"),
    }
)
"""Keys that a service writes beside an answer and nobody else: how it ended, and what it took."""
_WORD_KEYS = ("response", "completion", "generation", "text", "content", "outputText")
_CLASSES = (
    r"(?:Parsed)?ChatCompletion(?:Message)?|CompletionOutput|RequestOutput|TextBlock|ModelResponse|AIMessage"
    r"|ResponseOutputMessage|GenerateContentResponse|ChatResponse|GenerateResponse"
)
_OBJECT = re.compile(
    rf"\[?(?:(?:{_CLASSES})\(\w+=|(?:Message|Response|Completion)\(id='(?:msg|resp|cmpl)|Choice\(finish_reason=).*\)\]?"
    r"|content=(?:'.*'|\".*\") (?:additional_kwargs|response_metadata)=\{.*|model='[^'\n]*' created_at=.*",
    re.DOTALL,
)
"""Answers of the clients of OpenAI, Anthropic, Google, Ollama, LangChain and vLLM, as Python shows them."""


def api_answer(text: str) -> str | None:
    """Return where an API's whole answer that is stored as text holds its words; empty if no path leads there.

    Returns:
        None if the text is another, as an answer in JSON.
    """
    stripped = text.strip()
    if _OBJECT.fullmatch(stripped):
        return ""
    is_stored = (stripped[:1], stripped[-1:]) in (("{", "}"), ("[", "]"))
    found = parsed_text(stripped) if is_stored else None
    if isinstance(found, Mapping):
        return answer_path(found) or None
    return _listed_path(found) if isinstance(found, list) else None


def _listed_path(items: Sequence[Any]) -> str | None:
    """As `api_answer`, of a list: answers as TGI's, or the content blocks of one."""
    if not items or not all(isinstance(one, Mapping) for one in items):
        return None
    texts = [at for at, one in enumerate(items) if one.get("type") == "text" and isinstance(one.get("text"), str)]
    if texts and all(isinstance(one.get("type"), str) and one["type"] in one for one in items):
        return f"[{texts[0]}].text" if len(texts) == 1 else ""
    return f"[0].{answer_path(items[0])}" if all(map(answer_path, items)) else None


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
    if isinstance(content, Mapping) and "parts" in content:
        return "candidates[0].content"
    return _told_path(value)


def _told_path(value: Mapping[str, Any]) -> str:
    """Return where a mapping with an assistant's message, or with a service's keys, holds the answer's words."""
    if isinstance(value.get("generated_text"), str | list):
        return "generated_text"
    is_told = not _SERVICE_KEYS.isdisjoint(value)
    if is_told or isinstance(value.get("done"), bool):  # a task of a list may be done, too
        if _is_assistants(value.get("message")):
            return "message.content"
        if not is_told:
            return "response" if isinstance(value.get("response"), str) else ""
    output, result = value.get("output"), _first(value.get("results") or value.get("outputs"))
    if is_told and isinstance(output, Mapping) and _is_assistants(output.get("message")):
        return "output.message.content"
    if not _SERVICE_KEYS.isdisjoint(result) and (key := _word_key(result)):
        return f"{'results' if value.get('results') else 'outputs'}[0].{key}"
    return _word_key(value) if is_told else ""


def _word_key(value: Mapping[str, Any]) -> str:
    """Return the key of an answer's words: a text, or Gemini's content."""
    content = value.get("content")
    if isinstance(content, Mapping) and "parts" in content:
        return "content"
    return next((key for key in _WORD_KEYS if isinstance(value.get(key), str)), "")


def _is_assistants(message: Any) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "assistant" and "content" in message


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
