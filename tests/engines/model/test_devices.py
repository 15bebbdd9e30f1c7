from types import SimpleNamespace

import pytest
import torch

from prom_reward.engines.model import devices
from prom_reward.engines.model.devices import cpu_has_fast_bf16, resolve_device, resolve_dtype
from prom_reward.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


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
    monkeypatch.setattr(devices, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    assert cpu_has_fast_bf16() is (bf16_s < 2)


def test_the_measurement_takes_milliseconds():
    assert 0 < devices._gemm_s(torch.float32) < 1


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


@pytest.mark.parametrize(("is_available", "device"), [(True, CUDA), (False, CPU)])
def test_the_first_gpu_is_taken_if_there_is_one(monkeypatch, is_available, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert resolve_device(None) == device
    assert resolve_device("cuda:1") == torch.device("cuda:1")


def test_an_unknown_kind_of_device_is_named():
    with pytest.raises(ConfigError, match=r"'gpu'.* cuda:1"):
        resolve_device("gpu")
