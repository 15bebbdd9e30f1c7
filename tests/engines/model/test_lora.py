import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from prom_reward.engines.model import adapters
from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.lora import merge_plain_lora
from prom_reward.engines.model.source import ModelSource

PLAIN = {"r": 4, "lora_alpha": 12, "target_modules": ["q_proj", "mlp.up_proj"], "init_lora_weights": False}


@pytest.fixture
def base(tiny_folder):
    def load(dtype="float32"):
        return load_model(ModelSource(model=str(tiny_folder), dtype=dtype, device="cpu")).model

    return load


@pytest.fixture
def saved(base, tmp_path):
    """Saves a random adapter of the tiny judge with other settings than the plain ones."""

    def save(**settings):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            get_peft_model(base(), LoraConfig(**{**PLAIN, **settings})).save_pretrained(tmp_path)
        return tmp_path

    return save


def copies(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def are_equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"r": 3, "lora_alpha": 0.5}, {"target_modules": ["self_attn.k_proj"]}, {"target_modules": "all-linear"}],
)
def test_a_plain_adapter_is_merged_to_the_same_bits_as_by_peft(base, saved, dtype, settings):
    folder, own, before = saved(**settings), base(dtype), copies(base(dtype))
    assert merge_plain_lora(own, folder)
    by_peft = PeftModel.from_pretrained(base(dtype), folder).merge_and_unload()
    assert are_equal(own.state_dict(), by_peft.state_dict())
    assert not are_equal(own.state_dict(), before)


def test_a_plain_adapter_needs_no_peft(monkeypatch, tiny_folder, saved):
    monkeypatch.delattr(adapters, "_attached")
    load_model(ModelSource(model=str(tiny_folder), adapter=str(saved()), dtype="float32", device="cpu"))


@pytest.mark.filterwarnings("ignore:Model with `tie_word_embeddings", "ignore:Setting `save_embedding_layers`")
@pytest.mark.parametrize(
    "settings",
    [
        {"use_rslora": True},
        {"use_dora": True},
        {"bias": "all"},
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 2}},
        {"layers_to_transform": [0]},
        {"modules_to_save": ["norm"]},
        {"init_lora_weights": "pissa"},
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["embed_tokens"]},
        {"target_modules": r".*\.q_proj"},
    ],
    ids=str,
)
def test_an_adapter_of_another_kind_is_left_to_peft(base, tiny_folder, saved, settings):
    folder, own = saved(**settings), base()
    assert not merge_plain_lora(own, folder)
    source = ModelSource(model=str(tiny_folder), adapter=str(folder), dtype="float32", device="cpu")
    by_peft = PeftModel.from_pretrained(base(), folder).merge_and_unload()
    assert are_equal(load_model(source).model.state_dict(), by_peft.state_dict())


def dropped(weights):
    return dict(list(weights.items())[1:])


def widened(weights):
    return {name: torch.cat([value, value]) for name, value in weights.items()}


def renamed(weights):
    return {name.replace("q_proj", "o_proj"): value for name, value in weights.items()}


@pytest.mark.parametrize("change", [dropped, widened, renamed])
def test_weights_that_are_not_those_of_the_config_change_nothing(base, saved, change):
    folder, own = saved(), base()
    before, file = copies(own), folder / "adapter_model.safetensors"
    save_file(change(load_file(file)), file)
    assert not merge_plain_lora(own, folder)
    assert are_equal(own.state_dict(), before)


@pytest.mark.parametrize("text", ["{", "[]", '{"peft_type": "LORA"}'])
def test_a_damaged_config_is_left_to_peft(base, saved, text):
    folder = saved()
    (folder / "adapter_config.json").write_text(text)
    assert not merge_plain_lora(base(), folder)


@pytest.mark.parametrize(
    "change", [{"r": "4"}, {"r": 0}, {"lora_alpha": None}, {"a_later_key": 1}, {"target_modules": []}]
)
def test_a_config_with_other_values_is_left_to_peft(base, saved, change):
    folder = saved()
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert not merge_plain_lora(base(), folder)
