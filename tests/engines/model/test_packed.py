import copy
import logging
from weakref import WeakSet

import pytest
import torch
from hypothesis import given, strategies as st

from prom_reward import GradingRequest, TransformersEngine, load_judge
from prom_reward.engines.model import packed
from prom_reward.engines.model.forward import is_close
from prom_reward.engines.model.packed import PackedLinear, filled, pack_linears
from prom_reward.prompts.conversation import CONVERSATIONS
from tests.tiny_models import ARCHITECTURES, tiny_judge, tiny_model

VOCABULARY = 300
IDS = torch.tensor([list(range(3, 150))])


def layers_of(model):
    return {type(module) for module in model.modules()} & {PackedLinear, torch.nn.Linear}


def dense(num_in, num_out, has_bias, seed=0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    linear = torch.nn.Linear(num_in, num_out, bias=has_bias).requires_grad_(False)
    for parameter in linear.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return linear.to(dtype)


@given(
    rows=st.integers(1, 400),
    num_in=st.integers(1, 70),
    num_out=st.integers(1, 70),
    has_bias=st.booleans(),
    is_batch=st.booleans(),
)
def test_a_packed_layer_gives_what_the_layer_gives(rows, num_in, num_out, has_bias, is_batch):
    linear = dense(num_in, num_out, has_bias)
    states = torch.randn(rows, num_in, generator=torch.Generator().manual_seed(1))
    states = states[None] if is_batch else states
    found = PackedLinear(linear)(states)
    assert found.shape == (*states.shape[:-1], num_out)
    torch.testing.assert_close(found, linear(states), atol=1e-4, rtol=1e-4)


def test_the_weights_come_back_bit_by_bit():
    linear = dense(48, 96, has_bias=True)
    layer = PackedLinear(linear)
    assert (layer.weight.shape, layer.weight.dtype) == (linear.weight.shape, linear.weight.dtype)
    again = layer.unpacked()
    assert torch.equal(again.weight, linear.weight)
    assert torch.equal(again.bias, linear.bias)


@given(st.integers(1, 1 << 20))
def test_a_length_is_filled_by_an_eighth_at_most(length):
    assert length <= filled(length) <= length * 9 / 8
    assert filled(filled(length)) == filled(length)


def test_long_products_have_few_lengths(monkeypatch):
    lengths = set()
    product = PackedLinear._product
    monkeypatch.setattr(PackedLinear, "_product", lambda self, x: lengths.add(x.shape[0]) or product(self, x))
    layer = PackedLinear(dense(8, 8, has_bias=False))
    for rows in range(1, 513):
        layer(torch.zeros(rows, 8))
    assert {length for length in lengths if length > 64} == {filled(rows) for rows in range(65, 513)}
    assert len(lengths) == 64 + 8 * 3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_packed_model_gives_its_own_logits(architecture, dtype):
    plain = tiny_model(architecture, VOCABULARY).to(dtype)
    model = copy.deepcopy(plain)
    pack_linears(model)
    if packed._can_pack(dtype):
        assert layers_of(model) == {PackedLinear}
    with torch.inference_mode():
        expected, found = (one(input_ids=IDS).logits[0].float() for one in (plain, model))
    assert all(is_close(ours, its, dtype) for ours, its in zip(found, expected, strict=True))


def test_a_model_that_reads_a_layers_weights_itself_stays_as_it_was(caplog):
    plain = tiny_model("llama", VOCABULARY)
    model = copy.deepcopy(plain)
    layer = model.model.layers[0].mlp
    layer.forward = lambda x: torch.nn.functional.linear(
        torch.nn.functional.silu(x @ layer.gate_proj.weight.T) * layer.up_proj(x), layer.down_proj.weight
    )
    with caplog.at_level(logging.INFO):
        pack_linears(model)
    assert caplog.messages == ["LlamaForCausalLM: its layers are not packed, as its logits would differ"]
    assert layers_of(model) == {torch.nn.Linear}
    with torch.inference_mode():
        torch.testing.assert_close(model(input_ids=IDS).logits, plain(input_ids=IDS).logits, atol=1e-5, rtol=1e-5)
    assert all(map(torch.equal, model.state_dict().values(), plain.state_dict().values()))


@pytest.mark.parametrize("fault", ["no kernels", "wrong", "half"])
def test_a_machine_that_cannot_pack_leaves_all_layers(fault, monkeypatch):
    def product(*args):
        if fault == "no kernels":
            raise RuntimeError("mkldnn is not built in")
        return torch.zeros(5, 48)

    if fault != "half":
        monkeypatch.setattr(PackedLinear, "_product", product)
    monkeypatch.setattr(packed, "_can_pack", packed._can_pack.__wrapped__)
    model = tiny_model("llama", VOCABULARY).to(torch.float16 if fault == "half" else torch.float32)
    pack_linears(model)
    assert layers_of(model) == {torch.nn.Linear}


def test_a_judge_packs_what_it_loads_and_nothing_that_it_is_given(tiny_folder):
    judge = load_judge({"model": str(tiny_folder), "device": "cpu", "mode": "score"})
    request = GradingRequest(instruction="Say it.", response="Said.", rubric="honesty")
    with torch.autocast("cpu"):
        first = judge.grade([request])[0]
    assert first.score_probs == judge.grade([request])[0].score_probs
    assert layers_of(judge.engine.loaded.model) == {PackedLinear}
    given_one = tiny_judge()
    engine = TransformersEngine(given_one, conversation=CONVERSATIONS["tokenizer"])
    engine.load()
    assert layers_of(given_one.model) == {torch.nn.Linear}
    judge.engine._batches.loaded.model.lm_head = judge.engine.loaded.model.lm_head.unpacked()
    assert judge.grade([request])[0].score_probs == pytest.approx(first.score_probs, abs=1e-5)


def test_while_it_packs_only_one_layers_weights_are_held_twice(monkeypatch):
    model = tiny_model("llama", VOCABULARY)
    alive = WeakSet(module for module in model.modules() if type(module) is torch.nn.Linear)
    left, pack = [], PackedLinear.__init__

    def packs(self, linear):
        left.append(len(alive))
        pack(self, linear)

    monkeypatch.setattr(PackedLinear, "__init__", packs)
    packed._can_pack(torch.float32)
    left.clear()
    pack_linears(model)
    assert left == list(range(len(left), 0, -1))
