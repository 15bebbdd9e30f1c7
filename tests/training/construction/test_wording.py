import random

from prom_reward.training.construction.wording import _SAME, reworded


def test_phrases_are_replaced_and_the_rest_is_kept():
    drawn = {reworded("a small device having two wheels", random.Random(seed)) for seed in range(60)}
    assert "a little device with two wheels" in drawn
    assert all(text.endswith("two wheels") for text in drawn)
    assert len(drawn) == 4


def test_only_whole_phrases_are_replaced():
    assert reworded("smaller than a personal name", random.Random(0)) == "smaller than a personal name"
    assert all(first != second for first, second in _SAME)
