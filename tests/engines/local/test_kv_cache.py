import torch
from hypothesis import given, strategies as st
from transformers.cache_utils import DynamicLayer

from prom_reward.engines.local.kv_cache import PreallocatedLayer


def states(batch, length, seed):
    return torch.randn(batch, 2, length, 4, generator=torch.Generator().manual_seed(seed))


@given(
    st.integers(1, 3),
    st.integers(1, 70),
    st.lists(st.one_of(st.integers(1, 90), st.lists(st.integers(0, 2), min_size=1, max_size=3)), max_size=6),
)
def test_it_holds_what_transformers_own_layer_holds(batch, length, actions):
    plain = DynamicLayer()
    plain.update(states(batch, length, 0), states(batch, length, 1))
    preallocated = PreallocatedLayer(states(batch, length, 0), states(batch, length, 1))
    for number, action in enumerate(actions):
        if isinstance(action, list):
            chosen = torch.tensor([row % batch for row in action])
            plain.batch_select_indices(chosen)
            preallocated.batch_select_indices(chosen)
            batch = len(action)
        else:
            new = states(batch, action, 2 * number + 2), states(batch, action, 2 * number + 3)
            for one, other in zip(plain.update(*new), preallocated.update(*new), strict=True):
                assert torch.equal(one, other)
        assert torch.equal(plain.keys, preallocated.keys) and torch.equal(plain.values, preallocated.values)
        assert preallocated.get_seq_length() == plain.get_seq_length()
        assert preallocated.get_mask_sizes(1) == plain.get_mask_sizes(1)


def test_a_step_copies_nothing_while_memory_is_left():
    layer = PreallocatedLayer(states(2, 5, 0), states(2, 5, 1))
    before = layer.keys.data_ptr()
    for step in range(64):
        layer.update(states(2, 1, step), states(2, 1, step))
        assert layer.keys.data_ptr() == before
    layer.update(states(2, 1, 9), states(2, 1, 9))
    assert layer.keys.data_ptr() != before
