import random

from prom_reward.training.construction.correctness import correctness_rubric


def test_rubrics_differ_in_words_and_scale_and_most_go_from_1_to_5():
    rubrics = [correctness_rubric(random.Random(seed)) for seed in range(300)]
    assert len({rubric.text for rubric in rubrics}) > 50
    assert sum(rubric.scale.labels == (1, 2, 3, 4, 5) for rubric in rubrics) > 200
    assert {len(rubric.scale.labels) for rubric in rubrics} == {2, 3, 4, 5}
