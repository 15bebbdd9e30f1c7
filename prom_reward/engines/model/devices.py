"""Chooses the device and the dtype that a model computes in."""

import os
import time
from functools import cache

import torch

from prom_reward.engines.model.source import DtypeName
from prom_reward.errors import ConfigError

_NUM_TIMINGS = 8
_CLEARLY = 0.8  # bf16 rounds more coarsely: it has to be worth it
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(name: str | None) -> torch.device:
    """Return the device of a name, which need not exist on this machine; None is the first GPU, else the CPU.

    Raises:
        ConfigError: The name is not one of a device that a judge can run on.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps", "xpu"):
        raise ConfigError(f"got device={name!r}; expected cpu, cuda, mps, xpu or one like cuda:1")
    return device


def check_device(name: str | None) -> torch.device:
    """Return the device of a name; raise ConfigError if this machine does not have it."""
    device = resolve_device(name)
    if device.type != "cpu" and not torch.get_device_module(device).is_available():
        raise ConfigError(f"got device={name!r}, but torch finds no such device here; expected cpu")
    return device


def own_device(device: torch.device) -> torch.device:
    """Return a GPU with its number: this process's own if a launcher started several, else torch's current one."""
    if device != torch.device("cuda"):  # one with a number is another
        return device
    rank = os.environ.get("LOCAL_RANK", "")
    is_seen = rank.isdecimal() and int(rank) < torch.cuda.device_count()
    return torch.device("cuda", int(rank) if is_seen else torch.cuda.current_device())


def resolve_dtype(name: DtypeName, device: torch.device, quantization: str | None = None) -> torch.dtype:
    """Return the dtype to compute in; "auto" takes the one in which the device is fastest."""
    if name != "auto":
        return _DTYPES[name]
    if quantization == "int8":
        return torch.float16  # bitsandbytes casts to it in any case
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if cpu_has_fast_bf16() else torch.float32
    return torch.float16 if device.type == "mps" else torch.float32


@cache
def cpu_has_fast_bf16() -> bool:
    """Whether matrix products are faster in bf16 than in fp32 on this CPU; timed once a process, in milliseconds.

    AMX multiplies bf16 many times as fast as fp32. AVX-512 BF16 alone does on some processors and takes twice the time
    on others. An x86 processor with neither is about 100 times slower, and is not timed.
    """
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if "avx512_bf16" in known and not known["avx512_bf16"] and not known.get("amx_bf16"):
        return False
    times = [(_product_s(torch.bfloat16), _product_s(torch.float32)) for _ in range(_NUM_TIMINGS)]
    bf16, fp32 = (min(column) for column in zip(*times, strict=True))
    return bool(bf16 < _CLEARLY * fp32)


def _product_s(dtype: torch.dtype) -> float:
    """Return the seconds of a matrix product of the size of a small judge's."""
    states, weight = torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
    start = time.perf_counter()
    torch.nn.functional.linear(states, weight)
    return time.perf_counter() - start
