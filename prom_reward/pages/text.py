"""Text of judges, policies and data sets, made safe to show and to write as UTF-8."""

import re
from collections.abc import Mapping
from typing import Any

# Control characters apart from tab and line ends, bidirectional overrides and isolates, lone surrogates.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return the text with characters that hide or reorder others written as code points in braces."""
    return _HIDDEN.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)


def visible_values(value: Any) -> Any:
    """Return JSON values with `visible` applied to every string and key."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(key)): visible_values(item) for key, item in value.items()}
    return [visible_values(item) for item in value] if isinstance(value, list | tuple) else value


def shortened(text: str, size: int) -> str:
    """Return at most `size` characters of a text, and the number of those left out."""
    return text if len(text) <= size else f"{text[:size]} … [{len(text) - size:,} characters more]"
