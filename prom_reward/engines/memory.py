"""What a lack of memory looks like, and how to go on after it.

It does not know what needed the memory.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

_SIGNS = (
    "can't allocate memory",  # a CPU's allocator, which has no error class of its own
    "CUDA error: out of memory",  # where a kernel, and not torch's allocator, asked for it
    "CUBLAS_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _SIGNS)


def unless_out_of_memory(work: Callable[[], Result], device: torch.device) -> Result | None:
    """Return what some work gives, or None where memory ran out in it, once that memory is free again."""
    try:
        return work()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    release_memory(device)  # not before the error is gone: its frames hold what the work had made
    return None


def release_memory(device: torch.device) -> None:
    """Give back what a GPU's allocator holds in reserve, so that smaller pieces find room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
