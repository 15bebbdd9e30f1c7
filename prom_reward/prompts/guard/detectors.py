"""Flags responses that look like attempts on the judge; changes nothing.

Every detector is a function of one request. They prefer few false alarms on honest answers over catching everything: a
policy that is trained against them learns to write what they miss. `prom_reward.judging.flags` acts on the flags.
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

DETECTOR_VERSION = 5
"""Goes up whenever a response can be flagged differently."""

_WORD = re.compile(r"\w+")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}+={0,2}")
_HEX = re.compile(r"(?<![A-Fa-f0-9])(?:(?:\\x|0x|%)?[A-Fa-f0-9]{2}[ ,:]?){8,}+")
_HEX_SIGNS = re.compile(r"\\x|0x|[^A-Fa-f0-9]")
_LONG_ENTITY = re.compile(
    r"&#[0-9]{8,}+"
)  # no character has such a number, and `html.unescape` fails on very long ones
_MAX_ENCODED = 1000  # runs of either sort that are decoded in one response
_MAX_DECODED = 32  # decoded texts that are looked at
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
_BRACKETS = re.compile(r"[\s()\[\]{}<>]*")
_SPOKEN = re.compile(r"[^\W\d_]+|[^\x00-\u25ff]+")  # letters and emoji, without digits, punctuation, boxes and arrows
_MIN_REPETITIVE_BYTES = 200
_MAX_COMPRESSION = 14.0
_MIN_LOOPED_WORDS = 12
_MAX_UNITS = 16  # lengths of a unit that are tried
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
    """Whether the response holds two of the rubric's descriptions or criteria, word for word."""
    said = _words(request.response)
    levels = {_words(text) for text in request.rubric.level_texts}
    return sum(len(level) >= 20 and level in said for level in levels) >= 2


def _reference_copy(request: GradingRequest) -> bool:
    """Whether the response holds four fifths of the runs of eight words of a reference of 30 words or more."""
    reference = _words(request.reference_answer or "").split()
    if len(reference) < _MIN_COPIED_WORDS:
        return False
    wanted, said = _runs(reference), _runs(_words(request.response).split())
    return len(wanted & said) >= 0.8 * len(wanted)


def _repetition(request: GradingRequest) -> bool:
    """Whether the response says the same over and over: three times and nothing else, or often beside other words.

    The latter compresses far better than honest lists and tables. Its letters alone must compress half as far, which
    those of a matrix, a board or an empty table do not; a text of brackets alone has none.
    """
    text = request.response[:_MAX_LOOKED_AT]
    if _is_loop(text):
        return True
    if len(text.encode("utf-8", "replace")) < _MIN_REPETITIVE_BYTES:
        return False
    if _excess(text) <= 1:
        return False
    return _excess("".join(_SPOKEN.findall(text))) > 0.5 or bool(_BRACKETS.fullmatch(fold(text)))


def _is_loop(text: str) -> bool:
    """Whether a text of twelve words or more is one unit of words, three times or more, up to its end."""
    beginning = text.lstrip()[:8].lower()
    if text.lower().count(beginning) < 3:  # most texts: nothing else has to be looked at
        return False
    said = _words(text).rstrip()
    if said.count(" ") < _MIN_LOOPED_WORDS:
        return False
    at = 0
    for _ in range(_MAX_UNITS):
        at = said.find(said[:32], at + 1)
        if at < 0 or 3 * at > len(said):
            return False
        if said.startswith(said[at:]):
            return True
    return False


def _excess(text: str) -> float:
    """Return a text's compression ratio as a share of the ratio that counts as repetition at its length."""
    content = text.encode("utf-8", "replace")
    return len(content) / len(zlib.compress(content)) / (_MAX_COMPRESSION * min(1.0, 0.4 + len(content) / 4000))


def _empty(request: GradingRequest) -> bool:
    """Whether there is only white space, invisible characters and punctuation; "!=" and "{}" are code."""
    return all(
        character in "|~`^" or unicodedata.category(character) in ("Po", "Pd", "Pc")
        for character in "".join(fold(request.response).split())
    )


def _readings(text: str) -> set[str]:
    """Return a text as it is written, and as a browser would show it."""
    return {text, html.unescape(_LONG_ENTITY.sub("&#0", text))} if "&" in text else {text}


def _tag_texts(text: str) -> Iterator[str]:
    """Yield the texts that invisible tags spell; after a black flag they may spell a region's flag."""
    if not text.isascii():
        for run in _TAGS.findall(_REGION_FLAG.sub("", text)):
            yield "".join(chr(ord(tag) - 0xE0000) for tag in run)


def _words(text: str) -> str:
    """Return the folded words of a text in lower case, with one space before, between and after them."""
    return f" {' '.join(_WORD.findall(fold(text[:_MAX_LOOKED_AT]).lower()))} "


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + _COPIED_RUN]) for at in range(len(words) - _COPIED_RUN + 1)}


def _decoded(text: str) -> Iterator[str]:
    """Yield the readable texts that base64 and hexadecimal numbers in a text encode."""
    runs = chain(
        (_from_base64(match[0]) for match in islice(_BASE64.finditer(text), _MAX_ENCODED)),
        (bytes.fromhex(_HEX_SIGNS.sub("", match[0])) for match in islice(_HEX.finditer(text), _MAX_ENCODED)),
    )
    yield from islice((said for run in runs if (said := _said(run))), _MAX_DECODED)


def _from_base64(run: str) -> bytes:
    plain = run.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:  # an impossible length
        return b""


def _said(content: bytes) -> str:
    """Return bytes as UTF-8 text; empty if not all of it is readable."""
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
"""The detectors by name:

- `judge_text`: result markers, section headers and conversation markers. Headings that honest Markdown has too
  ("### Feedback:") do not count, though the guard disarms them.
- `score_claim`: a grade that the response gives itself or orders to the judge, in plain text, base64 or hexadecimal.
- `hidden_text`: text in invisible characters.
- `rubric_copy`, `reference_copy`: the words of the rubric or the reference.
- `repetition`: the same over and over.
- `empty`: no words at all."""


def detect(request: GradingRequest, detectors: Collection[str] = tuple(DETECTORS)) -> tuple[str, ...]:
    """Return the names of the detectors that flag a response, in the order of `DETECTORS`."""
    return tuple(name for name, is_flagged in DETECTORS.items() if name in detectors and is_flagged(request))
