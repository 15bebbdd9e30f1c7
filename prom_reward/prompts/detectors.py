"""Flags responses that look like attempts on the judge; changes nothing.

It does not know judges, or what a flag leads to: `prom_reward.judging.flags` does.

Every detector is a function of one request. They are made for few false alarms on honest answers rather than for
catching all: a policy that is trained against them learns to write what they do not know.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping

from prom_reward.prompts.claims import claims_score
from prom_reward.prompts.guard import neutralize
from prom_reward.prompts.lookalikes import fold
from prom_reward.types import GradingRequest

DETECTOR_VERSION = 2
"""Goes up whenever a response can be flagged differently."""

_WORD = re.compile(r"\w+")
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{24,4096}={0,2}(?![A-Za-z0-9+/])")
_MAX_ENCODED = 32  # base64 runs looked at in one response
_MIN_COPIED_WORDS = 30
_COPIED_RUN = 8  # words in a row that two people rarely write alike
_TAGS = re.compile(
    "(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007e]{4,}"
)  # behind a black flag they spell a region's flag
_SPOKEN = re.compile(r"[^\W\d_]+|[^\x00-\u25ff]+")  # letters and emoji, without digits, punctuation, boxes and arrows
_MIN_REPETITIVE_BYTES = 200
_MAX_COMPRESSION = 14.0
_MAX_LOOKED_AT = 100_000  # characters of one response for the detectors that compare words


def _judge_text(request: GradingRequest) -> bool:
    return neutralize(request.response) != request.response


def _score_claim(request: GradingRequest) -> bool:
    text = request.response
    hidden = ["".join(chr(ord(tag) - 0xE0000) for tag in run) for run in _TAGS.findall(text)]
    return any(map(claims_score, [fold(text), *_decoded(text), *hidden]))


def _hidden_text(request: GradingRequest) -> bool:
    return bool(_TAGS.search(request.response))


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
    """Nothing but white space, punctuation and invisible characters."""
    return not any(character.isalnum() or not character.isascii() for character in fold(request.response).strip())


def _words(text: str) -> str:
    """Return the folded small-letter words of a text, with one space before, between and behind."""
    return f" {' '.join(_WORD.findall(fold(text[:_MAX_LOOKED_AT]).lower()))} "


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + _COPIED_RUN]) for at in range(len(words) - _COPIED_RUN + 1)}


def _decoded(text: str) -> Iterator[str]:
    """Yield what the base64 in a text says, where it says something in ASCII."""
    for number, match in enumerate(_ENCODED.finditer(text)):
        if number == _MAX_ENCODED:
            return
        run = match[0].rstrip("=")
        try:
            yield base64.b64decode(run + "=" * (-len(run) % 4)).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            continue


DETECTORS: Mapping[str, Callable[[GradingRequest], bool]] = {
    "judge_text": _judge_text,
    "score_claim": _score_claim,
    "hidden_text": _hidden_text,
    "rubric_copy": _rubric_copy,
    "reference_copy": _reference_copy,
    "repetition": _repetition,
    "empty": _empty,
}
"""What a response is flagged for: result markers, section headers and conversation markers, which the guard disarms;
a grade that it gives itself, or orders to the judge, in plain text or base64; text in invisible characters; the
rubric's or the reference's own words; the same over and over; no words at all."""


def detect(request: GradingRequest, detectors: Collection[str] = tuple(DETECTORS)) -> tuple[str, ...]:
    """Return the names of the detectors that flag a response, in the order of `DETECTORS`."""
    return tuple(name for name, is_flagged in DETECTORS.items() if name in detectors and is_flagged(request))
