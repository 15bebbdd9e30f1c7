"""Yes-or-no criteria for the form of a text that code decides: lengths, words, openings, endings, marks."""

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from prom_reward.rubrics.checklists.checks import CHECKS, num_paragraphs, num_sentences, num_words, words_of
from prom_reward.training.construction.passages import ENDINGS, OPENINGS

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_FACTORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4, 1.6, 2.0, 2.5)  # of a bound beside the count
_SUBJECTS = ("The text", "The text", "The text", "The response", "The answer", "It")
_DENIED = 0.3  # the share of criteria that ask for the opposite
_STEM = 5  # letters that tell a word's forms from other words
_TRIES = 6  # draws for each criterion, because two texts do not differ in every way


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of criterion."""

    says: tuple[str, ...]
    """The predicate, after "The text": `{}` stands for a value."""
    denies: tuple[str, ...]
    """The opposite."""
    values: Callable[[str, Collection[str]], Sequence[str | int]]
    """Values to ask for, from a text and from the nouns that may be asked for."""
    passes: Callable[[str, str | int], bool]
    """Whether a text does it with a value."""
    is_bound: bool = False
    """Values are numbers around the text's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCriterion:
    """A criterion that code decides."""

    text: str
    """Its words."""
    kind: str
    """The name of its kind."""
    is_met_by: Callable[[str], bool]
    """Whether a text meets it."""


def _has(pattern: str) -> Callable[[str, str | int], bool]:
    return lambda text, _: re.search(pattern, text) is not None


def _has_words(template: str) -> Callable[[str, str | int], bool]:
    """Return a check for whole words: "here" is not in "there", "didn" not in "didn't", and "A" does not open "All"."""
    return lambda text, value: re.search(template.format(re.escape(str(value))), text, re.IGNORECASE) is not None


def _nothing(text: str, nouns: Collection[str]) -> Sequence[str | int]:
    return ("",)


def _around(count_of: Callable[[str], int], least: int = 1) -> Callable[[str, Collection[str]], Sequence[int]]:
    """Return numbers below and above a text's own, `least` or more."""

    def values(text: str, nouns: Collection[str]) -> Sequence[int]:
        count = count_of(text)
        found = {round(count * factor) for factor in _FACTORS} | {max(1, count - 1), count, count + 1}
        rounded = {5 * round(one / 5) for one in found if one > len(_NUMBERS)}
        return sorted(one for one in found | rounded if one >= least)

    return values


def _nouns_of(text: str, nouns: Collection[str]) -> Sequence[str]:
    return sorted({one.casefold() for one in words_of(text)} & {*nouns})


def _starts(text: str, nouns: Collection[str]) -> Sequence[str]:
    return [*OPENINGS, *(one.capitalize() for one in words_of(text)[:1])]


def _ends(text: str, nouns: Collection[str]) -> Sequence[str]:
    return [*ENDINGS, *(one.lower() for one in words_of(text)[-1:])]


_AFTER, _BEFORE = r"(?<![\w'’-])", r"(?![\w'’-])"  # no word goes on
_WORD = _AFTER + "{}" + _BEFORE
KINDS: Mapping[str, Kind] = {
    "most words": Kind(
        says=("has at most {} words", "is no longer than {} words", "has {} words or fewer", "stays within {} words"),
        denies=("has more than {} words", "is longer than {} words"),
        values=_around(num_words),
        is_bound=True,
        passes=CHECKS["max_words"][1],
    ),
    "fewest words": Kind(
        says=("has at least {} words", "has {} words or more", "is {} words long or longer"),
        denies=("has fewer than {} words", "is shorter than {} words"),
        values=_around(num_words),
        is_bound=True,
        passes=CHECKS["min_words"][1],
    ),
    "most sentences": Kind(
        says=("has at most {} sentences", "has {} sentences or fewer", "does not go beyond {} sentences"),
        denies=("has more than {} sentences",),
        values=_around(num_sentences),
        is_bound=True,
        passes=CHECKS["max_sentences"][1],
    ),
    "fewest sentences": Kind(
        says=("has at least {} sentences", "has {} sentences or more", "consists of at least {} sentences"),
        denies=("has fewer than {} sentences",),
        values=_around(num_sentences, least=2),
        is_bound=True,
        passes=CHECKS["min_sentences"][1],
    ),
    "word": Kind(
        says=("mentions {}", "contains the word '{}'", 'uses the word "{}"'),
        denies=("never mentions {}", "makes no mention of {}"),
        values=_nouns_of,
        passes=_has_words(_WORD),
    ),
    "opening": Kind(
        says=("starts with the word '{}'", 'begins with "{}"', "opens with '{}'"),
        denies=("does not start with '{}'", 'begins with something other than "{}"'),
        values=_starts,
        passes=_has_words(r"\A\W*{}" + _BEFORE),
    ),
    "ending": Kind(
        says=("ends with '{}'", 'closes with "{}"', "has '{}' as its last words"),
        denies=("does not end with '{}'",),
        values=_ends,
        passes=_has_words(_AFTER + r"{}\W*\Z"),
    ),
    "paragraphs": Kind(
        says=("has at least {} paragraphs", "is written in {} paragraphs or more"),
        denies=("has fewer than {} paragraphs",),
        values=lambda text, nouns: (2, 3),
        passes=lambda text, value: num_paragraphs(text) >= int(value),
    ),
    "digits": Kind(
        says=("contains a number in digits", "has digits in it"),
        denies=("has no digits", "is free of digits"),
        values=_nothing,
        passes=_has(r"\d"),
    ),
    "exclamation": Kind(
        says=("has an exclamation mark", "uses an exclamation mark"),
        denies=("has no exclamation mark",),
        values=_nothing,
        passes=_has("!"),
    ),
    "capitals": Kind(
        says=("is written in capital letters", "is all in upper case"),
        denies=("has lower-case letters",),
        values=_nothing,
        passes=CHECKS["is_uppercase"][1],
    ),
    "question mark": Kind(
        says=("has a question mark", "contains a question mark"),
        denies=("has no question mark",),
        values=_nothing,
        passes=_has(r"\?"),
    ),
}
"""Kinds of criteria to train on."""

HELD_OUT_KINDS: Mapping[str, Kind] = {
    "excluded word": Kind(
        says=("does not contain the word '{}'", 'avoids the word "{}"', "does without the word '{}'"),
        denies=("does not avoid the word '{}'",),
        values=_nouns_of,
        passes=lambda text, value: not _has_words(_WORD)(text, value),
    ),
    "bullets": Kind(
        says=("holds a list of bullet points", "has bullet points"),
        denies=("has no bullet points",),
        values=_nothing,
        passes=_has(r"(?m)^- "),
    ),
    "quotation": Kind(
        says=("has something in quotation marks", "contains words in quotation marks"),
        denies=("has no quotation marks",),
        values=_nothing,
        passes=_has('"'),
    ),
}
"""Kinds to measure on, never trained on in this form."""


def draw_criteria(
    texts: tuple[str, str], kinds: Mapping[str, Kind], num: int, nouns: Collection[str], draw: random.Random
) -> list[FormCriterion]:
    """Return criteria for two texts, each of which one text meets and the other does not.

    So neither the words of a criterion nor its value tell whether it is met. Bounds are drawn around one of the texts
    instead, as often met as not, so that the length of a text alone does not tell it either.

    Args:
        texts: The texts.
        kinds: To draw from, the same one several times, too.
        num: The largest number of criteria to return; equal texts have fewer.
        nouns: The words that may be asked for, in lower case.
        draw: Of all choices.
    """
    found: dict[str, FormCriterion] = {}
    for name in draw.choices(list(kinds), k=_TRIES * num):
        if len(found) == num:
            break
        if one := _criterion(texts, name, kinds[name], nouns, draw):
            found.setdefault(one.text, one)
    return list(found.values())


def _criterion(
    texts: tuple[str, str], name: str, kind: Kind, nouns: Collection[str], draw: random.Random
) -> FormCriterion | None:
    is_denied = draw.random() < _DENIED
    if kind.is_bound:
        text, passes = draw.choice(texts), draw.random() < 0.5
        both: dict[bool, list[str | int]] = {True: [], False: []}
        for one in kind.values(text, nouns):
            both[kind.passes(text, one)].append(one)
        values = both[passes] if all(both.values()) else []
    else:
        values = [one for text in texts for one in kind.values(text, nouns) if _tells_apart(kind, texts, one)]
    if not values:
        return None
    value = draw.choice(values)
    said = draw.choice(kind.denies if is_denied else kind.says).format(_shown(value, draw))
    said = re.sub(r"\b(one|1) (word|sentence|paragraph)s", r"\1 \2", said)
    return FormCriterion(
        text=f"{draw.choice(_SUBJECTS)} {said}.",
        kind=name,
        is_met_by=lambda other: kind.passes(other, value) != is_denied,
    )


def _tells_apart(kind: Kind, texts: tuple[str, str], value: str | int) -> bool:
    """Whether one text passes, and the other does not and holds no other form of a noun that is asked for."""
    first, second = (kind.passes(text, value) for text in texts)
    stem = str(value).casefold()[: min(_STEM, len(str(value)) - 1)]
    return first != second and not (kind.values is _nouns_of and all(stem in text.casefold() for text in texts))


def _shown(value: str | int, draw: random.Random) -> str:
    if isinstance(value, int) and value < len(_NUMBERS) and draw.random() < 0.6:
        return _NUMBERS[value]
    return str(value)
