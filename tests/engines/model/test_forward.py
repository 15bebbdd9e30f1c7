from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig

from prom_reward.engines.model.forward import forward_last, token_logprobs
from tests.tiny_models import tiny_model

IDS = torch.tensor([[5, 9, 3, 7, 2]])


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_continued_cache_gives_the_logits_of_the_whole(is_wrapped):
    model = tiny_model("llama", 300)
    if is_wrapped:
        model = get_peft_model(model, LoraConfig(target_modules=["q_proj"])).eval()
    with torch.inference_mode():
        whole, none = forward_last(model, IDS, keeps_cache=False)
        _, cache = forward_last(model, IDS[:, :3])
        behind, longer = forward_last(model, IDS[:, 3:], cache=cache)
    assert none is None
    assert whole.shape == (1, 300)
    assert longer.get_seq_length() == 5
    torch.testing.assert_close(behind, whole, atol=1e-5, rtol=1e-5)


def old_forward(input_ids, past_key_values=None, use_cache=None, logits_to_keep=0):
    return SimpleNamespace(logits=torch.zeros(1, 1, 4), past_key_values=("old", past_key_values, use_cache))


def new_forward(input_ids, cache=None, use_cache=None, logits_to_keep=0):
    return SimpleNamespace(logits=torch.zeros(1, 1, 4, dtype=torch.bfloat16), cache=("new", cache, use_cache))


class Model:
    config = LlamaConfig()

    def __init__(self, forward):
        self.forward = forward

    def __call__(self, **inputs):
        return self.forward(**inputs)


@pytest.mark.parametrize(("forward", "name"), [(old_forward, "old"), (new_forward, "new")])
def test_a_cache_goes_by_the_name_that_the_model_gives_it(forward, name):
    row, cache = forward_last(Model(forward), IDS, cache="before")
    assert cache == (name, "before", True)
    assert row.dtype == torch.float32
    assert forward_last(Model(forward), IDS, cache="before", keeps_cache=False)[1] is None


def test_a_model_that_takes_no_number_of_logits_gives_all_of_them():
    def forward(input_ids, past_key_values=None, use_cache=None):
        return SimpleNamespace(logits=torch.arange(5.0)[None, :, None], past_key_values=None)

    row, _ = forward_last(Model(forward), IDS)
    assert row.tolist() == [[4]]


def test_half_precision_logits_are_normalized_in_fp32():
    row = torch.linspace(-20, 20, 1000).bfloat16()
    expected = row.float().log_softmax(-1)[[3, 999]].tolist()
    assert token_logprobs(row, (3, 999)) == {3: expected[0], 999: expected[1]}
