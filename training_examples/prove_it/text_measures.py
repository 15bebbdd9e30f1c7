"""Measures an answer without a model: overlap with a reference, length, repetition, copying.

Overlap is chrF, the F-score of character n-grams up to 6 (Popovic 2015, "chrF: character n-gram F-score for automatic
MT evaluation"), sacrebleu's, with beta = 1: recall counts no more than precision, so that an answer does not gain by
its length alone.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from prom_reward.errors import MissingPackageError

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.?!]")
_RUN = 3  # words


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMeasures:
    """The measures of one answer."""

    overlap: float | None
    """chrF with the reference, from 0 to 100; None without a reference."""
    num_words: int
    """Its words."""
    num_sentences: int
    """Its sentences, by the marks that end them."""
    repetition: float
    """The share of its three-word runs that repeat an earlier one, from 0 to 1."""
    copied: float | None
    """The share of its three-word runs that are in the source, from 0 to 1; None without a source."""
    is_empty: bool
    """Whether it has no words."""


def measure_text(answer: str, reference: str | None, source: str | None = None) -> TextMeasures:
    """Measure an answer.

    Args:
        answer: The answer.
        reference: The reference answer to measure overlap with, or None.
        source: The text that may be copied, such as the prompt, or None.

    Raises:
        MissingPackageError: There is a reference answer, and sacrebleu is not installed.
    """
    words = _words(answer)
    return TextMeasures(
        overlap=overlap(answer, reference) if reference is not None else None,
        num_words=len(words),
        num_sentences=sum(_WORD.search(part) is not None for part in _SENTENCE_END.split(answer)),
        repetition=_repetition(words),
        copied=_share_in(_runs(words), set(_runs(_words(source)))) if source is not None else None,
        is_empty=not words,
    )


def overlap(answer: str, reference: str) -> float:
    """Return the chrF of an answer with a reference, from 0 to 100; white space does not count.

    Raises:
        MissingPackageError: sacrebleu is not installed.
    """
    return float(_chrf().sentence_score(answer, [reference]).score)


@cache
def _chrf() -> "CHRF":
    try:
        from sacrebleu.metrics.chrf import CHRF
    except ImportError as error:
        raise MissingPackageError(
            "overlap needs sacrebleu, which is not installed; run: pip install '.[examples]' in the clone"
        ) from error
    return CHRF(beta=1)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)]


def _repetition(words: list[str]) -> float:
    runs = _runs(words)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def _share_in(runs: list[tuple[str, ...]], known: set[tuple[str, ...]]) -> float:
    return sum(run in known for run in runs) / len(runs) if runs else 0.0
