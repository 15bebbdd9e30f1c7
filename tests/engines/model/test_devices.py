import pytest
import torch

from prom_reward.engines.model import devices
from prom_reward.engines.model.devices import cpu_has_fast_bf16, resolve_device, resolve_dtype
from prom_reward.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def timed(monkeypatch):
    """Set what the processor can do and how long products take; restore it afterwards."""

    def set_up(capabilities, bf16_s):
        cpu_has_fast_bf16.cache_clear()
        if capabilities is None:
            monkeypatch.delattr(torch.cpu, "get_capabilities")
        else:
            monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
        monkeypatch.setattr(devices, "_product_s", lambda dtype: bf16_s if dtype == torch.bfloat16 else 2)

    yield set_up
    cpu_has_fast_bf16.cache_clear()


@pytest.mark.parametrize("bf16_s", [1, 1.9, 3])
@pytest.mark.parametrize(
    "capabilities",
    [{"avx512_bf16": True, "amx_bf16": False}, {"avx512_bf16": False, "amx_bf16": True}, {"architecture": "arm"}, None],
)
def test_bf16_is_taken_if_its_products_are_clearly_faster(timed, capabilities, bf16_s):
    timed(capabilities, bf16_s)
    assert cpu_has_fast_bf16() is (bf16_s == 1)
    assert resolve_dtype("auto", CPU) == (torch.bfloat16 if bf16_s == 1 else torch.float32)


@pytest.mark.parametrize("capabilities", [{"avx512_bf16": False, "amx_bf16": False}, {"avx512_bf16": False}])
def test_a_processor_that_emulates_bf16_takes_fp32(timed, capabilities):
    timed(capabilities, bf16_s=1)
    assert not cpu_has_fast_bf16()


def test_products_of_the_size_of_a_judge_are_timed():
    assert 0 < devices._product_s(torch.float32) < 1


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
