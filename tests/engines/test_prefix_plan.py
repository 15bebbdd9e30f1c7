import pytest
from hypothesis import given
from hypothesis import strategies as st

from prom_reward.engines.prefix_plan import plan_prefixes

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=12)
prompt_lists = st.lists(tokens, max_size=12)


def unique_tokens(prompts):
    return len({tuple(prompt[:length]) for prompt in prompts for length in range(1, len(prompt) + 1)})


def rebuilt(prompts, trees):
    """Follow every path from a root and collect the tokens with which each prompt would be computed."""
    found = {}

    def follow(segment, before):
        path = [*before, *prompts[segment.prompt][segment.start : segment.end]]
        assert segment.start == len(before)
        for index in segment.ends:
            found.setdefault(index, []).append(path)
        for child in segment.children:
            follow(child, path)

    for tree in trees:
        follow(tree, [])
    return found


@given(prompt_lists, st.integers(1, 60), st.integers(1, 6), st.none() | st.integers(1, 12))
def test_every_prompt_is_complete_exactly_once_with_its_own_tokens(prompts, budget, min_shared, boundary):
    trees = plan_prefixes(prompts, token_budget=budget, min_shared_tokens=min_shared, rotary_boundary=boundary)
    found = rebuilt(prompts, trees)
    assert found == {index: [prompt] for index, prompt in enumerate(prompts)}


@given(prompt_lists)
def test_every_shared_token_is_computed_once(prompts):
    trees = plan_prefixes(prompts, token_budget=10**6, min_shared_tokens=1)
    assert sum(tree.num_computed_tokens for tree in trees) == unique_tokens(prompts)


@given(prompt_lists, st.integers(2, 6))
def test_short_runs_are_computed_again_and_nothing_else_is(prompts, min_shared):
    trees = plan_prefixes(prompts, token_budget=10**6, min_shared_tokens=min_shared)
    inner = [segment for tree in trees for segment in tree.walk() if segment.children]
    assert all(segment.end - segment.start >= min_shared for segment in inner)
    computed = sum(tree.num_computed_tokens for tree in trees)
    branches = len(prompts)
    assert unique_tokens(prompts) <= computed <= unique_tokens(prompts) + branches**2 * (min_shared - 1)


@given(prompt_lists, st.integers(1, 40))
def test_the_budget_holds_unless_one_prompt_alone_exceeds_it(prompts, budget):
    for tree in plan_prefixes(prompts, token_budget=budget, min_shared_tokens=1):
        longest = max(len(prompts[index]) for segment in tree.walk() for index in segment.ends)
        assert tree.peak_cache_tokens <= max(budget, longest)
        assert tree.peak_cache_tokens <= budget or not tree.children


@given(prompt_lists, st.integers(1, 12))
def test_prompts_beyond_a_rotary_boundary_are_computed_whole(prompts, boundary):
    for tree in plan_prefixes(prompts, token_budget=10**6, min_shared_tokens=1, rotary_boundary=boundary):
        lengths = {len(prompts[index]) for segment in tree.walk() for index in segment.ends}
        assert max(lengths) <= boundary or (len(lengths) == 1 and not tree.children)


def test_a_group_shares_its_task_and_identical_prompts_are_one():
    task = list(range(100, 140))
    prompts = [[*task, 1, 2], [*task, 3], [*task, 1, 2], [7, 8]]
    [short, group] = sorted(plan_prefixes(prompts, token_budget=1000), key=lambda tree: tree.end)
    assert (short.prompt, short.ends, short.children) == (3, (3,), ())
    assert (group.start, group.end) == (0, 40)
    assert [child.ends for child in group.children] == [(0, 2), (1,)]
    assert group.num_computed_tokens == 43


def test_a_prompt_that_begins_another_ends_inside_its_tree():
    prompt = list(range(30))
    [tree] = plan_prefixes([[*prompt, 99], prompt], token_budget=1000)
    assert tree.ends == (1,)
    assert [child.ends for child in tree.children] == [(0,)]


def test_peak_counts_the_copy_that_a_branch_keeps():
    prompts = [[*range(20), 50, 51], [*range(20), 60]]
    [tree] = plan_prefixes(prompts, token_budget=1000)
    assert tree.peak_cache_tokens == 20 + 22


@pytest.mark.parametrize("prompts", [[], [[1]]])
def test_small_calls(prompts):
    assert len(plan_prefixes(prompts, token_budget=10)) == len(prompts)
