import random
import re

import pytest

from prom_reward.training.construction.common import (
    HELD_OUT_KNOWN,
    KNOWN,
    entity_question,
    known_question,
    read_entities,
)

TRUTHS = {
    "prime": lambda asked, n: n > 1 and all(n % k for k in range(2, n)),
    "small": lambda asked, n: n == eval(calculation(asked)),
    "even": lambda asked, n: n % 2 == ("odd" in asked),
    "letters": lambda asked, n: n == len(re.search("'(.*)'", asked)[1]),
}
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def calculation(asked):
    numbers = re.search(r"\d+ \w+ \d+", asked)[0]
    return numbers.replace("plus", "+").replace("minus", "-").replace("times", "*")


def number(text):
    return WORDS.index(text) if text in WORDS else int(text)


@pytest.mark.parametrize("kind", TRUTHS)
def test_right_answers_are_right_and_wrong_ones_are_wrong(kind):
    for seed in range(40):
        known = {**KNOWN, **HELD_OUT_KNOWN}[kind](random.Random(seed))
        assert all(TRUTHS[kind](known.asked, number(one)) for one in known.right)
        assert not any(TRUTHS[kind](known.asked, number(one)) for one in known.wrong)


@pytest.mark.parametrize("kind", [*KNOWN, *HELD_OUT_KNOWN])
def test_a_short_right_answer_deserves_more_than_a_middling_and_a_wrong_one(kind):
    known = {**KNOWN, **HELD_OUT_KNOWN}[kind](random.Random(3))
    question = known_question(known, ["Paris"], random.Random(3))
    shares = {one.kind: one.share for one in question.variants}
    assert shares == {
        "bare": 1.0,
        "right": 1.0,
        "middling": 0.4,
        "wrong": 0.0,
        "bare wrong": 0.0,
        "another question": 0.0,
    }
    bare = next(one.response for one in question.variants if one.kind == "bare")
    assert bare.removesuffix(".").lower() == known.right[0].lower()


def test_capitals_and_people_are_read_with_others_as_wrong_answers(wordnet):
    capitals, people = read_entities(wordnet)
    assert len(capitals) == len(people) == 40
    assert capitals["Aaland"] == "Aalandville"
    assert people["Ann Aaland"] == "French poet"
    for seed in range(20):
        known = entity_question(capitals, people, random.Random(seed))
        assert not {*known.right} & {*known.wrong}
