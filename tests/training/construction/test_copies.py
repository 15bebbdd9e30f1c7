import random

import pytest

from prom_reward.rubrics.rubric import builtin_rubric
from prom_reward.training.construction.copies import copied_variants, said_again
from prom_reward.training.construction.variants import Question, Variant

RIGHT, WEAK = Variant(response="Seven.", share=1.0, kind="right"), Variant(response="A number.", share=0.4, kind="part")
QUESTION = Question(instruction="Which number is meant?", reference="7", variants=(RIGHT, WEAK), kind="known")
RUBRIC = builtin_rubric("helpfulness")


@pytest.fixture(scope="module")
def drawn():
    return copied_variants(QUESTION, RUBRIC, 400, random.Random(0))


def test_an_imitation_adds_nothing_to_a_weak_answer(drawn):
    for one in drawn:
        assert one.share == (0.4 if WEAK.response in one.response else 0.0)
        assert RIGHT.response not in one.response
        assert one.kind.endswith((", added", "said again")) == (WEAK.response in one.response)


def test_a_weak_answer_several_times_deserves_no_more_than_once(drawn):
    counts = {one.response.count(WEAK.response) for one in drawn if one.kind == "said again"}
    assert counts == {2, 3, 4, 5}
    again = {said_again(QUESTION, random.Random(seed)).share for seed in range(20)}
    assert again == {WEAK.share}


def test_rubric_request_repetition_and_tokens_are_imitated(drawn):
    assert {one.kind.removesuffix(", added") for one in drawn} == {
        "copied rubric",
        "echoed request",
        "repetition",
        "said again",
        "special tokens",
    }
    assert any(RUBRIC.descriptions[5] in one.response for one in drawn)
    assert any(one.response.count("Very good.") > 5 for one in drawn)
