import logging
import re
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings, strategies as st

from prom_reward.engines.model.forward import forward_last, is_close
from prom_reward.engines.model.packed import filled
from prom_reward.engines.prefix import groups, tree_prefill
from prom_reward.engines.prefix.plan import plan_prefixes
from prom_reward.engines.prefix.tree_attention import TreeSequence, _lower_right, is_available, keeps_all_states
from prom_reward.engines.prefix.tree_prefill import CPU_PASS_TOKENS, GPU_PASS_TOKENS, TreePrefill
from prom_reward.engines.prefix.trie import SegmentRun
from tests.tiny_architectures import tiny_causal_lm
from tests.tiny_models import tiny_model

VOCABULARY = 300
UNLIMITED = 1 << 30
MODEL = tiny_model("llama", VOCABULARY)
SAID = r"out of memory: .* (\d+) tokens.*"
TREES = ("llama", "mixtral", "qwen2")


def computed(prefill, prompts, **options):
    trie = plan_prefixes(prompts, token_budget=UNLIMITED, min_shared_tokens=1)
    with torch.inference_mode():
        found = sorted(prefill.run(trie, prompts, **options), key=lambda one: one.index)
    assert [one.index for one in found] == list(range(len(prompts)))
    assert sum(one.num_computed_tokens for one in found) == sum(segment.num_tokens for segment in trie.segments)
    return found


def computed_rows(prefill, prompts):
    return [one.logits for one in computed(prefill, prompts)]


def plain_rows(model, prompts):
    with torch.inference_mode():
        return [model(input_ids=torch.tensor([prompt])).logits[0, -1] for prompt in prompts]


def family(seed=0, size=9):
    """Three generations: prompts that share much, little and nothing, a duplicate and a beginning of others."""
    draw = torch.Generator().manual_seed(seed)

    def ids(length):
        return torch.randint(3, VOCABULARY, (length,), generator=draw).tolist()

    trunk = ids(12)
    branches = [[*trunk, *ids(7)] for _ in range(2)]
    leaves = [[*branch, *ids(1 + at)] for branch in branches for at in range(size)]
    return [*leaves, trunk, branches[0], leaves[0], ids(30)]


@pytest.mark.parametrize("architecture", TREES)
@pytest.mark.parametrize("pass_tokens", [1, 10, 33, UNLIMITED])
def test_any_split_into_passes_gives_the_plain_logits(architecture, pass_tokens):
    model = tiny_model(architecture, VOCABULARY)
    prompts = family()
    rows = computed_rows(TreePrefill(model, pass_tokens=pass_tokens), prompts)
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(3, 5), min_size=1, max_size=12), min_size=1, max_size=8),
    st.integers(1, 40),
    st.sampled_from([1, 4, groups.SHORT_TOKENS]),
    st.sampled_from([0, groups.PADDED_TOKENS]),
)
def test_any_prompts_give_the_plain_logits_in_any_groups(prompts, pass_tokens, short, padded):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "SHORT_TOKENS", short)
        patch.setattr(groups, "PADDED_TOKENS", padded)
        rows = computed_rows(TreePrefill(MODEL, pass_tokens=pass_tokens), prompts)
    for row, plain in zip(rows, plain_rows(MODEL, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)


def lengths_of(model, run):
    """Return what `run` gives, and the lengths of the model's passes meanwhile."""
    lengths = []
    seen = lambda module, args, inputs: lengths.append(inputs["input_ids"].shape[1])  # noqa: E731
    hook = model.register_forward_pre_hook(seen, with_kwargs=True)
    found = run()
    hook.remove()
    return found, lengths


@pytest.mark.parametrize("architecture", TREES)
@pytest.mark.parametrize("pass_tokens", [10, 33, UNLIMITED])
def test_a_pass_that_is_filled_up_gives_the_plain_logits(architecture, pass_tokens):
    model, prompts = tiny_model(architecture, VOCABULARY), family()
    rows, lengths = lengths_of(model, lambda: computed_rows(TreePrefill(model, pass_tokens=pass_tokens), prompts))
    assert lengths == [filled(length) for length in lengths]
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)


def test_on_a_cpu_many_prompts_have_few_lengths_of_passes(monkeypatch):
    model = tiny_model("llama", VOCABULARY).bfloat16()
    prompts = [prompt for seed in range(9) for prompt in family(seed)]
    prefill = TreePrefill(model, pass_tokens=40)
    rows, lengths = lengths_of(model, lambda: computed_rows(prefill, prompts))
    monkeypatch.setattr(tree_prefill, "filled", lambda num_tokens: num_tokens)
    _, unfilled = lengths_of(model, lambda: computed_rows(prefill, prompts))
    assert len(lengths) == len(unfilled)
    assert len(set(lengths)) <= 8 < len(set(unfilled))
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        assert is_close(row, plain.float(), torch.bfloat16)


def test_there_are_eight_lengths_between_a_power_of_two_and_the_next():
    assert len({filled(length) for length in range(1025, 2049)}) == 8


def test_the_states_are_those_of_the_models_own_cache():
    prompts = family(size=2)
    found = computed(TreePrefill(MODEL, pass_tokens=20), prompts, keeps_states=True)
    for at, prompt in enumerate(prompts):
        with torch.inference_mode():
            _, cache = forward_last(MODEL, torch.tensor([prompt]))
        assert len(found[at].states) == len(cache.layers)
        for (keys, values), layer in zip(found[at].states, cache.layers, strict=True):
            torch.testing.assert_close(keys, layer.keys, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(values, layer.values, atol=1e-4, rtol=1e-4)


def test_between_passes_only_the_path_to_the_next_segment_is_held(monkeypatch):
    prefill = TreePrefill(MODEL, pass_tokens=10)
    held = []
    forward = prefill._forward

    def watched(trie, prompts, sequence):
        tokens = sum(keys.shape[2] for (layer, _), (keys, _) in sequence.states.items() if layer == 0)
        held.append(tokens)
        return forward(trie, prompts, sequence)

    monkeypatch.setattr(prefill, "_forward", watched)
    prompts = family(size=40)
    computed_rows(prefill, prompts)
    assert len(held) > 20
    assert max(held) <= max(map(len, prompts))


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no room"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_running_out_of_memory_halves_the_passes_and_loses_nothing(monkeypatch, caplog, error):
    prefill = TreePrefill(MODEL, pass_tokens=512)
    forward = prefill._forward

    def fails_on_much(trie, prompts, sequence):
        if sequence.runs[-1].end > 100 and len(sequence.runs) > 1:
            raise error
        return forward(trie, prompts, sequence)

    monkeypatch.setattr(prefill, "_forward", fails_on_much)
    prompts = family(size=40)
    with caplog.at_level(logging.WARNING):
        rows = computed_rows(prefill, prompts)
    for row, plain in zip(rows, plain_rows(MODEL, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)
    said = [int(re.fullmatch(SAID, record.message)[1]) for record in caplog.records]
    assert said and all(less <= more / 2 for more, less in pairwise([512, *said]))


@pytest.mark.parametrize("pass_tokens", [24, 64, 512])
def test_the_passes_shrink_to_single_segments_where_no_two_fit(monkeypatch, pass_tokens):
    prefill = TreePrefill(MODEL, pass_tokens=pass_tokens)
    forward = prefill._forward
    tried = []

    def fails_on_two(trie, prompts, sequence):
        tried.append(sequence.runs[-1].end)
        if len(tried) > 100:
            pytest.fail("it tries for ever")
        if len(sequence.runs) > 1:
            raise torch.OutOfMemoryError("no room")
        return forward(trie, prompts, sequence)

    monkeypatch.setattr(prefill, "_forward", fails_on_two)
    prompts = family()
    for row, plain in zip(computed_rows(prefill, prompts), plain_rows(MODEL, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)


def test_a_pass_that_failed_halfway_leaves_no_states_and_no_smaller_passes_behind(monkeypatch, caplog):
    model = tiny_model("llama", VOCABULARY)
    prefill = TreePrefill(model, pass_tokens=40)
    forward, second_layer = prefill._forward, model.model.layers[1].forward
    most, before = [12], []

    def fails_on_much(states, *args, **kwargs):
        if states.shape[1] > most[0] and len(before[-1][1].runs) > 1:
            raise torch.OutOfMemoryError("no room")
        return second_layer(states, *args, **kwargs)

    def watched(trie, prompts, sequence):
        before.append((set(sequence.states), sequence))
        return forward(trie, prompts, sequence)

    monkeypatch.setattr(model.model.layers[1], "forward", fails_on_much)
    monkeypatch.setattr(prefill, "_forward", watched)
    prompts = family()
    for row, plain in zip(computed_rows(prefill, prompts), plain_rows(MODEL, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)
    assert caplog.records
    for held, sequence in before:
        assert {layer for layer, _ in held} in ({0, 1}, set())
        assert all(segment < sequence.runs[0].segment for _, segment in held)
    caplog.clear()
    most[0] = UNLIMITED
    computed_rows(prefill, prompts)
    assert not caplog.records and prefill.pass_tokens == 40


def test_a_single_segment_that_does_not_fit_is_an_error(monkeypatch):
    prefill = TreePrefill(MODEL)
    monkeypatch.setattr(prefill, "_forward", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("no room")))
    with pytest.raises(torch.OutOfMemoryError, match=r"out of memory.* 12 tokens"):
        computed_rows(prefill, [list(range(3, 15))])


def test_another_error_is_not_taken_for_a_lack_of_memory(monkeypatch):
    prefill = TreePrefill(MODEL)
    monkeypatch.setattr(prefill, "_forward", lambda *_: (_ for _ in ()).throw(RuntimeError("shape mismatch")))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        computed_rows(prefill, family())
    assert MODEL.config._attn_implementation == "sdpa"


def test_the_last_layers_rows_are_chosen_on_whatever_device_it_lies():
    class Spread:  # inputs go to "meta", the last layer lies on the CPU
        device = torch.device("meta")
        config = SimpleNamespace(_attn_implementation="sdpa")
        set_attn_implementation = staticmethod(lambda name: None)

        def __call__(self, *, input_ids, logits_to_keep, **_):
            assert input_ids.device == self.device
            return SimpleNamespace(logits=torch.arange(input_ids.numel())[None, :, None][:, logits_to_keep])

    prompts = [[3, 4, 5], [3, 4, 5, 6, 7], [8]]
    trie = plan_prefixes(prompts, token_budget=UNLIMITED, min_shared_tokens=1)
    runs = [SegmentRun(segment=0, start=0, end=3, ancestors=()), SegmentRun(segment=1, start=3, end=5, ancestors=(0,))]
    sequence = TreeSequence(runs=runs, num_tokens=5, groups=[], kept=frozenset(), states={})
    assert TreePrefill(Spread())._forward(trie, prompts, sequence).flatten().tolist() == [2, 4]


def test_a_pass_is_as_long_as_its_device_likes():
    assert TreePrefill(SimpleNamespace(device=torch.device("cpu"))).pass_tokens == CPU_PASS_TOKENS
    assert TreePrefill(SimpleNamespace(device=torch.device("cuda"))).pass_tokens == GPU_PASS_TOKENS


@pytest.mark.parametrize("heads", [2, 4])
def test_the_gpus_attention_is_causal_behind_all_that_came_before(heads):
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(1, 4, 5, 8, generator=draw)
    key, value = (torch.randn(1, heads, 9, 8, generator=draw) for _ in range(2))
    found = _lower_right(query, key, value, 0.3)
    keys, values = (one.repeat_interleave(4 // heads, dim=1) for one in (key, value))
    scores = query @ keys.transpose(-1, -2) * 0.3
    hidden = torch.full((5, 9), float("-inf")).triu(5)
    torch.testing.assert_close(found, (scores + hidden).softmax(-1) @ values)


@pytest.mark.parametrize("architecture", ["mistral", "gemma2", "gemma3_text"])
def test_windows_are_left_to_other_ways(architecture):
    assert not is_available(tiny_model(architecture, VOCABULARY))


def test_a_model_whose_config_counts_no_layers_is_left_to_other_ways():
    model = tiny_causal_lm("blt", 300)
    assert not hasattr(model.config, "num_hidden_layers")
    assert not keeps_all_states(model)


def test_a_trie_without_its_shape_is_refused():
    model = tiny_model("llama", VOCABULARY)
    from prom_reward.engines.prefix.tree_attention import tree_attention

    with tree_attention(model), pytest.raises(NotImplementedError, match="no trie"):
        model(input_ids=torch.tensor([[3, 4]]))
