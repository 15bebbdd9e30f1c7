"""What a lack of memory looks like, and how to go on after it.

It does not know what needed the memory.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

logger = logging.getLogger(__name__)

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
        logger.info("%s", str(error).partition("\n")[0])
    release_memory(device)  # not before the error is gone: its frames hold what the work had made
    return None


def free_bytes(device: torch.device) -> int:
    """Return a GPU's free memory, with what torch's allocator holds in reserve and nothing uses."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def release_memory(device: torch.device) -> None:
    """Give back what a GPU's allocator holds in reserve, so that smaller pieces find room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
