"""Text of judges, policies and data sets, made safe to show and to write as UTF-8."""

import re

from prom_reward.errors import number_of

# Control characters apart from tab and line ends, bidirectional marks, blanks without width, fillers, tags, variation
# selectors of the second kind, lone surrogates. Joiners stay within emoji and in Arabic and Indic scripts.
HIDDEN = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
    r"|(?<![\u0600-\u0dff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
)
"""A pattern of the characters that are never shown as they are."""
_HIDDEN = re.compile(HIDDEN)
_SURROGATE = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    """Return the text with characters that hide or reorder others written as code points in braces."""
    return _HIDDEN.sub(_code_point, text)


def json_escaped(text: str) -> str:
    """Return a JSON text of the same value in which characters that hide or reorder others are written as escapes."""
    return _HIDDEN.sub(_json_escape, text)


def writable(text: str) -> str:
    """Return the text with lone surrogates alone written as code points: UTF-8 has none."""
    return _SURROGATE.sub(_code_point, text)


def shortened(text: str, size: int) -> str:
    """Return at most `size` characters of a text, and the number of those left out."""
    return text if len(text) <= size else f"{text[:size]} … [{number_of(len(text) - size, 'character')} more]"


def _code_point(found: re.Match[str]) -> str:
    return f"\\u{{{ord(found[0]):x}}}"


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
