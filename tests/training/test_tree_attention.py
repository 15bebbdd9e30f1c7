import pytest
import torch
from hypothesis import given, settings, strategies as st

from prom_reward.training.packing import make_pack
from prom_reward.training.tree_attention import is_available, tree_attention
from tests.tiny_models import tiny_model
from tests.training.tiny_examples import VOCABULARY, block_words, example, examples_of, shared_examples, words

AVAILABLE = ("llama", "mixtral", "qwen2", "qwen3", "phi3", "olmo2", "starcoder2", "gpt2", "gpt_neox", "opt")
UNAVAILABLE = ("mistral", "gemma2", "gemma3_text")  # a sliding window, or attention of their own


@pytest.fixture(scope="module")
def llama():
    return tiny_model("llama", VOCABULARY)


@torch.no_grad()
def plain_logits(model, ids):
    return model(input_ids=torch.tensor([ids])).logits[0]


@torch.no_grad()
def tree_logits(model, pack):
    with tree_attention(model):
        output = model(
            input_ids=torch.tensor([pack.ids]),
            position_ids=torch.tensor([pack.positions]),
            use_cache=False,
            tree_runs=pack.runs,
        )
    return output.logits[0]


def assert_as_one_by_one(model, examples):
    pack = make_pack(examples)
    logits = tree_logits(model, pack)
    for one, places in zip(examples, pack.places, strict=True):
        torch.testing.assert_close(logits[places], plain_logits(model, one.ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", AVAILABLE)
def test_logits_in_a_pack_equal_logits_one_by_one(architecture):
    model = tiny_model(architecture, VOCABULARY)
    assert is_available(model)
    assert_as_one_by_one(model, shared_examples())


@settings(max_examples=30)
@given(id_lists=st.lists(words | block_words, min_size=1, max_size=6))
def test_logits_in_any_pack_equal_logits_one_by_one(llama, id_lists):
    assert_as_one_by_one(llama, examples_of(id_lists))


@pytest.mark.parametrize("num_groups", [1, 2, 4])
def test_query_groups_share_their_keys(num_groups):
    model = tiny_model("llama", VOCABULARY)
    config = type(model.config)(**{**model.config.to_dict(), "num_key_value_heads": num_groups})
    assert_as_one_by_one(type(model)(config).eval(), shared_examples())


def test_a_run_of_several_blocks_is_causal(llama):
    trunk = torch.randint(3, VOCABULARY, (270,), generator=torch.Generator().manual_seed(0)).tolist()
    assert_as_one_by_one(llama, [example([*trunk, *trunk[::-1]]), example([*trunk, 9])])


def test_logits_in_bf16_are_as_exact_as_one_by_one(llama):
    pack = make_pack(shared_examples())
    rounded = tiny_model("llama", VOCABULARY).bfloat16()
    in_pack = tree_logits(rounded, pack).float()
    errors = torch.zeros(2)
    for one, places in zip(pack.examples, pack.places, strict=True):
        exact = plain_logits(llama, one.ids)
        found = (in_pack[places], plain_logits(rounded, one.ids).float())
        errors += torch.stack([(logits - exact).abs().sum() for logits in found])
    assert errors[0] < 1.5 * errors[1]


def test_without_runs_a_sequence_is_one_run(llama):
    ids = shared_examples()[0].ids
    with tree_attention(llama):
        alone = plain_logits(llama, ids)
    torch.testing.assert_close(alone, plain_logits(llama, ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", UNAVAILABLE)
def test_other_attention_than_plain_full_one_takes_no_packs(architecture):
    assert not is_available(tiny_model(architecture, VOCABULARY))


def test_eager_attention_takes_no_packs():
    model = tiny_model("llama", VOCABULARY)
    model.set_attn_implementation("eager")
    assert not is_available(model)


def test_the_models_own_attention_comes_back_even_after_an_error(llama):
    with tree_attention(llama):
        assert llama.config._attn_implementation == "prom_reward_tree"
        assert is_available(llama)
    assert llama.config._attn_implementation == "sdpa"
    with pytest.raises(ZeroDivisionError), tree_attention(llama):
        raise ZeroDivisionError
    assert llama.config._attn_implementation == "sdpa"
