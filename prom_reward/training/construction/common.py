"""Short questions on what everybody knows, mostly judged without a reference: numbers, words, capitals, people."""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prom_reward.training.construction.style import styled
from prom_reward.training.construction.variants import Question, Variant, capitalized

_PRIMES = tuple(n for n in range(2, 60) if all(n % k for k in range(2, n)))
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PLAIN = (
    "banana",
    "garden",
    "window",
    "elephant",
    "pencil",
    "summer",
    "bottle",
    "kitchen",
    "teacher",
    "mountain",
    "river",
)
_CAPITAL = re.compile(
    r"^(?:the )?(?:national )?capital (?:and largest city )?of ((?:[A-Z][a-z]+ ?){1,3})(?:;|,|$| in | and )"
)
_NATIONS = "English|French|German|Italian|Russian|Spanish|British|Austrian|Dutch|Greek"
_WORK = (
    "composer|painter|poet|novelist|physicist|chemist|philosopher|mathematician|architect|statesman|explorer|sculptor"
)
_PERSON = re.compile(f"^((?:{_NATIONS}) (?:{_WORK}|dramatist|astronomer|biologist))")
_LEFT_OUT = frozenset({"Canada", "Chile", "Nationalist China"})  # asked in benchmarks, or named oddly


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A question that everybody can answer, with right, middling and wrong answers."""

    asked: str
    """The question."""
    right: tuple[str, ...]
    """Right answers, the bare one first."""
    middling: str
    """An answer that says nothing wrong and little."""
    wrong: tuple[str, ...]
    """Wrong values, said with confidence."""
    sentences: tuple[str, ...] = ("{}", "{}.", "It is {}.", "The answer is {}.", "{}, of course.", "I am sure: {}.")
    """Sentences with `{}` for a value."""


def known_question(known: Known, others: Sequence[str], draw: random.Random) -> Question:
    """Return a question with its answers in styles drawn without a look at their truth."""
    asked = known.asked

    def said(value: str) -> str:
        return styled(capitalized(draw.choice(known.sentences).format(value)), draw)

    bare = known.right[0]
    made = [
        Variant(response=capitalized(bare) + ".", share=1.0, kind="bare"),
        *(Variant(response=said(draw.choice(known.right)), share=1.0, kind="right") for _ in range(2)),
        Variant(response=styled(known.middling, draw), share=0.4, kind="middling"),
        *(Variant(response=said(one), share=0.0, kind="wrong") for one in draw.sample(known.wrong, 2)),
        Variant(response=capitalized(draw.choice(known.wrong)) + ".", share=0.0, kind="bare wrong"),
        Variant(response=f"{draw.choice(others)}.", share=0.0, kind="another question"),
    ]
    return Question(instruction=asked, reference=bare, variants=tuple(made), kind="known")


def _prime(draw: random.Random) -> Known:
    primes, rest = draw.sample(_PRIMES[:12], 2), draw.sample([n for n in range(4, 60) if n not in _PRIMES], 4)
    return Known(
        asked=draw.choice(
            ("Give me a prime.", "Say a number that is prime.", "Which number is a prime?", "Tell me one prime.")
        ),
        right=tuple(map(_spelled, primes)),
        middling=draw.choice(("One with no other divisors.", "There are infinitely many of them.", "Some odd number.")),
        wrong=tuple(map(_spelled, rest)),
        sentences=("{}", "{}.", "{} is a prime.", "{}, for instance.", "One prime is {}.", "{} cannot be divided."),
    )


def _small(draw: random.Random) -> Known:
    left, right = draw.randint(2, 16), draw.randint(2, 12)
    sign, value = draw.choice((("plus", left + right), ("times", left * right), ("minus", left)))
    left = left + right if sign == "minus" else left
    wrong = {abs(value + step) for step in (1, 2, -1, 10, -10, 3)} - {value}
    return Known(
        asked=draw.choice(
            (f"What is {left} {sign} {right}?", f"{left} {sign} {right}?", f"How much is {left} {sign} {right}?")
        ),
        right=(str(value), _spelled(value)),
        middling=draw.choice(
            (f"Somewhere around {round(value, -1) or 10}.", f"Less than {value + draw.randint(9, 60)}.")
        ),
        wrong=tuple(_spelled(n) if draw.random() < 0.3 else str(n) for n in sorted(wrong)),
        sentences=("{}", "{}.", f"{left} {sign} {right} is {{}}.", "It is {}.", "That makes {}."),
    )


def _month(draw: random.Random) -> Known:
    at, step = draw.randrange(12), draw.choice((1, -1))
    value = _MONTHS[(at + step) % 12]
    return Known(
        asked=f"Which month comes {'after' if step == 1 else 'before'} {_MONTHS[at]}?",
        right=(value, f"the month of {value}"),
        middling="One of the twelve months.",
        wrong=tuple(one for one in _MONTHS if one not in (value, _MONTHS[at])),
    )


def _days(draw: random.Random) -> Known:
    at = draw.randrange(12)
    value = str(_LENGTHS[at])
    return Known(
        asked=f"How many days has {_MONTHS[at]} in an ordinary year?",
        right=(value, f"{value} days"),
        middling="About four weeks.",
        wrong=tuple(n for n in ("27", "28", "29", "30", "31", "32", "35") if n != value),
    )


def _letters(draw: random.Random) -> Known:
    word = draw.choice(_PLAIN)
    return Known(
        asked=f"How many letters has the word '{word}'?",
        right=(_spelled(len(word)), str(len(word))),
        middling="Not very many.",
        wrong=tuple(_spelled(len(word) + step) for step in (-2, -1, 1, 2, 3)),
    )


def _larger(draw: random.Random) -> Known:
    low, high = sorted(draw.sample(range(2, 900), 2))
    return Known(
        asked=f"Which number is larger, {draw.choice((f'{low} or {high}', f'{high} or {low}'))}?",
        right=(str(high), f"{high}, since it is more than {low}"),
        middling="It is one of the two.",
        wrong=(str(low), f"{low}, since it is more than {high}", "they are equal", str(high + low)),
    )


def _even(draw: random.Random) -> Known:
    parity = draw.choice((0, 1))
    numbers = draw.sample(range(2, 100), 30)
    name = ("even", "odd")[parity]
    return Known(
        asked=draw.choice((f"Name an {name} number.", f"Which number is {name}?")),
        right=tuple(_spelled(n) for n in numbers if n % 2 == parity)[:3],
        middling="Every second number is one.",
        wrong=tuple(_spelled(n) for n in numbers if n % 2 != parity)[:5],
        sentences=("{}", "{}.", f"{{}} is {name}.", "{}, for example."),
    )


KNOWN: Mapping[str, Callable[[random.Random], Known]] = {
    "prime": _prime,
    "small": _small,
    "month": _month,
    "larger": _larger,
    "even": _even,
}
"""Questions that code draws, to train on."""

HELD_OUT_KNOWN: Mapping[str, Callable[[random.Random], Known]] = {"letters": _letters, "days": _days}
"""Questions to measure on, never trained on."""


def read_entities(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return capitals by country, and what people were by their full name, from WordNet's `data.noun`."""
    capitals: dict[str, str] = {}
    people: dict[str, str] = {}
    for words, gloss in _instances(folder / "data.noun"):
        if (found := _CAPITAL.match(gloss)) is not None:
            if (country := found[1].strip()) not in _LEFT_OUT:
                capitals.setdefault(country, words[0])
        elif (found := _PERSON.match(gloss)) is not None:
            name = next((one for one in words if one.count(" ") == 1), None)
            if name is not None:
                people[name] = found[1]
    return capitals, people


def _instances(path: Path) -> Iterator[tuple[list[str], str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if " @i " in line:
            fields, _, gloss = line.partition(" | ")
            parts = fields.split()
            yield [one.replace("_", " ") for one in parts[4 : 4 + 2 * int(parts[3], 16) : 2]], gloss


def entity_question(capitals: Mapping[str, str], people: Mapping[str, str], draw: random.Random) -> Known:
    """Return a question on a capital or on who somebody was."""
    if draw.random() < 0.6:
        country = draw.choice(list(capitals))
        return Known(
            asked=draw.choice((f"What is the capital of {country}?", f"Which city is the capital of {country}?")),
            right=(capitals[country], f"the city of {capitals[country]}"),
            middling=draw.choice(("A city in that country.", "It is the place where the government sits.")),
            wrong=tuple(draw.sample([one for one in capitals.values() if one != capitals[country]], 4)),
        )
    name = draw.choice(list(people))
    what = people[name]
    wrong = sorted({one for one in people.values() if one.split()[-1] != what.split()[-1]})
    return Known(
        asked=f"Who was {name}?",
        right=(_with_article(what),),
        middling=draw.choice(("A person of some fame.", "Somebody whom one reads about.")),
        wrong=tuple(map(_with_article, draw.sample(wrong, min(4, len(wrong))))),
        sentences=("{}", "{}.", f"{name} was {{}}.", "This was {}."),
    )


def _spelled(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIO' else 'a'} {noun}"
