import pytest
import torch

from prom_reward.engines.model.devices import device_settings, resolve_device, resolve_dtype
from prom_reward.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "Intel(R) Xeon(R) Processor"}, torch.float32),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "AMD EPYC 9R14"}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": False, "cpu_name": "AMD EPYC 7R13"}, torch.float32),
        ({"architecture": "arm"}, torch.float32),
    ],
)
def test_a_cpu_takes_bf16_if_it_multiplies_it_faster(monkeypatch, capabilities, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_dtype("auto", CPU) == dtype


def test_a_torch_that_does_not_know_the_cpu_takes_fp32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert resolve_dtype("auto", CPU) == torch.float32


@pytest.mark.parametrize(("is_fast", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_takes_bf16_if_it_is_not_emulated_and_else_fp16(monkeypatch, is_fast, dtype):
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


def test_a_cpu_counts_with_its_threads_and_a_gpu_with_its_name(monkeypatch):
    found = device_settings(CPU)
    assert (found["device"], found["threads"]) == ("cpu", torch.get_num_threads())
    assert found["instructions"] == torch.backends.cpu.get_cpu_capability()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert device_settings(torch.device("cuda:1")) == {"device": "GPU 1"}


def test_a_device_that_is_not_here_counts_with_its_kind():
    assert device_settings(torch.device("xpu")) == {"device": "xpu"}


@pytest.mark.parametrize(("is_available", "device"), [(True, CUDA), (False, CPU)])
def test_the_first_gpu_is_taken_if_there_is_one(monkeypatch, is_available, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert resolve_device(None) == device
    assert resolve_device("cuda:1") == torch.device("cuda:1")


def test_an_unknown_kind_of_device_is_named():
    with pytest.raises(ConfigError, match=r"'gpu'.* cuda:1"):
        resolve_device("gpu")
