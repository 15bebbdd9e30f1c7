import random
import re

import pytest
from hypothesis import given, strategies as st

from prom_reward.training.construction.facts import HELD_OUT_KINDS, KINDS

ALL = {**KINDS, **HELD_OUT_KINDS}
facts = st.builds(lambda kind, seed: ALL[kind](random.Random(seed)), st.sampled_from(sorted(ALL)), st.integers(0, 500))
UNITS = {"meters": 1.0, "kilometers": 1000.0, "centimeters": 0.01, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0}
UNITS |= {"days": 1.0, "weeks": 7.0, "grams": 1.0, "kilograms": 1000.0, "pieces": 1.0, "dozens": 12.0}
OPERATIONS = {"plus": "+", "minus": "-", "times": "*"}


@given(facts, st.integers(0, 50))
def test_a_false_value_is_another_one_and_a_true_sentence_holds_the_true_one(fact, seed):
    assert fact.value not in fact.false_values
    assert len(set(fact.false_values)) == len(fact.false_values) >= 3
    assert fact.value.lower() in fact.stated(fact.value, random.Random(seed)).lower()
    assert fact.value in fact.negation.format(fact.value)
    assert re.search(r"\bnot\b|never", fact.negation)
    assert fact.detail is None or fact.detail[0] != fact.detail[1]


@given(st.integers(0, 300))
def test_the_value_of_a_calculation_is_its_result(seed):
    fact = KINDS["arithmetic"](random.Random(seed))
    left, sign, right = re.search(r"(\d+) (\S+) (\d+)", fact.question).groups()
    sign = OPERATIONS.get(sign, sign)
    results = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}
    assert int(fact.value) == results[sign]


@given(st.integers(0, 300))
def test_the_value_of_a_conversion_is_the_same_amount(seed):
    fact = KINDS["unit"](random.Random(seed))
    count, large = re.search(r"(\d+) (\w+)", fact.question).groups()
    value, small = fact.value.split()
    assert int(value) * UNITS[small] == pytest.approx(int(count) * UNITS[large])


def test_kinds_to_measure_on_are_not_trained_on():
    assert not KINDS.keys() & HELD_OUT_KINDS.keys()
