"""Out-of-memory detection and recovery, and the reuse of memory on CPUs."""

import logging
from collections.abc import Callable
from typing import TypeVar

import psutil
import torch

from prom_reward.errors import ConfigError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_LEARNED_BYTES = 31 << 20  # with its header below the 32 MiB from which glibc learns nothing

_SIGNS = (
    "can't allocate memory",  # the CPU's allocator has no error class of its own
    "CUDA error: out of memory",  # a kernel asked for it, not torch's allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _SIGNS)


def unless_out_of_memory(work: Callable[[], Result], device: torch.device) -> Result | None:
    """Return the result of some work, or None if memory ran out; by then its memory is free again."""
    try:
        return work()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        logger.info("%s", str(error).partition("\n")[0])
    release_memory(device)  # after the error is gone: its frames hold the work's tensors
    return None


def check_fits(num_parameters: int, dtype: torch.dtype) -> None:
    """Raise ConfigError if weights do not fit into this machine's free memory, before the system ends the process."""
    need, free = num_parameters * dtype.itemsize, psutil.virtual_memory().available
    if need > free:
        smaller = "dtype='bfloat16' or a smaller judge" if dtype.itemsize > 2 else "a smaller judge or a server's URL"
        raise ConfigError(
            f"got a judge of {num_parameters / 1e9:.1f}B parameters, which take {need / 1e9:.1f} GB as "
            f"{str(dtype).removeprefix('torch.')}; {free / 1e9:.1f} GB are free: give {smaller}"
        )


def reuse_freed_memory() -> None:
    """Let glibc keep up to 62 MiB of freed memory; without glibc nothing changes.

    By itself it may return the memory of a layer's large tensors to the kernel after each use, and then every page of
    the next ones has to be mapped anew. It learns from what is freed: blocks up to the size of the largest one so far
    (at most 32 MiB) come from the heap, of which it keeps up to twice that size (mallopt(3), M_MMAP_THRESHOLD).
    """
    torch.empty(_LEARNED_BYTES, dtype=torch.uint8)


def free_bytes(device: torch.device) -> int:
    """Return a GPU's free memory, with the unused reserve of torch's allocator."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def release_memory(device: torch.device) -> None:
    """Release the unused reserve of a GPU's allocator."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
