import random
import re
from collections import defaultdict

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward.rubrics.checklists.checks import CodeCheck
from prom_reward.training.construction.aspects import ASPECTS, HELD_OUT_ASPECTS
from prom_reward.training.construction.criteria import _ASKED as ASKED
from prom_reward.training.construction.form_criteria import HELD_OUT_KINDS, KINDS, draw_criteria
from prom_reward.training.construction.passages import draw_passage
from tests.training.construction.test_passages import SENTENCES

ALL = {**KINDS, **HELD_OUT_KINDS}
SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NOUNS = {"health", "bill", "doctor", "news", "press", "altar", "detour", "hotel", "room", "cat", "mice", "dogs", "dog"}
TEXT = 'Today, the cat said: "I saw 3 mice." Did you see them? No!\n\nSee you soon.'
OTHER = "- THE DOG SLEPT."


def asked_of(texts, seed, kinds=ALL):
    return draw_criteria(texts, kinds, 2 * len(kinds), NOUNS, random.Random(seed))


def drawn_pair(seed):
    draw = random.Random(seed)
    return draw_passage(SENTENCES, draw), draw_passage(SENTENCES, draw)


@pytest.mark.parametrize(
    ("words", "kind", "is_met"),
    [
        ("has at least two paragraphs", "paragraphs", True),
        ("has fewer than two paragraphs", "paragraphs", False),
        ("contains a number in digits", "digits", True),
        ("has no digits", "digits", False),
        ("has an exclamation mark", "exclamation", True),
        ("has something in quotation marks", "quotation", True),
        ("is written in capital letters", "capitals", False),
        ("has lower-case letters", "capitals", True),
        ("has a question mark", "question mark", True),
        ("has no bullet points", "bullets", True),
        ("contains the word 'cat'", "word", True),
        ("never mentions mice", "word", False),
        ('begins with "Today"', "opening", True),
        ("ends with 'slept'", "ending", False),
    ],
)
def test_code_knows_the_form_of_a_text(words, kind, is_met):
    found = [one for seed in range(40) for one in asked_of((TEXT, OTHER), seed) if words in one.text]
    assert found
    assert {(one.kind, one.is_met_by(TEXT), one.is_met_by(OTHER)) for one in found} == {(kind, is_met, not is_met)}


@given(st.integers(0, 500))
@settings(max_examples=40)
def test_a_criterion_of_words_or_sentences_agrees_with_the_check_that_it_names(seed):
    texts = drawn_pair(seed)
    for one in asked_of(texts, seed):
        said = re.search(r"has at (most|least) (\w+) (word|sentence)s?\.", one.text)
        if said:
            side, number, unit = said.groups()
            limit = SMALL.index(number) if number in SMALL else int(number)
            check = CodeCheck.parse({f"{'max' if side == 'most' else 'min'}_{unit}s": limit})
            assert [check(text) for text in texts] == [one.is_met_by(text) for text in texts]


@given(st.integers(0, 500))
@settings(max_examples=40)
def test_all_but_bounds_are_met_by_one_of_two_texts(seed):
    texts = drawn_pair(seed)
    for one in asked_of(texts, seed):
        if not ALL[one.kind].is_bound:
            assert sorted(one.is_met_by(text) for text in texts) == [False, True]


def test_no_criterion_comes_twice():
    asked = [asked_of((TEXT, OTHER), seed) for seed in range(40)]
    assert all(len({one.text for one in found}) == len(found) for found in asked)


def test_a_bound_that_a_text_is_sure_to_meet_is_not_asked_for():
    kinds = {one.kind for seed in range(20) for one in asked_of((OTHER, OTHER), seed)}
    assert kinds == {"most words", "fewest words"}


def test_equal_texts_are_asked_for_bounds_alone():
    assert {one.kind for one in asked_of((TEXT, TEXT), 1)} == {name for name, kind in ALL.items() if kind.is_bound}


def test_no_noun_is_asked_for_of_which_both_texts_have_a_form():
    found = [one.text for seed in range(60) for one in asked_of(("The dogs ran.", "A dog in a hotel."), seed)]
    assert any("hotel" in one for one in found)
    assert not any(re.search(r"mention\w* (of )?dog|the word .dog", one) for one in found)


@pytest.mark.parametrize(
    ("kind", "value", "met", "missed"),
    [
        ("word", "here", "It is HERE, too.", "It is there."),
        ("word", "didn", "A didn of wool.", "They didn't come."),
        ("word", "fire", "A fire - at last.", "A cease-fire."),
        ("ending", "fire", "We saw the fire.", "We saw the cease-fire."),
        ("opening", "A", "- A cat ran.", "All cats ran."),
        ("opening", "In short", '"In short, no."', "In shorts he ran."),
        ("ending", "on", "It goes on!", "It left the station."),
        ("excluded word", "here", "It is there.", "Here it is."),
    ],
)
def test_words_are_whole_words(kind, value, met, missed):
    assert ALL[kind].passes(met, value)
    assert not ALL[kind].passes(missed, value)


def test_neither_a_kind_nor_its_words_tell_whether_a_criterion_is_met():
    met = defaultdict(list)
    for seed in range(150):
        texts = drawn_pair(seed)
        for one in asked_of(texts, seed):
            assert not re.search(r"\b(one|1) (words|sentences|paragraphs)", one.text)
            is_denied = re.search(
                r" no | not |never|something other|fewer than|more than|longer|shorter|lower", one.text
            )
            met[one.kind, is_denied is not None] += [one.is_met_by(text) for text in texts]
    assert {kind for kind, _ in met} == ALL.keys()
    assert all(0.35 < sum(answers) / len(answers) < 0.65 for answers in met.values() if len(answers) > 100)


def test_kinds_that_are_held_out_are_asked_for_in_no_row_of_training():
    def predicates(kinds, aspects):
        said = [one for kind in kinds.values() for one in (*kind.says, *kind.denies)]
        asked = [one.removeprefix("The response ").removesuffix(".") for name in aspects for one in ASKED[name]]
        return {*said, *asked}

    assert not predicates(KINDS, ASPECTS) & predicates(HELD_OUT_KINDS, HELD_OUT_ASPECTS)
    quoting = [one for one in predicates(KINDS, ASPECTS) if "quot" in one]
    assert not quoting
