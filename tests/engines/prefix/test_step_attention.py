from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, strategies as st
from torch.nn.functional import scaled_dot_product_attention

from prom_reward.engines.prefix.step_attention import Step, _attend, step_attention
from tests.tiny_models import tiny_model

LAYER = SimpleNamespace(layer_idx=0)


@given(
    batch=st.integers(1, 4),
    key_heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    num_shared=st.integers(0, 9),
    num_own=st.integers(1, 600),
    seed=st.integers(0, 99),
)
def test_a_step_attends_as_if_the_beginning_were_in_every_row(batch, key_heads, groups, num_shared, num_own, seed):
    draw = torch.Generator().manual_seed(seed)

    def states(*shape):
        return torch.randn(*shape, 8, generator=draw)

    query = states(batch, key_heads * groups, 1)
    own = states(batch, key_heads, num_own), states(batch, key_heads, num_own)
    shared = states(1, key_heads, num_shared), states(1, key_heads, num_shared)
    padding = torch.randint(0, num_own, (batch, 1), generator=draw)
    bias = torch.zeros(batch, num_own).masked_fill(torch.arange(num_own) < padding, -torch.inf)[:, None, None]
    found, _ = _attend(LAYER, query, *own, None, None, step=Step(shared=[shared], bias=bias))
    keys, values = (
        torch.cat([one.expand(batch, -1, -1, -1), two], dim=2) for one, two in zip(shared, own, strict=True)
    )
    whole_bias = torch.nn.functional.pad(bias, (num_shared, 0))
    expected = scaled_dot_product_attention(query, keys, values, attn_mask=whole_bias, enable_gqa=True)
    assert torch.allclose(found.transpose(1, 2), expected, atol=1e-5)


def test_without_a_step_it_is_refused_and_the_models_own_attention_comes_back():
    model = tiny_model("llama", 50)
    with step_attention(model), pytest.raises(NotImplementedError, match="without a step"):
        model(input_ids=torch.tensor([[1, 2]]))
    assert model.config._attn_implementation == "sdpa"
