"""Questions whose right and wrong answers are known by construction."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_NAMES = (
    *("Mira Olsen", "Tomas Reyes", "Ada Lindt", "Kofi Mensah", "Yuki Tanaka", "Ivan Petrov", "Lena Vogel"),
    *("Omar Haddad", "Grace Whitby", "Paulo Mendes", "Nora Keane", "Samir Patel", "Elsa Brandt", "Jonas Falk"),
)
_CITIES = ("Bergen", "Porto", "Lyon", "Krakow", "Osaka", "Accra", "Quito", "Leeds", "Tartu", "Graz", "Perth", "Haifa")
_JOBS = ("botanist", "surgeon", "painter", "engineer", "baker", "pilot", "historian", "violinist", "judge", "welder")
_THINGS = ("bridge", "tower", "library", "museum", "tunnel", "stadium", "theater", "lighthouse", "mill", "harbor")
_GOODS = ("rice", "steel", "wool", "copper", "coffee", "timber", "salt", "glass", "cotton", "paper")
_LIQUIDS = ("the mixture", "the alloy", "the solvent", "the wax", "the resin", "the brine", "the syrup")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS = {("kilometers", "meters"): 1000, ("hours", "minutes"): 60, ("dozens", "pieces"): 12, ("weeks", "days"): 7}
_UNITS |= {("kilograms", "grams"): 1000, ("minutes", "seconds"): 60, ("meters", "centimeters"): 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A question with one true value, and the texts that state a value."""

    question: str
    """The question."""
    value: str
    """The true value."""
    false_values: tuple[str, ...]
    """Values of the same kind that are false."""
    sentences: tuple[str, ...]
    """Sentences with `{}` for the value, in different words."""
    negation: str
    """A sentence with `{}` that denies the value."""
    detail: tuple[str, str] | None = None
    """A second part that a full answer needs: true and false."""
    kind: str
    """The kind of fact."""

    def stated(self, value: str, draw: random.Random) -> str:
        """Return a sentence that states a value."""
        return _sentence(draw.choice(self.sentences).format(value))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _others(values: Sequence[str], value: str, draw: random.Random) -> tuple[str, ...]:
    return tuple(draw.sample([one for one in values if one != value], 4))


def _near(number: int, draw: random.Random) -> tuple[str, ...]:
    """Return four other numbers of about the same size: a neighbor, a swapped digit, a tenfold, any."""
    digits = str(number)
    steps = [number + draw.choice((1, 2, 10, -1)), number * 10, number + draw.randint(3, 40), max(1, number // 2)]
    swapped = int(digits[::-1]) if len(digits) > 1 else number + 5
    found = dict.fromkeys(str(abs(one)) for one in [*steps, swapped, number + 7, number + 11] if one != number)
    return tuple(list(found)[:4])


def _sum(draw: random.Random) -> Fact:
    left, right = draw.randint(3, 89), draw.randint(3, 89)
    sign, word, value = draw.choice((("+", "plus", left + right), ("-", "minus", left), ("*", "times", left * right)))
    if sign == "-":
        left += right
    return Fact(
        kind="arithmetic",
        question=draw.choice((f"What is {left} {word} {right}?", f"Calculate {left} {sign} {right}.")),
        value=str(value),
        false_values=_near(value, draw),
        sentences=(
            *("{}", f"{left} {word} {right} is {{}}.", f"{left} {sign} {right} = {{}}", "the result is {}."),
            *("this makes {}.", "you get {}.", f"{{}} is what {left} {word} {right} gives.", "{}, if I count right."),
        ),
        negation=f"{left} {word} {right} is not {{}}.",
    )


def _conversion(draw: random.Random) -> Fact:
    (large, small), factor = draw.choice(list(_UNITS.items()))
    count = draw.randint(2, 30)
    value = count * factor
    return Fact(
        kind="unit",
        question=draw.choice((f"How many {small} are {count} {large}?", f"Convert {count} {large} to {small}.")),
        value=f"{value} {small}",
        false_values=tuple(f"{one} {small}" for one in _near(value, draw)),
        sentences=(
            "{}",
            f"{count} {large} are {{}}.",
            f"{{}}, since one has {factor}.",
            f"{{}} make {count} {large}.",
            "altogether {}.",
            "that is {}.",
        ),
        negation=f"{count} {large} are certainly not {{}}.",
    )


def _birth(draw: random.Random) -> Fact:
    name, city, job, year = draw.choice(_NAMES), draw.choice(_CITIES), draw.choice(_JOBS), draw.randint(1801, 1995)
    other_city = draw.choice([one for one in _CITIES if one != city])
    last = name.split()[-1]
    return Fact(
        kind="birth",
        question=f"When and where was the {job} {name} born?",
        value=str(year),
        false_values=_near(year, draw),
        sentences=(
            f"{name} was born in {{}}",
            f"{last}, a {job}, was born in {{}}",
            "born in {}",
            "the year was {}",
            f"{last} came into the world in {{}}",
            "in {}",
        ),
        negation=f"{name} was not born in {{}}",
        detail=(f" in {city}.", f" in {other_city}."),
    )


def _job(draw: random.Random) -> Fact:
    name, job = draw.choice(_NAMES), draw.choice(_JOBS)
    last = name.split()[-1]
    return Fact(
        kind="job",
        question=draw.choice((f"What was {name}'s profession?", f"What did {name} do for a living?")),
        value=job,
        false_values=_others(_JOBS, job, draw),
        sentences=(
            "{}.",
            f"{name} was a {{}}.",
            f"{last} worked as a {{}} for many years.",
            "a {} by trade.",
            "this was a {}.",
            f"as a {{}}, {last} earned a living.",
        ),
        negation=f"{name} never was a {{}}.",
    )


def _temperature(draw: random.Random) -> Fact:
    thing, degrees = draw.choice(_LIQUIDS), draw.randint(20, 900)
    verb = draw.choice(("boil", "melt", "freeze", "ignite"))
    return Fact(
        kind="temperature",
        question=f"At what temperature does {thing} {verb}?",
        value=f"{degrees} degrees",
        false_values=tuple(f"{one} degrees" for one in _near(degrees, draw)),
        sentences=(
            "{}.",
            f"{thing} {verb}s at {{}}.",
            f"at {{}} {thing} begins to {verb}.",
            "it happens at {}.",
            f"it takes {{}} to make {thing} {verb}.",
            "you need {}.",
        ),
        negation=f"{thing} does not {verb} at {{}}.",
    )


def _building(draw: random.Random) -> Fact:
    thing, city, year, height = (
        draw.choice(_THINGS),
        draw.choice(_CITIES),
        draw.randint(1500, 2015),
        draw.randint(8, 300),
    )
    return Fact(
        kind="building",
        question=f"When was the {thing} of {city} built, and how tall is it?",
        value=str(year),
        false_values=_near(year, draw),
        sentences=(
            f"the {thing} was built in {{}}",
            f"{city}'s {thing} dates from {{}}",
            "built in {}",
            "it is from {}",
        ),
        negation=f"the {thing} was not built in {{}}",
        detail=(f" and is {height} meters tall.", f" and is {_near(height, draw)[0]} meters tall."),
    )


def _trade(draw: random.Random) -> Fact:
    city, good = draw.choice(_CITIES), draw.choice(_GOODS)
    return Fact(
        kind="trade",
        question=draw.choice((f"What is {city} known for exporting?", f"Which good does {city} sell most?")),
        value=good,
        false_values=_others(_GOODS, good, draw),
        sentences=(
            "{}.",
            f"{city} mainly exports {{}}.",
            "its main good is {}.",
            f"most of what {city} sells is {{}}.",
            "{} more than all else.",
            f"{{}} leaves {city} by the shipload.",
        ),
        negation=f"{city} does not export any {{}}.",
    )


def _meeting(draw: random.Random) -> Fact:
    day, month, number, hour = draw.choice(_DAYS), draw.choice(_MONTHS), draw.randint(1, 28), draw.randint(1, 12)
    return Fact(
        kind="meeting",
        question=f"On which day is the meeting in {month}, and at what time?",
        value=day,
        false_values=_others(_DAYS, day, draw),
        sentences=("{}", "the meeting is on {}", f"we meet on {{}}, {month} {number},"),
        negation="the meeting is not on {}",
        detail=(f" at {hour} o'clock.", f" at {hour % 12 + 1} o'clock."),
    )


def _price(draw: random.Random) -> Fact:
    good, price, city = draw.choice(_GOODS), draw.randint(3, 950), draw.choice(_CITIES)
    return Fact(
        kind="price",
        question=f"How much does a ton of {good} cost in {city}?",
        value=f"{price} dollars",
        false_values=tuple(f"{one} dollars" for one in _near(price, draw)),
        sentences=("{}.", f"a ton of {good} costs {{}}.", f"in {city} one pays {{}} for it.", "the price is {}."),
        negation=f"it does not cost {{}} in {city}.",
    )


KINDS: Mapping[str, Callable[[random.Random], Fact]] = {
    "arithmetic": _sum,
    "unit": _conversion,
    "birth": _birth,
    "job": _job,
    "temperature": _temperature,
    "trade": _trade,
    "meeting": _meeting,
}
"""Kinds of facts to train on."""

HELD_OUT_KINDS: Mapping[str, Callable[[random.Random], Fact]] = {"building": _building, "price": _price}
"""Kinds of facts to measure on, never trained on."""
