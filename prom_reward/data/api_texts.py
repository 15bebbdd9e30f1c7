"""Whole requests and answers of APIs, as logs keep them, in mappings, in JSON text or as Python shows them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.errors import RowError
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.messages import are_messages

_END_KEYS = ("finish_reason", "finishReason", "finish_details", "stop_reason", "stopReason", "completionReason")
_ENDS = re.compile(
    r"(?:finish_reason_)?(?:stop(?:ped)?|(?:model_)?length|max_(?:output_)?tokens|eos(?:_token)?|stop_sequence|end_turn"
    r"|pause_turn|tool_(?:use|calls?)|(?:malformed_)?function_call|content_filter(?:ed)?|complete|finish(?:ed)?"
    r"|(?:image_)?safety|recitation|refusal|abort|error(?:_\w+)?|guardrail_intervened|prohibited_content|blocklist|spii"
    r"|model_context_window_exceeded|insufficient_system_resource|other|unknown|unspecified)",
    re.IGNORECASE,
)
"""How services say that an answer ended, under the keys above and `done_reason`."""
_COUNTS = {"eval_count": 1, "tokens_predicted": 1, "total_duration": 1_000_000}
"""Keys of whole numbers with the least ones: tokens, and nanoseconds."""
_OLLAMA_KEYS = frozenset({"model", "created_at"})
_META_KEYS = frozenset({"id", "finish_reason", "prompt_tokens", "completion_tokens"})
_SERVICE_KEYS = frozenset({*_END_KEYS, *_COUNTS, "done_reason", "generation_id", "meta_info"})
"""Keys that a service writes beside an answer: how it ended, and what it took."""
_WORD_KEYS = ("response", "completion", "generation", "text", "content", "outputText")
_CLASSES = (
    r"(?:Parsed)?ChatCompletion(?:Message)?|CompletionOutput|RequestOutput|TextBlock|ModelResponse"
    r"|AIMessage(?=\(.*additional_kwargs=)|ResponseOutputMessage|GenerateContentResponse|ChatResponse|GenerateResponse"
)
_OBJECT = re.compile(
    rf"\[?(?:(?:{_CLASSES})\((?=\w+=.*, \w+=)|(?:Message|Response|Completion)\(id='(?:msg|resp|cmpl)"
    r"|Choice\(finish_reason=).*\)\]?"
    r"|content=(?:'.*'|\".*\") (?:additional_kwargs|response_metadata)=\{.*|model='[^'\n]*' created_at=.*",
    re.DOTALL,
)
"""Answers of the clients of OpenAI, Anthropic, Google, Ollama, LangChain and vLLM, as Python shows all their fields."""


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
    if _is_assistants(value.get("message")):
        is_service = not _SERVICE_KEYS.isdisjoint(value) or isinstance(value.get("done"), bool)
        return "message.content" if is_service else ""
    if isinstance(value.get("done"), bool) and isinstance(value.get("response"), str) and _OLLAMA_KEYS & value.keys():
        return "response"
    output = value.get("output")
    if isinstance(output, Mapping) and _is_assistants(output.get("message")) and not _SERVICE_KEYS.isdisjoint(value):
        return "output.message.content"
    result = _first(value.get("results") or value.get("outputs"))
    if _is_told(result) and (key := _word_key(result)):
        return f"{'results' if value.get('results') else 'outputs'}[0].{key}"
    return _word_key(value) if _is_told(value) else ""


def _is_told(value: Mapping[str, Any]) -> bool:
    """Whether a service's keys hold what a service writes: a `stop_reason` may also be a person's."""
    return any(_is_services(key, value[key]) for key in _SERVICE_KEYS & value.keys())


def _is_services(key: str, value: Any) -> bool:
    if least := _COUNTS.get(key):
        return isinstance(value, int) and value >= least
    if key == "meta_info":
        return isinstance(value, Mapping) and not _META_KEYS.isdisjoint(value)
    if key == "generation_id":  # a UUID
        return isinstance(value, str) and len(value) == 36
    end = value.get("type") if isinstance(value, Mapping) else value
    if end is None:  # of a stream that did not end
        return key in ("finish_reason", "finishReason")
    return isinstance(end, str) and bool(_ENDS.fullmatch(end.replace("-", "_")))


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
