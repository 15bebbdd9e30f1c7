"""Contexts for calling a model as a judge: one caller at a time, eval mode, no gradients, state restored after."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch

_locks: "WeakKeyDictionary[Any, threading.RLock]" = WeakKeyDictionary()
_making_locks = threading.Lock()


@contextmanager
def judging(model: Any) -> Iterator[None]:
    """Let a model judge for one caller at a time; its state is the same afterwards."""
    with model_lock(model), torch.inference_mode(), evaluating(model), without_autocast():
        yield


@contextmanager
def judging_on(device: torch.device, model: Any) -> Iterator[None]:
    """Let a model judge on a device; keep it on the CPU the rest of the time."""
    with model_lock(model):
        with torch.inference_mode(False):  # weights moved in inference mode could not be moved back
            model.to(device)
        try:
            with judging(model):
                yield
        finally:
            with torch.inference_mode(False):
                model.to("cpu")
            if device.type != "cpu":
                torch.get_device_module(device).empty_cache()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Keep a model in eval mode; restore every module's mode afterwards."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, was_training in before.items():
            module.training = was_training


@contextmanager
def without_autocast() -> Iterator[None]:
    """Compute in the model's own dtype, even in a trainer's autocast."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def rng_kept(device: torch.device) -> Iterator[None]:
    """Restore torch's random state afterwards, on the CPU and on a GPU."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def model_lock(model: Any) -> threading.RLock:
    """Return a model's lock: async rewards run in threads and may share a model."""
    with _making_locks:
        return _locks.setdefault(model, threading.RLock())
