"""Catches the last hidden states of a model: what it turns into logits, after the final norm."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from prom_reward.errors import ConfigError


@contextmanager
def caught_states(model: Any, *, is_wanted: bool = True) -> Iterator[list[torch.Tensor]]:
    """Yield a list to which each forward pass of one sequence adds the states (N, H) that it turns into logits.

    Args:
        model: A causal LM.
        is_wanted: If not, nothing is caught.

    Raises:
        ConfigError: The model has no output embeddings.
    """
    caught: list[torch.Tensor] = []
    if not is_wanted:
        yield caught
        return
    layer = model.get_output_embeddings()
    if layer is None:
        raise ConfigError(
            f"got {type(model).__name__}, which has no output embeddings; expected a causal LM for a head"
        )
    hook = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0][0]))
    try:
        yield caught
    finally:
        hook.remove()
