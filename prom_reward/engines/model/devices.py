"""Chooses the device and the dtype that a model computes in."""

import os
from typing import Any

import torch

from prom_reward.engines.model.source import DEVICE_TYPES, DtypeName, device_name_error
from prom_reward.errors import ConfigError

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
    if device is None or device.type not in DEVICE_TYPES:
        raise device_name_error(name)
    return device


def present_device(name: str | None) -> torch.device:
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


def device_settings(device: torch.device) -> dict[str, Any]:
    """Return what changes the last bits of a result on a device: a GPU's name, a CPU's instructions and threads."""
    if device.type == "cpu":
        instructions = torch.backends.cpu.get_cpu_capability()
        return {"device": "cpu", "instructions": instructions, "threads": torch.get_num_threads()}
    module = torch.get_device_module(device)
    is_named = hasattr(module, "get_device_name") and module.is_available()
    return {"device": module.get_device_name(own_device(device)) if is_named else device.type}


def resolve_dtype(name: DtypeName, device: torch.device, quantization: str | None = None) -> torch.dtype:
    """Return the dtype to compute in; "auto" takes a fast one of the device, the same in every run."""
    if name != "auto":
        return _DTYPES[name]
    if quantization == "int8":
        return torch.float16  # bitsandbytes casts to it in any case
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if cpu_has_fast_bf16() else torch.float32
    return torch.float16 if device.type == "mps" else torch.float32


def cpu_has_fast_bf16() -> bool:
    """Whether this CPU multiplies bf16 faster than fp32: with AMX, or with AVX-512 BF16 if AMD made it.

    AVX-512 BF16 of Intel takes longer than fp32 (measured on both, see the engines' README). Nothing is timed: on a
    busy machine two runs of one command would compute in two dtypes, and give two scores.
    """
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    found = torch.cpu.get_capabilities()
    is_amd = str(found.get("cpu_name", "")).startswith("AMD")
    return bool(found.get("amx_bf16") or (is_amd and found.get("avx512_bf16")))
