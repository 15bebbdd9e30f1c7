import random

from hypothesis import given, strategies as st

from prom_reward.training.construction.style import styled


@given(st.text("abc ", min_size=1), st.integers())
def test_a_style_keeps_the_words_of_the_text(text, seed):
    assert text in styled(text, random.Random(seed))


def test_many_styles_are_drawn_and_a_bare_one_often():
    drawn = [styled("it is red", random.Random(seed)) for seed in range(400)]
    assert len(set(drawn)) > 100
    assert 100 < drawn.count("it is red") < 300
