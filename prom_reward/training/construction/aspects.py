"""Rubrics for aspects of a text that code can measure, and texts that differ in them."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prom_reward.rubrics.rubric import Rubric

_TOPICS = {
    "a visit to the market": ("apples", "bread", "cheese", "honey", "fish"),
    "a trip by train": ("the window", "the conductor", "the timetable", "the luggage", "the station"),
    "keeping a garden": ("roses", "a fence", "the soil", "a spade", "tomatoes"),
    "moving to a new flat": ("boxes", "the landlord", "the kitchen", "a ladder", "neighbors"),
    "preparing for an exam": ("notes", "a library", "the teacher", "a schedule", "breaks"),
    "a day at sea": ("the sails", "an anchor", "seagulls", "the captain", "a storm"),
}
_PLAIN = (
    "There are things to say about {}.",
    "It took a while to think about {}.",
    "Some people forget about {}.",
    "The whole plan depended on {}.",
    "A friend once mentioned {}.",
    "Nobody was surprised by {}.",
)
_FOREIGN = ("Das war wirklich ein langer Tag.", "Nous avons bien mangé ce soir.", "La ciudad estaba muy tranquila.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspect:
    """A measurable aspect of a text: its rubric's words, how a sentence gets it, and its measure."""

    criteria: tuple[str, ...]
    """Questions with `{topic}` or `{items}`, in different words."""
    levels: tuple[str, str, str, str, str]
    """The descriptions of the scores 1 to 5."""
    marked: Callable[[str, random.Random], str]
    """Gives a sentence the aspect."""
    count: Callable[[str], int]
    """Counts the sentences of a text that have the aspect."""


def _number(sentence: str, draw: random.Random) -> str:
    return f"{sentence[:-1]}, {draw.randint(2, 99)} times in all."


def _counted(pattern: str) -> Callable[[str], int]:
    return lambda text: len(re.findall(pattern, text))


def _prefix(*openings: str) -> Callable[[str, random.Random], str]:
    return lambda sentence, draw: draw.choice(openings) + sentence[0].lower() + sentence[1:]


def _levels(thing: str) -> tuple[str, str, str, str, str]:
    return (
        f"The response has no {thing}.",
        f"The response has one {thing}.",
        f"The response has two {thing}s.",
        f"The response has three {thing}s.",
        f"The response has four or more {thing}s.",
    )


def _degrees(thing: str) -> tuple[str, str, str, str, str]:
    return (
        f"Never {thing}.",
        f"Once {thing}.",
        f"At times {thing}.",
        f"Mostly {thing}.",
        f"{thing.capitalize()} throughout.",
    )


ASPECTS: Mapping[str, Aspect] = {
    "exclamations": Aspect(
        criteria=("How excited does the text sound?", "Does the response show enthusiasm by exclamation marks?"),
        levels=_levels("exclamation"),
        marked=lambda sentence, draw: f"{sentence[:-1]}!",
        count=_counted("!"),
    ),
    "questions": Aspect(
        criteria=(
            "Does the response ask the reader questions?",
            "How much does the text draw the reader in by asking?",
        ),
        levels=_levels("question"),
        marked=lambda sentence, draw: f"{sentence[:-1]}, don't you think?",
        count=_counted(r"\?"),
    ),
    "numbers": Aspect(
        criteria=("Is the response concrete, with figures?", "How many numbers does the response give?"),
        levels=_levels("figure"),
        marked=_number,
        count=_counted(r"\d+"),
    ),
    "first person": Aspect(
        criteria=("Is the text told from the writer's own view?", "Does the response speak in the first person?"),
        levels=_degrees("in the first person"),
        marked=_prefix("I recall that ", "I must say that ", "As I saw, "),
        count=_counted(r"\bI\b"),
    ),
    "politeness": Aspect(
        criteria=("How polite is the response?", "Does the response use a courteous tone?"),
        levels=_degrees("courteous"),
        marked=_prefix("please note that ", "with all respect, ", "if you will allow me, "),
        count=_counted("(?i)please|with all respect|if you will allow me"),
    ),
    "time order": Aspect(
        criteria=("Does the response make the order of events clear?", "Is the text structured by time words?"),
        levels=_levels("time word"),
        marked=_prefix("first, ", "then ", "after that, ", "finally, "),
        count=_counted("(?i)first, |then |after that, |finally, "),
    ),
    "foreign language": Aspect(
        criteria=("Is the response in a language other than English?", "How much foreign-language text is there?"),
        levels=_levels("foreign sentence"),
        marked=lambda sentence, draw: draw.choice(_FOREIGN),
        count=_counted("Das war|Nous avons|La ciudad"),
    ),
    "reasons": Aspect(
        criteria=("Does the response give reasons for what it says?", "How well is each statement justified?"),
        levels=_levels("reason"),
        marked=lambda sentence, draw: f"{sentence[:-1]} because {draw.choice(('it was late', 'time was short'))}.",
        count=_counted("because"),
    ),
    "brackets": Aspect(
        criteria=("Does the response add asides in brackets?", "How many remarks in parentheses does the text hold?"),
        levels=_levels("bracketed remark"),
        marked=lambda sentence, draw: f"{sentence[:-1]} ({draw.choice(('as always', 'more or less', 'so they say'))}).",
        count=_counted(r"\("),
    ),
    "address": Aspect(
        criteria=("Does the response speak to the reader directly?", "How often is the reader addressed?"),
        levels=_degrees("speaking to the reader"),
        marked=_prefix("you know that ", "as you see, ", "let me tell you that "),
        count=_counted(r"(?i)\byou\b(?! think| will)"),
    ),
    "examples": Aspect(
        criteria=("Does the response illustrate its points?", "Are there examples in the text?"),
        levels=_levels("example"),
        marked=lambda sentence, draw: (
            f"{sentence[:-1]}, for example {draw.choice(('on Sundays', 'at noon', 'in May'))}."
        ),
        count=_counted("for example"),
    ),
    "contrast": Aspect(
        criteria=("Does the response weigh one thing against another?", "How well does the text show both sides?"),
        levels=_levels("contrast"),
        marked=_prefix("on the other hand, ", "however, ", "in contrast, "),
        count=_counted("(?i)on the other hand, |however, |in contrast, "),
    ),
    "feelings": Aspect(
        criteria=("Does the response convey emotion?", "How strongly do feelings come through in the text?"),
        levels=_degrees("emotional"),
        marked=lambda sentence, draw: f"{sentence[:-1]}, which made everybody {draw.choice(('sad', 'glad', 'angry'))}.",
        count=_counted("which made everybody"),
    ),
    "emoji": Aspect(
        criteria=("Is the response decorated with emoji?", "How many emoji does the text use?"),
        levels=_levels("emoji"),
        marked=lambda sentence, draw: f"{sentence} {draw.choice('😀🎉👍🌻')}",
        count=_counted("[😀🎉👍🌻]"),
    ),
    "hearsay": Aspect(
        criteria=("Does the response pass on what others told?", "How much of the text rests on hearsay?"),
        levels=_degrees("resting on hearsay"),
        marked=_prefix("people say that ", "we were told that ", "word has it that "),
        count=_counted("(?i)people say that|were told that|word has it that"),
    ),
}
"""Aspects to train on."""

HELD_OUT_ASPECTS: Mapping[str, Aspect] = {
    "citations": Aspect(
        criteria=("Does the response cite its sources?", "How well is the text backed by citations?"),
        levels=_levels("citation"),
        marked=lambda sentence, draw: f"{sentence[:-1]} [{draw.choice(('Smith 2004', 'Chen 1998', 'Ortiz 2011'))}].",
        count=_counted(r"\["),
    ),
    "hedging": Aspect(
        criteria=("How careful is the response not to claim too much?", "Does the response mark its doubts?"),
        levels=_degrees("hedged"),
        marked=_prefix("perhaps ", "possibly ", "it might be that "),
        count=_counted("(?i)perhaps|possibly|it might be"),
    ),
    "quotations": Aspect(
        criteria=("Does the text let people speak for themselves?", "How many quotations does the response hold?"),
        levels=_levels("quotation"),
        marked=lambda sentence, draw: f'She said: "{sentence}"',
        count=_counted("She said"),
    ),
}
"""Aspects to measure on, never trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text on a topic."""

    instruction: str
    """The request."""
    items: tuple[str, ...]
    """The items that the request asks for."""
    text: str
    """The text."""


def draw_texts(aspects: Mapping[str, Aspect], num_texts: int, draw: random.Random) -> list[Text]:
    """Return texts on one topic whose sentences have the aspects by independent draws."""
    topic = draw.choice(list(_TOPICS))
    items = tuple(draw.sample(_TOPICS[topic], 4))
    instruction = f"Write a few sentences about {topic}. Mention {', '.join(items)}."
    texts = []
    for _ in range(num_texts):
        named = draw.sample(items, draw.randint(0, 4))
        rates = {name: draw.choice((0.0, 0.0, 0.0, 0.4, 0.8)) for name in aspects}
        sentences = [draw.choice(_PLAIN).format(one) for one in [*named, *["that"] * draw.randint(1, 6 - len(named))]]
        marked = [_marked(sentence, aspects, rates, draw) for sentence in sentences]
        draw.shuffle(marked)
        texts.append(Text(instruction=instruction, items=items, text=" ".join(marked)))
    return texts


def _marked(sentence: str, aspects: Mapping[str, Aspect], rates: Mapping[str, float], draw: random.Random) -> str:
    names = [name for name, rate in rates.items() if draw.random() < rate]
    return aspects[draw.choice(names)].marked(sentence, draw) if names else sentence


def aspect_level(aspect: Aspect, text: str) -> int:
    """Return a text's score from 1 to 5: one more for each sentence that has the aspect."""
    return 1 + min(4, aspect.count(text))


def aspect_rubric(name: str, aspect: Aspect, draw: random.Random) -> tuple[Rubric, bool]:
    """Return a rubric for an aspect, and whether it asks for its absence."""
    is_reversed = draw.random() < 0.3
    criteria, levels = draw.choice(aspect.criteria), aspect.levels
    if is_reversed:
        criteria, levels = f"{criteria} The less, the better.", levels[::-1]
    return Rubric(
        name=name.replace(" ", "_"), criteria=criteria, descriptions=dict(enumerate(levels, start=1))
    ), is_reversed


def coverage_rubric(items: tuple[str, ...]) -> Rubric:
    """Return a rubric that counts the named items."""
    names = ("None", "One", "Two", "Three", "All four")
    return Rubric(
        name="coverage",
        criteria=f"Does the response mention {', '.join(items)}?",
        descriptions={level: f"{word} of these things is mentioned." for level, word in enumerate(names, start=1)},
    )


def coverage_level(items: tuple[str, ...], text: str) -> int:
    """Return the score of `coverage_rubric`."""
    return 1 + sum(item in text for item in items)
