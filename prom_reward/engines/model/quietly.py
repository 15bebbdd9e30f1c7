"""Hides what transformers prints while weights load; the caller's settings come back."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Hide the bars of weights that load or are converted, and warnings of later changes; downloads keep theirs."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging as transformers_logging

    bars, hub_bars = transformers_logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    gguf_bar = gguf.tqdm
    transformers_logging.disable_progress_bar()  # the hub's, too
    if hub_bars:
        enable_progress_bars()
    gguf.tqdm = partial(gguf_bar, disable=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        gguf.tqdm = gguf_bar
        if bars:
            transformers_logging.enable_progress_bar()
            if not hub_bars:
                disable_progress_bars()
