import random

import numpy as np
import pytest

from prom_reward.training.construction.facts import KINDS
from prom_reward.training.construction.long_answers import QuestionPart, fact_parts, long_question


def part(name):
    return QuestionPart(
        asked=f"{name}?", reference=f"{name} ref.", right=lambda: f"{name} right.", wrong=lambda: f"{name} wrong."
    )


PARTS, STRANGERS = [part(name) for name in "abcd"], [part(name) for name in "uvwx"]


@pytest.fixture(scope="module")
def variants():
    questions = [long_question("Answer: {}", PARTS, STRANGERS, random.Random(seed)) for seed in range(150)]
    assert {one.instruction for one in questions} == {"Answer: a? b? c? d?"}
    assert {one.reference for one in questions} == {"a ref. b ref. c ref. d ref."}
    return [variant for question in questions for variant in question.variants]


def test_an_answer_deserves_its_right_parts_less_half_of_its_wrong_ones(variants):
    for one in variants:
        right, wrong = (sum(f"{name} {said}." in one.response for name in "abcd") for said in ("right", "wrong"))
        assert one.share == max(0, right - wrong / 2) / 4


def test_length_says_nothing_about_what_an_answer_deserves(variants):
    lengths, shares = [len(one.response) for one in variants], [one.share for one in variants]
    assert abs(np.corrcoef(lengths, shares)[0, 1]) < 0.12
    words = [len(one.response.split()) for one in variants]
    assert min(words) < 60
    assert max(words) > 500


def test_a_long_answer_to_another_question_deserves_nothing(variants):
    strays = [one for one in variants if one.kind == "long, another question"]
    assert len(strays) == 150
    assert {one.share for one in strays} == {0.0}
    assert all("u right." in one.response and "a right." not in one.response for one in strays)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fact_is_stated_with_its_value_or_another(kind):
    draw = random.Random(1)
    fact = KINDS[kind](draw)
    [one] = fact_parts([fact], draw)
    assert fact.value.lower() in one.reference.lower()
    assert fact.value.lower() in one.right().lower()
    wrong = one.wrong().lower()
    assert any(value.lower() in wrong for value in fact.false_values)
