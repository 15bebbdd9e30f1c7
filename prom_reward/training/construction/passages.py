"""Passages and criteria that code decides: lengths, words, openings, endings, marks, form; often met, and often not."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prom_reward.rubrics.checklists.checks import CHECKS

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_OPENINGS = ("Today", "Once", "Yesterday", "In short", "Well", "My friend", "Dear reader", "Suddenly", "Now", "In fact")
_ENDINGS = ("thank you", "good night", "that is all", "see you soon", "as promised", "of course", "for now", "the end")
_LENGTHS = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8)  # sentences of a passage
_FACTORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4, 1.6, 2.0, 2.5)  # of a bound beside the count
_SUBJECTS = ("The text", "The text", "The text", "The response", "The answer", "It")
_DENIED = 0.3  # the share of criteria that ask for the opposite


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of criterion."""

    says: tuple[str, ...]
    """The predicate, after "The text": `{}` stands for a value."""
    denies: tuple[str, ...]
    """The opposite."""
    values: Callable[[str, Sequence[str]], Sequence[str | int]]
    """Values to ask for, from a text and from words of other texts."""
    passes: Callable[[str, str | int], bool]
    """Whether a text does it with a value."""


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
    """Return a check for whole words: "here" is not in "there", and "A" does not open "All"."""
    return lambda text, value: re.search(template.format(re.escape(str(value))), text, re.IGNORECASE) is not None


def _nothing(text: str, other_words: Sequence[str]) -> Sequence[str | int]:
    return ("",)


def _around(pattern: str) -> Callable[[str, Sequence[str]], Sequence[int]]:
    """Return counts below and above that of a pattern in a text."""

    def values(text: str, other_words: Sequence[str]) -> Sequence[int]:
        count = len(re.findall(pattern, text))
        found = {round(count * factor) for factor in _FACTORS} | {max(1, count - 1), count, count + 1}
        rounded = {5 * round(one / 5) for one in found if one > len(_NUMBERS)}
        return sorted({one for one in found | rounded if one > 0})

    return values


def long_words(text: str) -> list[str]:
    """Return a text's different words of four letters or more, sorted."""
    return sorted({one.casefold() for one in re.findall(r"[A-Za-z]{4,}", text)})


def _words(text: str, other_words: Sequence[str]) -> Sequence[str]:
    return [*long_words(text), *(one for one in other_words if one not in long_words(text))]


def _starts(text: str, other_words: Sequence[str]) -> Sequence[str]:
    return [*_OPENINGS, *re.findall(r"^\W*([A-Za-z']+)", text)]


def _ends(text: str, other_words: Sequence[str]) -> Sequence[str]:
    return [*_ENDINGS, *re.findall(r"([A-Za-z']+)\W*$", text)]


_WORD, _SENTENCE, _PARAGRAPH = r"\w+(?:['’-]\w+)*", r"[.!?](?=\s|$)", r"(?:^|\n\n)\S"
KINDS: Mapping[str, Kind] = {
    "most words": Kind(
        says=("has at most {} words", "is no longer than {} words", "has {} words or fewer", "stays within {} words"),
        denies=("has more than {} words", "is longer than {} words"),
        values=_around(_WORD),
        passes=CHECKS["max_words"][1],
    ),
    "fewest words": Kind(
        says=("has at least {} words", "has {} words or more", "is {} words long or longer"),
        denies=("has fewer than {} words", "is shorter than {} words"),
        values=_around(_WORD),
        passes=CHECKS["min_words"][1],
    ),
    "most sentences": Kind(
        says=("has at most {} sentences", "has {} sentences or fewer", "does not go beyond {} sentences"),
        denies=("has more than {} sentences",),
        values=_around(_SENTENCE),
        passes=CHECKS["max_sentences"][1],
    ),
    "fewest sentences": Kind(
        says=("has at least {} sentences", "has {} sentences or more", "consists of at least {} sentences"),
        denies=("has fewer than {} sentences",),
        values=_around(_SENTENCE),
        passes=CHECKS["min_sentences"][1],
    ),
    "word": Kind(
        says=("mentions {}", "contains the word '{}'", 'uses the word "{}"', "says something about {}", "names {}"),
        denies=("never mentions {}", "says nothing about {}"),
        values=_words,
        passes=_has_words(r"\b{}\b"),
    ),
    "opening": Kind(
        says=("starts with the word '{}'", 'begins with "{}"', "opens with '{}'"),
        denies=("does not start with '{}'", 'begins with something other than "{}"'),
        values=_starts,
        passes=_has_words(r"\A\W*{}\b"),
    ),
    "ending": Kind(
        says=("ends with '{}'", 'closes with "{}"', "has '{}' as its last words"),
        denies=("does not end with '{}'",),
        values=_ends,
        passes=_has_words(r"\b{}\W*\Z"),
    ),
    "paragraphs": Kind(
        says=("has at least {} paragraphs", "is written in {} paragraphs or more"),
        denies=("has fewer than {} paragraphs",),
        values=lambda text, other_words: (2, 3),
        passes=lambda text, value: len(re.findall(_PARAGRAPH, text)) >= int(value),
    ),
    "digits": Kind(
        says=("contains a number in digits", "has digits in it"),
        denies=("has no digits", "is free of numerals"),
        values=_nothing,
        passes=_has(r"\d"),
    ),
    "exclamation": Kind(
        says=("has an exclamation mark", "uses an exclamation mark"),
        denies=("has no exclamation mark",),
        values=_nothing,
        passes=_has("!"),
    ),
    "quotation": Kind(
        says=("has something in quotation marks", "quotes somebody"),
        denies=("has no quotation marks",),
        values=_nothing,
        passes=_has('"'),
    ),
    "capitals": Kind(
        says=("is written in capital letters", "is all in upper case"),
        denies=("has lower-case letters",),
        values=_nothing,
        passes=CHECKS["is_uppercase"][1],
    ),
}
"""Kinds of criteria to train on."""

HELD_OUT_KINDS: Mapping[str, Kind] = {
    "excluded word": Kind(
        says=("does not contain the word '{}'", 'avoids the word "{}"', "does without the word '{}'"),
        denies=("does not avoid the word '{}'",),
        values=_words,
        passes=lambda text, value: not _has_words(r"\b{}\b")(text, value),
    ),
    "bullets": Kind(
        says=("holds a list of bullet points", "has bullet points"),
        denies=("has no bullet points",),
        values=_nothing,
        passes=_has(r"(?m)^- "),
    ),
    "question": Kind(
        says=("asks a question", "has a question mark"),
        denies=("asks no question",),
        values=_nothing,
        passes=_has(r"\?"),
    ),
}
"""Kinds to measure on, never trained on in this form."""


def draw_passage(sentences: Sequence[str], draw: random.Random) -> str:
    """Return one to eight sentences, some of them changed so that every criterion is met by some passages."""
    drawn = [_sentence(one, draw) for one in draw.choices(sentences, k=draw.choice(_LENGTHS))]
    if draw.random() < 0.4:
        drawn[0] = f"{draw.choice(_OPENINGS)}, {drawn[0][0].lower()}{drawn[0][1:]}"
    if draw.random() < 0.3:
        drawn[-1] = f"{drawn[-1][:-1]}, {draw.choice(_ENDINGS)}{drawn[-1][-1]}"
    return _shaped(drawn, draw)


def _shaped(sentences: Sequence[str], draw: random.Random) -> str:
    """Join sentences into a text: in one to three paragraphs, as a list, or in capitals."""
    form = draw.random()
    if form < 0.1:
        return "\n".join(f"- {one}" for one in sentences)
    if form < 0.35:
        size = -(-len(sentences) // draw.choice((2, 3)))
        parts = [" ".join(sentences[at : at + size]) for at in range(0, len(sentences), size)]
        return "\n\n".join(parts)
    text = " ".join(sentences)
    return text.upper() if form < 0.45 else text


def _sentence(fragment: str, draw: random.Random) -> str:
    bare = fragment.rstrip(" .!?")
    capital = f"{bare[0].upper()}{bare[1:]}"
    match draw.randrange(12):
        case 0:
            return f"{capital}!"
        case 1:
            return f"{capital}?"
        case 2:
            return f"{capital} in {draw.randint(1820, 2024)}."
        case 3:
            return f'He said: "{capital}."'
        case 4:
            return f"{capital}, {draw.randint(2, 90)} times in all."
    return f"{capital}."


def draw_criteria(
    text: str, kinds: Mapping[str, Kind], num: int, other_words: Sequence[str], draw: random.Random
) -> list[FormCriterion]:
    """Return criteria for a text; whether it is to meet one is drawn first, and then the value that is asked for.

    Args:
        text: The text.
        kinds: To draw from, the same one several times, too.
        num: Criteria to return.
        other_words: Words that other texts have.
        draw: Of all choices.
    """
    return [_criterion(text, name, kinds[name], other_words, draw) for name in draw.choices(list(kinds), k=num)]


def _criterion(text: str, name: str, kind: Kind, other_words: Sequence[str], draw: random.Random) -> FormCriterion:
    is_denied, is_met = draw.random() < _DENIED, draw.random() < 0.5
    values = list(kind.values(text, draw.sample(list(other_words), min(8, len(other_words)))))
    value = draw.choice([one for one in values if kind.passes(text, one) == (is_met != is_denied)] or values)
    said = draw.choice(kind.denies if is_denied else kind.says).format(_shown(value, draw))
    said = re.sub(r"\b(one|1) (word|sentence|paragraph)s", r"\1 \2", said)
    return FormCriterion(
        text=f"{draw.choice(_SUBJECTS)} {said}.",
        kind=name,
        is_met_by=lambda other: kind.passes(other, value) != is_denied,
    )


def _shown(value: str | int, draw: random.Random) -> str:
    if isinstance(value, int) and value < len(_NUMBERS) and draw.random() < 0.6:
        return _NUMBERS[value]
    return str(value)
