"""The tokens that all comparisons inside of a group cost, counted by the engine that computes them."""

from itertools import permutations

import pytest

from prom_reward import ComparisonRequest, load_judge


@pytest.mark.parametrize("layout", ["prometheus", "response_last"])
def test_both_orders_of_all_pairs_cost_little_more_than_their_unique_tokens(tiny_judge_folder, layout):
    judge = load_judge(
        str(tiny_judge_folder), mode="score", layout=layout, dtype="float32", device="cpu", context_length=4096
    )
    answers = [f"Answer {at}: " + f"a number over {at} that is divided by one and itself, " * 2 for at in range(8)]
    pairs = [
        ComparisonRequest(instruction="What is a prime?", response_a=a, response_b=b, rubric="helpfulness")
        for a, b in permutations(answers, 2)
    ]
    prompts = [judge.comparison_prompt(pair) for pair in pairs]
    assert len(prompts) == 2 * 28
    computed = sum(one.num_computed_tokens for one in judge.engine.generate(prompts, judge.sampling))
    ids = [judge.engine.batches.tokens.context_ids(prompt) for prompt in prompts]
    unique = len({tuple(one[:end]) for one in ids for end in range(1, len(one) + 1)})
    assert unique <= computed <= 1.15 * unique < 0.7 * sum(map(len, ids))
