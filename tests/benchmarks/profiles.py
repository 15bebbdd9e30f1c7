"""Where the time of a judge's pass goes."""

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity

KINDS = {
    "matrix products": ("mm", "linear", "matmul", "gemm"),
    "attention": ("scaled_dot_product", "flash_attention", "softmax"),
    "copies": ("copy_", "cat", "index", "clone", "contiguous"),
}


def time_by_kind(run: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Return the share of every kind of operator in the time that operators themselves take, largest first."""
    is_cuda = device.type == "cuda"
    with torch.profiler.profile(activities=[ProfilerActivity.CUDA if is_cuda else ProfilerActivity.CPU]) as seen:
        run()
    spent: dict[str, float] = {}
    for one in seen.key_averages():
        kind = kind_of(one.key)
        spent[kind] = spent.get(kind, 0.0) + (one.self_device_time_total if is_cuda else one.self_cpu_time_total)
    total = sum(spent.values()) or 1.0
    return {kind: value / total for kind, value in sorted(spent.items(), key=lambda item: -item[1])}


def kind_of(operator: str) -> str:
    """Return the kind of an operator or kernel by its name; attention first, as its kernels multiply, too."""
    names = operator.lower()
    for kind in ("attention", "matrix products", "copies"):
        if any(part in names for part in KINDS[kind]):
            return kind
    return "everything else"
