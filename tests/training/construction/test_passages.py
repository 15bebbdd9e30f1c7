import random
import re

import pytest
from hypothesis import given, strategies as st

from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.training.construction.passages import (
    HELD_OUT_KINDS,
    KINDS,
    draw_criteria,
    draw_passage,
    long_words,
)

ALL = {**KINDS, **HELD_OUT_KINDS}
SENTENCES = (
    *(
        "the doctor gave him a clean bill of health",
        "she was refreshingly free from shyness",
        "News hot off the press!",
    ),
    *("the gleaming brass on the altar", "is this hotel room bugged?", "we had to take a detour"),
)
SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TEXT = 'Today, the cat said: "I saw 3 mice." Did you see them? No!\n\nSee you soon.'


def asked_of(text, seed, kinds=ALL):
    return draw_criteria(text, kinds, 2 * len(kinds), ("window", "green", "mice"), random.Random(seed))


@pytest.mark.parametrize(
    ("words", "kind", "is_met"),
    [
        ("has at least two paragraphs", "paragraphs", True),
        ("has at least three paragraphs", "paragraphs", False),
        ("contains a number in digits", "digits", True),
        ("has no digits", "digits", False),
        ("has an exclamation mark", "exclamation", True),
        ("has something in quotation marks", "quotation", True),
        ("is written in capital letters", "capitals", False),
        ("has lower-case letters", "capitals", True),
        ("asks a question", "question", True),
        ("has no bullet points", "bullets", True),
    ],
)
def test_code_knows_the_form_of_a_text(words, kind, is_met):
    found = [one for seed in range(60) for one in asked_of(TEXT, seed) if words in one.text]
    assert found
    assert {(one.kind, one.is_met_by(TEXT)) for one in found} == {(kind, is_met)}


@given(st.integers(0, 500))
def test_a_criterion_of_words_or_sentences_agrees_with_the_check_that_it_names(seed):
    draw = random.Random(seed)
    text = draw_passage(SENTENCES, draw)
    for one in asked_of(text, seed):
        said = re.search(r"has at (most|least) (\w+) (word|sentence)s?\.", one.text)
        if said:
            side, number, unit = said.groups()
            check = {
                f"{'max' if side == 'most' else 'min'}_{unit}s": SMALL.index(number) if number in SMALL else int(number)
            }
            assert CodeCheck.parse(check)(text) == one.is_met_by(text)
        said = re.search(r"(mentions|never mentions|avoids the word) \"?(\w+)", one.text)
        if said:
            is_asked = said[1] == "mentions" and "never" not in one.text
            assert (said[2] in long_words(text)) == (one.is_met_by(text) == is_asked)


@pytest.mark.parametrize(
    ("kind", "value", "met", "missed"),
    [
        ("word", "here", "It is HERE, too.", "It is there."),
        ("opening", "A", "- A cat ran.", "All cats ran."),
        ("opening", "In short", '"In short, no."', "In shorts he ran."),
        ("ending", "on", "It goes on!", "It left the station."),
        ("excluded word", "here", "It is there.", "Here it is."),
    ],
)
def test_words_are_whole_words(kind, value, met, missed):
    assert ALL[kind].passes(met, value)
    assert not ALL[kind].passes(missed, value)


def test_every_kind_is_met_and_missed_by_passages_and_asked_in_both_ways():
    draw = random.Random(1)
    texts = [draw_passage(SENTENCES, draw) for _ in range(200)]
    found = [(one, text) for seed, text in enumerate(texts) for one in asked_of(text, seed)]
    for kind in ALL:
        answers = [one.is_met_by(text) for one, text in found if one.kind == kind]
        assert 0.25 < sum(answers) / len(answers) < 0.75
    assert not re.search(r"\b(one|1) (words|sentences|paragraphs)", " ".join(one.text for one, _ in found))


def test_a_passage_has_up_to_eight_sentences_in_several_forms():
    draw = random.Random(2)
    texts = [draw_passage(SENTENCES, draw) for _ in range(200)]
    assert any(text == text.upper() for text in texts)
    assert any(text.startswith("- ") for text in texts)
    assert any("\n\n" in text for text in texts)
    assert max(len(re.findall(r"[.!?](?=[\s\"]|$)", text)) for text in texts) >= 8


def test_long_words_come_once_and_in_order():
    assert long_words("Then the Cats and then CATS ran away") == ["away", "cats", "then"]
