from collections import Counter
from itertools import groupby

from hypothesis import given, strategies as st

from prom_reward.engines.prefix.trie import visible_ranges
from prom_reward.training.packing import make_pack, pack_examples
from tests.training.tiny_examples import block_words, example, examples_of, words

block_lists = st.lists(block_words, max_size=8)
word_lists = st.lists(words | block_words, max_size=10)
drawn_examples = st.lists(
    st.builds(lambda ids, kin: example(ids, family=kin), words | block_words, st.integers(0, 3)), max_size=12
)
sizes, seeds = st.integers(1, 200), st.integers(0, 3)


def unique_tokens(id_lists):
    return len({tuple(ids[:length]) for ids in id_lists for length in range(1, len(ids) + 1)})


@given(word_lists)
def test_every_example_can_be_rebuilt_from_its_pack(id_lists):
    pack = make_pack(examples_of(id_lists))
    assert [[pack.ids[place] for place in places] for places in pack.places] == id_lists
    assert [one.ids for one in pack.examples] == id_lists


@given(word_lists)
def test_a_token_stands_at_its_position_in_all_of_its_examples(id_lists):
    pack = make_pack(examples_of(id_lists))
    for ids, places in zip(id_lists, pack.places, strict=True):
        assert places == sorted(places)
        assert [pack.positions[place] for place in places] == list(range(len(ids)))


@given(word_lists)
def test_a_run_sees_what_precedes_it_in_its_examples_and_nothing_else(id_lists):
    pack = make_pack(examples_of(id_lists))
    assert [place for run in pack.runs for place in range(run.start, run.end)] == list(range(len(pack.ids)))
    for places in pack.places:
        last = next(run for run in pack.runs if run.start <= places[-1] < run.end)
        assert places == [place for start, end in visible_ranges(pack.runs, last) for place in range(start, end)]


@given(word_lists)
def test_a_pack_is_never_longer_than_its_examples(id_lists):
    assert unique_tokens(id_lists) <= len(make_pack(examples_of(id_lists)).ids) <= sum(map(len, id_lists))


@given(block_lists)
def test_a_shared_beginning_that_is_long_enough_stands_once(id_lists):
    assert len(make_pack(examples_of(id_lists)).ids) == unique_tokens(id_lists)


@given(drawn_examples, sizes, seeds, st.booleans())
def test_every_example_is_in_exactly_one_pack(examples, max_tokens, seed, shares):
    packs = pack_examples(examples, max_tokens=max_tokens, seed=seed, shares=shares)
    assert Counter(id(one) for pack in packs for one in pack.examples) == Counter(map(id, examples))
    assert all(pack.examples for pack in packs)


@given(st.lists(st.builds(lambda ids, kin: example(ids, family=kin), block_words, st.integers(0, 2))), sizes, seeds)
def test_a_pack_keeps_to_its_tokens_unless_one_example_alone_exceeds_them(examples, max_tokens, seed):
    for pack in pack_examples(examples, max_tokens=max_tokens, seed=seed):
        assert len(pack.ids) <= max_tokens or len(pack.examples) == 1


def test_a_beginning_that_examples_of_several_families_share_is_counted_once():
    texts = [[7] * 40, [8] * 40]
    asked = [example([*text, *[number] * 8], family=number) for number in range(1, 4) for text in texts]
    [pack] = pack_examples(asked, max_tokens=2 * 40 + 6 * 8, seed=0)
    assert len(pack.ids) == 2 * 40 + 6 * 8


@given(drawn_examples, sizes, seeds)
def test_the_examples_of_a_family_come_together(examples, max_tokens, seed):
    for pack in pack_examples(examples, max_tokens=max_tokens, seed=seed):
        families = [family for family, _ in groupby(one.family for one in pack.examples)]
        assert len(families) == len(set(families))
    (whole,) = pack_examples(examples, max_tokens=10**6, seed=seed) or [None]
    assert whole is None or len(whole.examples) == len(examples)


@given(drawn_examples, sizes, seeds)
def test_the_seed_draws_the_packs(examples, max_tokens, seed):
    first, second = (pack_examples(iter(examples), max_tokens=max_tokens, seed=seed) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_order():
    examples = examples_of([[3, number] for number in range(20)])
    orders = {tuple(pack.ids[1] for pack in pack_examples(examples, max_tokens=2, seed=seed)) for seed in range(5)}
    assert len(orders) == 5


@given(drawn_examples, seeds)
def test_without_sharing_every_example_stands_alone(examples, seed):
    packs = pack_examples(examples, max_tokens=1000, seed=seed, shares=False)
    assert [len(pack.examples) for pack in packs] == [1] * len(examples)
    assert all(len(pack.runs) == 1 for pack in packs)


@given(drawn_examples, sizes, seeds)
def test_repetitions_apart_share_no_pack_and_are_all_there(examples, max_tokens, seed):
    repeated = [one for one in examples for _ in range(2)]
    packs = pack_examples(repeated, max_tokens=max_tokens, seed=seed, apart=True)
    assert Counter(id(one) for pack in packs for one in pack.examples) == Counter(map(id, repeated))
    for pack in packs:
        ids = [tuple(one.ids) for one in pack.examples]
        assert len(ids) == len(set(ids))
