import copy
from types import SimpleNamespace

import pytest
import torch

from prom_reward.engines.prefix.prefill import CACHE_BUDGET_BYTES, SharedPrefill
from prom_reward.errors import ModelLoadError
from tests.tiny_models import ARCHITECTURES, tiny_mamba, tiny_model, tiny_rotary

VOCABULARY = 300
BYTES_PER_TOKEN = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, width, bytes


def group(num_shared=40, lengths=(5, 30, 1), seed=0):
    """Prompts that share a beginning, one that is the beginning, a duplicate, and one of its own."""
    draw = torch.Generator().manual_seed(seed)

    def ids(length):
        return torch.randint(3, VOCABULARY, (length,), generator=draw).tolist()

    shared = ids(num_shared)
    return [*([*shared, *ids(length)] for length in lengths), shared, [*shared], ids(20)]


def shared_rows(prefill, prompts):
    with torch.inference_mode():
        found = sorted(prefill.run(prompts), key=lambda one: one.index)
    assert [one.index for one in found] == list(range(len(prompts)))
    return [one.logits for one in found], [one.num_computed_tokens for one in found]


def plain_rows(model, prompts):
    with torch.inference_mode():
        return [model(input_ids=torch.tensor([prompt])).logits[0, -1] for prompt in prompts]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_shared_logits_equal_plain_logits(architecture):
    model = tiny_model(architecture, VOCABULARY)
    prompts = group()
    engine = SharedPrefill(model)
    rows, computed = shared_rows(engine, prompts)
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)
    assert engine.strategy == ("tree" if architecture in ("llama", "mixtral", "qwen2") else "cached")
    assert sum(computed) == 40 + 5 + 30 + 1 + 20


def test_the_models_own_attention_comes_back():
    model = tiny_model("llama", VOCABULARY)
    assert model.config._attn_implementation == "sdpa"
    for _ in SharedPrefill(model).run(group()):
        assert model.config._attn_implementation == "sdpa"  # between passes, too
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_fails_on_a_cache_is_computed_plainly_and_says_so_once(caplog):
    model = tiny_model("llama", VOCABULARY)
    forward = model.forward

    def fails_on_a_cache(*args, past_key_values=None, tree=None, **kwargs):
        if past_key_values is not None or tree is not None:
            raise RuntimeError("no cache here")
        return forward(*args, **kwargs)

    model.forward = fails_on_a_cache
    prompts = group()
    engine = SharedPrefill(model)
    rows, computed = shared_rows(engine, prompts)
    list(engine.run(prompts))
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain)
    assert engine.strategy == "plain"
    assert [record.message for record in caplog.records].count(
        "LlamaForCausalLM: its cache cannot be shared; every prompt is computed whole"
    ) == 1
    assert sum(computed) == sum(map(len, prompts[:4])) + 20  # the duplicate is still computed once


def test_a_cache_that_answers_wrongly_is_not_trusted(monkeypatch):
    model = tiny_model("llama", VOCABULARY)
    forward = model.forward

    def forgets(*args, past_key_values=None, tree=None, **kwargs):
        return forward(*args, **kwargs)

    model.forward = forgets
    assert SharedPrefill(model).strategy == "plain"


def test_a_model_that_draws_its_logits_is_refused():
    model = tiny_model("llama", VOCABULARY)
    forward = model.forward

    def noisy(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits += torch.randn_like(output.logits)
        return output

    model.forward = noisy
    with pytest.raises(ModelLoadError, match=r"LlamaForCausalLM.* deterministic"):
        _ = SharedPrefill(model).strategy


def test_a_lack_of_memory_says_nothing_about_a_model():
    model = tiny_model("llama", VOCABULARY)
    forward = model.forward
    is_short = True

    def short_at_first(*args, tree=None, **kwargs):
        if tree is not None and is_short:
            raise torch.OutOfMemoryError("no room")
        return forward(*args, **({"tree": tree} if tree else {}), **kwargs)

    model.forward = short_at_first
    engine = SharedPrefill(model)
    with pytest.raises(torch.OutOfMemoryError):
        _ = engine.strategy
    is_short = False
    assert engine.strategy == "tree"


def test_the_budget_counts_the_bytes_of_a_real_cache():
    assert SharedPrefill(tiny_model("llama", VOCABULARY)).token_budget == CACHE_BUDGET_BYTES // BYTES_PER_TOKEN


def test_a_gpus_budget_counts_what_torch_holds_in_reserve_and_is_read_once(monkeypatch):
    free, reserved, allocated = [64 << 30], [10 << 30], [2 << 30]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 80 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved[0])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated[0])
    monkeypatch.setattr(SharedPrefill, "_cache_bytes_per_token", lambda _: 1024)
    model = SimpleNamespace(device=torch.device("cuda"))
    prefill = SharedPrefill(model)
    first = prefill.token_budget
    assert first == (72 << 30) // 4 // 1024
    free[0], reserved[0] = 34 << 30, 40 << 30  # the first call's blocks, which torch keeps
    assert SharedPrefill(model).token_budget == first
    free[0] = 1 << 30
    assert prefill.token_budget == first
    prefill.forget_budget()
    assert prefill.token_budget < first


def test_a_small_budget_shares_less_and_answers_the_same():
    model = tiny_model("gemma2", VOCABULARY)
    prompts = group()
    small = SharedPrefill(model, cache_budget_bytes=50 * BYTES_PER_TOKEN)
    rows, computed = shared_rows(small, prompts)
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)
    assert sum(computed) > 96


def test_a_model_of_states_without_heads_is_computed_too():
    model = tiny_mamba(VOCABULARY)
    prompts = group()
    prefill = SharedPrefill(model)
    rows, _ = shared_rows(prefill, prompts)
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_nothing_is_shared_across_the_length_at_which_positions_change(kind):
    model = tiny_rotary(kind, VOCABULARY)
    prompts = group(num_shared=40, lengths=(5, 40, 30))  # two of them are longer than 50 tokens
    plain = [plain_rows(copy.deepcopy(model), [prompt])[0] for prompt in prompts]  # dynamic scaling has a memory
    rows, _ = shared_rows(SharedPrefill(model), prompts)
    for row, expected in zip(rows, plain, strict=True):
        torch.testing.assert_close(row, expected, atol=1e-4, rtol=1e-4)
