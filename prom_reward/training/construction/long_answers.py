"""Long answers to questions of several parts, whose length is drawn without a look at what they get right."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from prom_reward.training.construction.facts import Fact
from prom_reward.training.construction.variants import Question, Variant
from prom_reward.training.construction.wording import reworded
from prom_reward.training.construction.wordnet import Definition

_SUBJECTS = (
    *("People in this field", "Most visitors", "Two of my teachers", "Older books", "The newer guides", "Children"),
    *("Some writers", "My neighbors", "Students at the college", "Those who work with it", "Few experts"),
)
_VERBS = (
    *("come back to", "have written about", "like to talk about", "took years to understand", "disagree about"),
    *("still remember", "were surprised by", "keep notes on", "hear early of", "often return to"),
)
_OBJECTS = (
    *("this point", "the whole subject", "such matters", "its long history", "that side of the question"),
    *("the details", "what follows from it", "the first chapter", "the story behind it", "these words"),
)
_ENDINGS = (
    *("", "", ", and rightly so", " at the end of the day", " without much noise", ", as one would expect"),
    *(" in winter", ", though not always in the same way", " when they meet", ", which is no wonder"),
    " more than they admit",
)

ASKED = ("Explain these words: {}.", "What do the following words mean: {}?", "Write about each of these terms: {}.")
"""Wordings of a long question about words."""
ASKED_FACTS = ("Please answer all of these questions: {}", "{}", "Write a report that answers the following: {}")
"""Wordings of a long question about facts."""
NUM_PARTS = range(3, 7)
"""The numbers of parts that a long question may have."""
_WRONG_COST = 0.5  # a share of what a right part earns
_WORDS = (40, 650)  # of an answer; between them any share of the logarithm is as likely


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPart:
    """One part of a long question."""

    asked: str
    """The question, or the word to explain."""
    reference: str
    """A right statement."""
    right: Callable[[], str]
    """Draws a right statement in other words."""
    wrong: Callable[[], str]
    """Draws a statement that contradicts the reference."""


def definition_parts(words: Sequence[Definition], draw: random.Random) -> list[QuestionPart]:
    """Return a part for each word."""
    return [
        QuestionPart(
            asked=one.word,
            reference=f"{one.word}: {one.gloss}.",
            right=partial(_defined, one, draw),
            wrong=partial(_misdefined, one, draw),
        )
        for one in words
    ]


def fact_parts(facts: Sequence[Fact], draw: random.Random) -> list[QuestionPart]:
    """Return a part for each fact."""

    def said(fact: Fact, value: str, side: int = 0) -> str:
        detail = fact.detail[side] if fact.detail else ""
        return f"{fact.stated(value, draw)}{detail}".rstrip(".") + "."

    def false(fact: Fact) -> str:
        return said(fact, draw.choice(fact.false_values), 1)

    return [
        QuestionPart(
            asked=one.question,
            reference=said(one, one.value),
            right=partial(said, one, one.value),
            wrong=partial(false, one),
        )
        for one in facts
    ]


def long_question(
    instruction: str,
    parts: Sequence[QuestionPart],
    strangers: Sequence[QuestionPart],
    draw: random.Random,
    *,
    num_answers: int = 4,
) -> Question:
    """Return a question of several parts with long and short answers to it.

    Args:
        instruction: The question, with `{}` for its parts.
        parts: Its parts.
        strangers: Parts of other questions, for an answer that misses the question.
        draw: Of all choices.
        num_answers: Answers besides the one that misses the question.
    """
    asked = [one.asked for one in parts]
    made = [_answer(parts, draw) for _ in range(num_answers - 1)]
    return Question(
        instruction=instruction.format(", ".join(asked) if asked[0][-1] not in "?." else " ".join(asked)),
        reference=" ".join(one.reference for one in parts),
        variants=(
            Variant(response=_text([one.right() for one in parts], draw), share=1.0, kind="long, complete"),
            *made,
            Variant(response=_text([one.right() for one in strangers], draw), share=0.0, kind="long, another question"),
        ),
        kind="long",
    )


def _answer(parts: Sequence[QuestionPart], draw: random.Random) -> Variant:
    """Return an answer that gets some parts right, some wrong, and leaves out the others."""
    order = draw.sample(parts, len(parts))
    num_right = draw.randint(0, len(parts))
    num_wrong = draw.choice((0, draw.randint(0, len(parts) - num_right)))
    said = [one.right() for one in order[:num_right]]
    said += [one.wrong() for one in order[num_right : num_right + num_wrong]]
    share = max(0.0, num_right - _WRONG_COST * num_wrong) / len(parts)
    return Variant(response=_text(said, draw), share=share, kind="long, in part" if num_right else "long, empty")


def _text(said: Sequence[str], draw: random.Random) -> str:
    """Return paragraphs that say something, filled up with sentences that say nothing."""
    low, high = _WORDS
    length = low * (high / low) ** draw.random()
    sentences = draw.sample(said, len(said))
    used: set[str] = set()
    num_words = sum(len(one.split()) for one in sentences)
    while num_words < length:
        padding = _padding(draw)
        if padding not in used:
            used.add(padding)
            sentences.insert(draw.randint(0, len(sentences)), padding)
            num_words += len(padding.split())
    size = draw.choice((1, 3, 5, len(sentences)))
    paragraphs = [" ".join(sentences[at : at + size]) for at in range(0, len(sentences), size)]
    return draw.choice(("\n\n", "\n", "\n- ")).join(paragraphs)


def _padding(draw: random.Random) -> str:
    subject, verb, thing, ending = map(draw.choice, (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS))
    return f"{subject} {verb} {thing}{ending}."


def _defined(one: Definition, draw: random.Random) -> str:
    return _explained(one.word, reworded(one.gloss, draw), draw)


def _misdefined(one: Definition, draw: random.Random) -> str:
    return _explained(one.word, draw.choice(one.siblings), draw)


def _explained(word: str, gloss: str, draw: random.Random) -> str:
    form = draw.choice(("{word}: {gloss}.", "The word {word} means {gloss}.", "By {word} one means {gloss}."))
    form = draw.choice((form, "{gloss} is what is called {word}."))
    text = form.format(word=word, gloss=gloss)
    return text[0].upper() + text[1:]
