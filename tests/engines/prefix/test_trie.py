from hypothesis import given, strategies as st

from prom_reward.engines.prefix.plan import plan_prefixes
from prom_reward.engines.prefix.trie import visible_ranges

prompt_lists = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=10)


def trie_of(prompts):
    return plan_prefixes(prompts, token_budget=10**6, min_shared_tokens=1)


@given(prompt_lists)
def test_every_prompt_can_be_read_from_the_ranges_that_its_last_run_sees(prompts):
    trie = trie_of(prompts)
    runs = trie.runs()
    ids, positions = trie.tokens(prompts, runs)
    for run in runs:
        visible = [at for start, end in visible_ranges(runs, run) for at in range(start, end)]
        assert [positions[at] for at in visible] == list(range(len(visible)))
        for index in trie.segments[run.segment].ends:
            assert [ids[at] for at in visible] == list(prompts[index])


@given(prompt_lists, st.integers(1, 30))
def test_passes_take_as_much_as_fits_and_at_least_one_segment(prompts, limit):
    trie = trie_of(prompts)
    start = 0
    while start < len(trie.segments):
        end = trie.pass_end(start, limit)
        used = trie.runs(start, end)[-1].end
        assert end == start + 1 or (end > start and used <= limit)
        assert end == len(trie.segments) or used + trie.segments[end].num_tokens > limit
        start = end


@given(prompt_lists)
def test_a_segment_is_needed_until_its_last_descendant(prompts):
    trie = trie_of(prompts)
    for number, last in enumerate(trie.last_descendants()):
        assert last == max(other for other in range(len(trie.segments)) if number in trie.path(other))


def test_neighboring_ranges_are_joined():
    trunk = list(range(100, 120))
    branch = [*trunk, *range(200, 220)]
    runs = trie_of([[*branch, 1], [*branch, 2], [*trunk, 3]]).runs()
    assert [visible_ranges(runs, run) for run in runs] == [
        [(0, 20)],
        [(0, 21)],
        [(0, 20), (21, 41)],
        [(0, 20), (21, 42)],
        [(0, 20), (21, 41), (42, 43)],
    ]
