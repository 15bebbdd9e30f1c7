import pytest
from hypothesis import given, strategies as st

from prom_reward.engines.prefix.plan import plan_prefixes

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=12)
prompt_lists = st.lists(tokens, max_size=12)


def unique_tokens(prompts):
    return len({tuple(prompt[:length]) for prompt in prompts for length in range(1, len(prompt) + 1)})


def rebuilt(prompts, plan):
    """Collect the tokens with which each prompt would be computed."""
    paths, found = [], {}
    for segment in plan.segments:
        before = [] if segment.parent is None else paths[segment.parent]
        assert segment.start == len(before)
        paths.append([*before, *prompts[segment.prompt][segment.start : segment.end]])
        for index in segment.ends:
            found.setdefault(index, []).append(paths[-1])
    return found


def peak_cache_tokens(plan):
    """The most tokens of cache that are held at once while the plan is computed on copied caches."""
    waiting = [segment.num_children for segment in plan.segments]
    held = peak = 0
    for segment in plan.segments:
        if segment.parent is not None:
            waiting[segment.parent] -= 1
            held -= 0 if waiting[segment.parent] else plan.segments[segment.parent].end
        peak = max(peak, held + segment.end)
        held += segment.end if segment.num_children else 0
    return peak


def num_computed(plan):
    return sum(segment.num_tokens for segment in plan.segments)


@given(prompt_lists, st.integers(1, 60), st.integers(1, 6), st.none() | st.integers(1, 12))
def test_every_prompt_is_complete_exactly_once_with_its_own_tokens(prompts, budget, min_shared, boundary):
    plan = plan_prefixes(prompts, token_budget=budget, min_shared_tokens=min_shared, rotary_boundary=boundary)
    assert rebuilt(prompts, plan) == {index: [prompt] for index, prompt in enumerate(prompts)}
    assert all(segment.start < segment.end for segment in plan.segments)
    children = [segment.parent for segment in plan.segments]
    assert [segment.num_children for segment in plan.segments] == [
        children.count(number) for number in range(len(plan.segments))
    ]


@given(prompt_lists)
def test_every_shared_token_is_computed_once(prompts):
    assert num_computed(plan_prefixes(prompts, token_budget=10**6, min_shared_tokens=1)) == unique_tokens(prompts)


@given(prompt_lists, st.integers(2, 6))
def test_short_runs_are_computed_again_and_nothing_else_is(prompts, min_shared):
    plan = plan_prefixes(prompts, token_budget=10**6, min_shared_tokens=min_shared)
    assert all(segment.num_tokens >= min_shared for segment in plan.segments if segment.num_children)
    lost = len(prompts) * (min_shared - 1)  # every prompt computes less than one such run that others have too
    assert unique_tokens(prompts) <= num_computed(plan) <= unique_tokens(prompts) + lost


@given(prompt_lists, st.integers(1, 40))
def test_the_budget_holds_unless_one_prompt_alone_exceeds_it(prompts, budget):
    plan = plan_prefixes(prompts, token_budget=budget, min_shared_tokens=1)
    assert peak_cache_tokens(plan) <= max([budget, *map(len, prompts)])


@given(prompt_lists, st.integers(1, 12))
def test_prompts_beyond_a_rotary_boundary_are_computed_whole(prompts, boundary):
    plan = plan_prefixes(prompts, token_budget=10**6, min_shared_tokens=1, rotary_boundary=boundary)
    for segment in plan.segments:
        if any(len(prompts[index]) > boundary for index in segment.ends):
            assert (segment.parent, segment.num_children) == (None, 0)


@pytest.mark.parametrize("budget", [10, 3000, 10**9])
def test_a_thousand_nested_prompts_are_planned_at_once(budget):
    nested = [[1] * 100 + [5] * length + [9] * 3 for length in range(1000)]
    plan = plan_prefixes(nested, token_budget=budget)
    assert rebuilt(nested, plan) == {index: [prompt] for index, prompt in enumerate(nested)}
    assert peak_cache_tokens(plan) <= max(budget, 1102)


def test_a_group_shares_its_task_and_identical_prompts_are_one():
    task = list(range(100, 140))
    prompts = [[*task, 1, 2], [*task, 3], [*task, 1, 2], [7, 8]]
    short, group, *children = plan_prefixes(prompts, token_budget=1000).segments
    assert (short.prompt, short.ends, short.parent, short.num_children) == (3, (3,), None, 0)
    assert (group.start, group.end, group.ends, group.num_children) == (0, 40, (), 2)
    assert [(child.ends, child.start, child.parent) for child in children] == [((0, 2), 40, 1), ((1,), 40, 1)]


def test_a_prompt_that_begins_another_ends_inside_its_tree():
    prompt = list(range(30))
    whole, rest = plan_prefixes([[*prompt, 99], prompt], token_budget=1000).segments
    assert (whole.ends, rest.ends, rest.parent) == ((1,), (0,), 0)


def test_peak_counts_the_copy_that_a_branch_keeps():
    plan = plan_prefixes([[*range(20), 50, 51], [*range(20), 60]], token_budget=1000)
    assert peak_cache_tokens(plan) == 20 + 22


@pytest.mark.parametrize("prompts", [[], [[1]]])
def test_small_calls(prompts):
    assert len(plan_prefixes(prompts, token_budget=10).segments) == len(prompts)
