"""What a lack of memory looks like, and how to go on after it.

It does not know what needed the memory.
"""

import torch


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory ran out; a CPU's allocator has no error class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def release_memory(device: torch.device) -> None:
    """Give back what a GPU's allocator holds in reserve, so that smaller pieces find room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
