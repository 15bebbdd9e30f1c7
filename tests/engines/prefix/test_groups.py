import pytest
import torch
from hypothesis import given, strategies as st

from prom_reward.engines.prefix import groups as grouping
from prom_reward.engines.prefix.groups import group_runs
from prom_reward.engines.prefix.plan import plan_prefixes

# Prompts of few tokens share beginnings of every length.
some_prompts = st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=12), min_size=1, max_size=12)


def planned(prompts):
    return plan_prefixes(prompts, token_budget=1 << 30, min_shared_tokens=1)


@pytest.mark.parametrize("short", [1, 3, 64])
@given(prompts=some_prompts, data=st.data())
def test_every_token_sees_each_ancestor_once_and_nothing_else(short, prompts, data):
    trie = planned(prompts)
    start = data.draw(st.integers(0, len(trie.segments) - 1))
    runs = trie.runs(start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "SHORT_TOKENS", short)
        groups = group_runs(trie, runs)
    assert [run for group in groups for run in group.runs] == runs
    for group in groups:
        for run in group.runs:
            for token in range(run.start, run.end):
                seen = [one.segments for one in group.earlier if one.start <= token < one.end]
                assert sorted(sum(seen, ())) == sorted(run.ancestors)


@given(prompts=some_prompts)
def test_padding_holds_every_token_of_a_run_in_its_row(prompts):
    trie = planned(prompts)
    for group in group_runs(trie, trie.runs()):
        if group.padded is None:
            assert group.kept is None and len(group.runs) == 1
            continue
        assert group.padded.flatten()[group.kept].tolist() == list(range(group.start, group.end))
        for row, run in zip(group.padded.tolist(), group.runs, strict=True):
            assert set(row) == set(range(run.start, run.end)) and row == sorted(row)


def test_criteria_that_begin_alike_stay_in_one_group_with_the_others():
    response, alike = list(range(100, 300)), [1, 2, 3, 4]
    prompts = [[*response, 7, 7], [*response, *alike, 8], [*response, *alike, 9], [*response, 6]]
    trie = planned(prompts)
    first, criteria = group_runs(trie, trie.runs())
    assert [run.end - run.start for run in criteria.runs] == [4, 1, 1, 1, 2]
    assert [(one.segments, one.end - one.start) for one in criteria.earlier] == [((0,), 9), ((1,), 2)]
    assert first.padded is None and criteria.padded is not None


def test_long_runs_are_not_padded():
    prompts = [[1, *range(2, 300)], [1, 9]]
    [group] = group_runs(trie := planned(prompts), trie.runs())
    assert group.padded is None and len(group.runs) == 3


def test_runs_with_the_same_short_ancestor_take_it_with_the_long_one():
    response = list(range(100, 300))
    trie = planned([response, [*response, 1, 2, 3], [*response, 1, 2, 4]])
    assert [group.earlier for group in group_runs(trie, trie.runs(2))] == [
        [grouping.Earlier(segments=(0, 1), start=0, end=2)]
    ]
    assert torch.equal(group_runs(trie, trie.runs(2))[0].padded, torch.tensor([[0], [1]]))
