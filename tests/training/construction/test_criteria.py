import random

from hypothesis import given, strategies as st

from prom_reward.training.construction.aspects import ASPECTS, HELD_OUT_ASPECTS, Text
from prom_reward.training.construction.criteria import _ASKED, text_criteria, truth_criterion
from prom_reward.training.construction.variants import Variant

TEXT = Text(
    instruction="", items=("the sails", "an anchor", "seagulls", "a storm"), text="I recall the sails! They were two."
)
ANSWERS = {
    "The response mentions the sails.": 1,
    "The response mentions a storm.": 0,
    "The response has at most 30 words.": 1,
    "The response has more than 30 words.": 0,
    "The response has at least four sentences.": 0,
    "The response has fewer than four sentences.": 1,
    "The response contains an exclamation mark.": 1,
    "The response gives a reason.": 0,
    "The response gives a number.": 0,
    "Does the writer say 'I'?": 1,
}


@given(st.integers(0, 300))
def test_code_knows_whether_a_criterion_is_met(seed):
    for rubric, answer in text_criteria(TEXT, ASPECTS, random.Random(seed)):
        assert answer == ANSWERS.get(rubric.criteria, answer)
        assert rubric.scale.labels == (0, 1)


@given(st.integers(0, 100))
def test_a_criterion_of_truth_or_falsehood_fits_the_answer(seed):
    for share, kind in ((1.0, "right"), (0.0, "wrong")):
        rubric, answer = truth_criterion(Variant(response="x", share=share, kind=kind), random.Random(seed))
        asks_falsehood = "wrong" in rubric.criteria or "contradicts" in rubric.criteria
        assert answer == int((share == 1.0) != asks_falsehood)
    assert truth_criterion(Variant(response="x", share=0.5, kind="part"), random.Random(seed)) is None


def test_every_aspect_can_be_asked_as_a_criterion():
    assert _ASKED.keys() == ASPECTS.keys() | HELD_OUT_ASPECTS.keys()
