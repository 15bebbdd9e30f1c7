"""Flags responses that look like attempts on the judge; changes nothing.

It does not know judges, or what a flag leads to: `prom_reward.judging.flags` does.

Every detector is a function of one request. They are made for few false alarms on honest answers rather than for
catching all: a policy that is trained against them learns to write what they do not know.
"""

import base64
import binascii
import html
import re
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain, islice

from prom_reward.prompts.guard.claims import claims_score
from prom_reward.prompts.guard.lookalikes import fold
from prom_reward.prompts.guard.neutralize import poses_as_judge
from prom_reward.types import GradingRequest

DETECTOR_VERSION = 3
"""Goes up whenever a response can be flagged differently."""

_WORD = re.compile(r"\w+")
_BASE64 = re.compile(r"(?<![A-Za-z\d+/_-])[A-Za-z\d+/_-]{12,}+={0,2}")
_HEX = re.compile(r"(?<![A-Fa-f\d])(?:(?:\\x|0x|%)?[A-Fa-f\d]{2}[ ,:]?){8,}+")
_HEX_SIGNS = re.compile(r"\\x|0x|[^A-Fa-f\d]")
_MAX_ENCODED = 1000  # runs of either sort looked at in one response, and
_MAX_DECODED = 32  # those among them that say something
_MIN_COPIED_WORDS = 30
_COPIED_RUN = 8  # words in a row that two people rarely write alike
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}+")
_REGION_FLAG = re.compile(
    "\U0001f3f4(?:\U000e0067\U000e0062[\U000e0061-\U000e007a]{3}|"
    "\U000e0075\U000e0073[\U000e0061-\U000e007a]{2})\U000e007f"
)  # England's, Texas'
_SMUGGLED = re.compile(
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}+"
    "|[\xad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0]{16,}+"
)  # variation selectors and characters without width: one stands alone in honest text, a few at most
_SPOKEN = re.compile(r"[^\W\d_]+|[^\x00-\u25ff]+")  # letters and emoji, without digits, punctuation, boxes and arrows
_MIN_REPETITIVE_BYTES = 200
_MAX_COMPRESSION = 14.0
_MAX_LOOKED_AT = 100_000  # characters of one response for the detectors that compare words


def _judge_text(request: GradingRequest) -> bool:
    return any(map(poses_as_judge, _readings(request.response)))


def _score_claim(request: GradingRequest) -> bool:
    text = request.response
    decoded = [*_decoded(text), *_tag_texts(text)]
    return any(map(claims_score, [*_readings(text), *decoded])) or any(map(poses_as_judge, decoded))


def _hidden_text(request: GradingRequest) -> bool:
    text = request.response
    return not text.isascii() and bool(_SMUGGLED.search(text) or _TAGS.search(_REGION_FLAG.sub("", text)))


def _rubric_copy(request: GradingRequest) -> bool:
    """At least two of the rubric's descriptions stand in the response, word for word."""
    said = _words(request.response)
    levels = {_words(text) for text in request.rubric.descriptions.values()}
    return sum(len(level) >= 20 and level in said for level in levels) >= 2


def _reference_copy(request: GradingRequest) -> bool:
    """Of a reference of 30 words or more, four fifths of all runs of eight words stand in the response."""
    reference = _words(request.reference_answer or "").split()
    if len(reference) < _MIN_COPIED_WORDS:
        return False
    wanted, said = _runs(reference), _runs(_words(request.response).split())
    return len(wanted & said) >= 0.8 * len(wanted)


def _repetition(request: GradingRequest) -> bool:
    """The response says the same over and over: it compresses far better than honest lists and tables do.

    So do its letters alone, half as far at least, as those of a matrix, a board or an empty table do not.
    """
    text = request.response[:_MAX_LOOKED_AT]
    if len(text.encode("utf-8", "replace")) < _MIN_REPETITIVE_BYTES:
        return False
    return _excess(text) > 1 and _excess("".join(_SPOKEN.findall(text))) > 0.5


def _excess(text: str) -> float:
    """Return how far a text compresses, as a share of what is too far for its length."""
    content = text.encode("utf-8", "replace")
    return len(content) / len(zlib.compress(content)) / (_MAX_COMPRESSION * min(1.0, 0.4 + len(content) / 4000))


def _empty(request: GradingRequest) -> bool:
    """Nothing but white space, invisible characters and punctuation; operators and brackets ("!=", "{}") are code."""
    return all(
        character in "|~`^" or unicodedata.category(character) in ("Po", "Pd", "Pc")
        for character in "".join(fold(request.response).split())
    )


def _readings(text: str) -> set[str]:
    """Return a text as it is written, and as a browser would show it."""
    return {text, html.unescape(text)} if "&" in text else {text}


def _tag_texts(text: str) -> Iterator[str]:
    """Yield what invisible tags spell; behind a black flag they may spell a region's flag."""
    if not text.isascii():
        for run in _TAGS.findall(_REGION_FLAG.sub("", text)):
            yield "".join(chr(ord(tag) - 0xE0000) for tag in run)


def _words(text: str) -> str:
    """Return the folded small-letter words of a text, with one space before, between and behind."""
    return f" {' '.join(_WORD.findall(fold(text[:_MAX_LOOKED_AT]).lower()))} "


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + _COPIED_RUN]) for at in range(len(words) - _COPIED_RUN + 1)}


def _decoded(text: str) -> Iterator[str]:
    """Yield what the base64 and the hexadecimal numbers in a text say, where they say something in words."""
    runs = chain(
        (_from_base64(match[0]) for match in islice(_BASE64.finditer(text), _MAX_ENCODED)),
        (bytes.fromhex(_HEX_SIGNS.sub("", match[0])) for match in islice(_HEX.finditer(text), _MAX_ENCODED)),
    )
    yield from islice((said for run in runs if (said := _said(run))), _MAX_DECODED)


def _from_base64(run: str) -> bytes:
    plain = run.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:  # of no possible length
        return b""


def _said(content: bytes) -> str:
    """Return what bytes say as UTF-8; nothing where they are not readable throughout."""
    said = content.decode("utf-8", "replace")
    is_text = all((character.isprintable() or character.isspace()) and character != "\ufffd" for character in said)
    return said if is_text else ""


DETECTORS: Mapping[str, Callable[[GradingRequest], bool]] = {
    "judge_text": _judge_text,
    "score_claim": _score_claim,
    "hidden_text": _hidden_text,
    "rubric_copy": _rubric_copy,
    "reference_copy": _reference_copy,
    "repetition": _repetition,
    "empty": _empty,
}
"""What a response is flagged for: result markers, section headers and conversation markers, which the guard disarms,
but for headings that honest Markdown has, too ("### Feedback:"); a grade that it gives itself, or orders to the judge,
in plain text, base64 or hexadecimal; text in invisible characters; the rubric's or the reference's own words; the same
over and over; no words at all."""


def detect(request: GradingRequest, detectors: Collection[str] = tuple(DETECTORS)) -> tuple[str, ...]:
    """Return the names of the detectors that flag a response, in the order of `DETECTORS`."""
    return tuple(name for name, is_flagged in DETECTORS.items() if name in detectors and is_flagged(request))
