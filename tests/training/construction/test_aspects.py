import random

import pytest
from hypothesis import given, strategies as st

from prom_reward.training.construction.aspects import (
    _PLAIN,
    ASPECTS,
    HELD_OUT_ASPECTS,
    aspect_level,
    aspect_rubric,
    coverage_level,
    coverage_rubric,
    draw_texts,
)

ALL = {**ASPECTS, **HELD_OUT_ASPECTS}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("plain", _PLAIN)
def test_a_marked_sentence_has_its_aspect_once_and_no_other(name, plain):
    sides = ASPECTS if name in ASPECTS else HELD_OUT_ASPECTS
    for seed in range(4):
        sentence = plain.format("that")
        marked = ALL[name].marked(sentence, random.Random(seed))
        counts = {other: aspect.count(marked) - aspect.count(sentence) for other, aspect in sides.items()}
        assert counts == {other: int(other == name) for other in sides}


@given(st.integers(0, 100))
def test_the_level_grows_with_the_sentences_that_have_the_aspect(seed):
    draw = random.Random(seed)
    name = draw.choice(sorted(ALL))
    sentences = [ALL[name].marked("People forget about that.", draw) for _ in range(6)]
    assert [aspect_level(ALL[name], " ".join(sentences[:count])) for count in range(1, 7)] == [2, 3, 4, 5, 5, 5]
    assert aspect_level(ALL[name], "People forget about that.") == 1


@given(st.integers(0, 100))
def test_coverage_counts_the_named_items(seed):
    texts = draw_texts(ASPECTS, 3, random.Random(seed))
    for one in texts:
        named = sum(one.text.count(item) > 0 for item in one.items)
        assert coverage_level(one.items, one.text) == 1 + named
        assert all(item in one.instruction and item in coverage_rubric(one.items).criteria for item in one.items)


def test_a_rubric_for_an_aspects_absence_says_so():
    drawn = [aspect_rubric("questions", ASPECTS["questions"], random.Random(seed)) for seed in range(30)]
    for rubric, is_reversed in drawn:
        assert rubric.criteria.endswith("The less, the better.") == is_reversed
        assert (rubric.descriptions[5] == "The response has no question.") == is_reversed
    assert {is_reversed for _, is_reversed in drawn} == {True, False}


def test_aspects_to_measure_on_share_no_words_with_those_trained_on():
    criteria = [{text for one in side.values() for text in one.criteria} for side in (ASPECTS, HELD_OUT_ASPECTS)]
    assert not criteria[0] & criteria[1]
    assert not ASPECTS.keys() & HELD_OUT_ASPECTS.keys()
