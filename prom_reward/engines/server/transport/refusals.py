"""Errors that a server returns in place of an answer, in the shapes of the known servers."""

import json
import re
from collections.abc import Mapping
from typing import Any

MOST_WAITED_S = 120.0
"""The longest `Retry-After` that is kept; after it a server that named a longer one is asked again."""

_KEYS = ("error", "errors", "detail", "message", "msg", "reason", "title", "type", "code", "status")
_ANSWERS = ("choices", "data", "object", "answers", "models")  # of an answer, which may hold a message, too
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|<[^<>]*>", re.I | re.S)
_CHARS = 4000  # looked at
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|too (?:long|many tokens)|max(?:imum)?\b.{0,40}(?:tokens|length)|max_seq_len"
    r"|(?:inputs|tokens)`? must (?:have|be) (?:<|less|fewer)|reduce the length",
    re.I | re.S,
)
_STOPPED = re.compile(r"filter|safety|recitation|block|prohibited|error|abort|cancel", re.I)


def server_words(content: bytes) -> str:
    """Return the words of an error's body: a JSON object of any service, a page or a plain text; empty if it has none.

    An object's message comes first, then its codes.
    """
    text = content[: 8 * _CHARS].decode("utf-8", "replace")
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return " ".join(_MARKUP.sub(" ", text[:_CHARS]).split())
    return "; ".join(dict.fromkeys(_words(parsed, depth=4)))


def error_words(answer: Mapping[str, Any]) -> str:
    """Return what a JSON object says in place of an answer; empty if it is no error."""
    is_bare = not any(key in answer for key in _ANSWERS) or answer.get("object") == "error"
    told = ("error", "errors", "detail", "message") if is_bare else ("error", "errors")
    return "; ".join(dict.fromkeys(_words(answer, depth=4))) if any(answer.get(key) for key in told) else ""


def error_status(answer: Mapping[str, Any]) -> int:
    """Return the HTTP status that an error inside of an answer names; 500 if it names none."""
    error = answer.get("error")
    named = [one.get(key) for one in (error, answer) if isinstance(one, Mapping) for key in ("code", "status")]
    found = [int(one) for one in named if isinstance(one, int | str) and re.fullmatch("[45][0-9][0-9]", str(one))]
    return found[0] if found else 500


def stopped_by_server(choice: Mapping[str, Any]) -> str:
    """Return why the server, and not the model, ended a choice; empty if it did not."""
    reason = choice.get("finish_reason")
    words = "; ".join(_words(choice.get("error"), depth=3))
    is_stopped = bool(words) or (isinstance(reason, str) and _STOPPED.search(reason) is not None)
    return f"the server stopped the answer ({ascii(words or reason)[1:-1]:.200})" if is_stopped else ""


def says_too_long(status: int | None, words: str) -> bool:
    """Whether a refusal is about a prompt that does not fit the model's context."""
    return status in (400, 413, 422) and _TOO_LONG.search(words) is not None


def _words(value: object, *, depth: int) -> list[str]:
    if isinstance(value, str):
        return [" ".join(value[:_CHARS].split())] if value.strip() else []
    if isinstance(value, bool) or value is None or depth == 0:
        return []
    if isinstance(value, int | float):
        return [str(value)] if -1e6 < value < 1e6 else []
    if isinstance(value, Mapping):
        return [word for key in _KEYS if key in value for word in _words(value[key], depth=depth - 1)]
    if isinstance(value, list):
        return [word for one in value[:4] for word in _words(one, depth=depth - 1)]
    return []
