"""One forward pass of a causal LM that starts or continues a key/value cache.

Models name their cache differently: `cache` from transformers 5.24 on, `past_key_values` before that and in code that
comes with a model, `cache_params` in Mamba.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

_OPTIONAL = ("logits_to_keep", "position_ids", "use_cache")
_CACHE_NAMES = ("cache", "cache_params", "past_key_values")


def forward_last(
    model: Any, input_ids: torch.Tensor, *, cache: Any = None, keeps_cache: bool = True, **inputs: Any
) -> tuple[torch.Tensor, Any]:
    """Run tokens through a model.

    Args:
        model: A causal LM in eval mode.
        input_ids: (B, T).
        cache: The cache of the tokens before; it is extended in place. None starts at the first token.
        keeps_cache: Whether to return the cache.
        inputs: Positions and a mask; a model that takes no positions goes by the length of its cache.

    Returns:
        Raw logits (B, V) after the last token, in float32, and the cache or None.
    """
    wrapped = getattr(model, "get_base_model", None)  # peft's forward passes its arguments on to the model's own
    own = wrapped() if wrapped else model
    name, takes = _arguments(own)
    if cache is not None:
        inputs[name] = cache
    inputs |= {"logits_to_keep": 1, "use_cache": keeps_cache or cache is not None}
    given = {key: value for key, value in inputs.items() if value is not None and (takes(key) or key not in _OPTIONAL)}
    output = model(input_ids=input_ids, **given)
    return output.logits[:, -1].float(), getattr(output, name) if keeps_cache else None


def is_close(logits: torch.Tensor, plain: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether logits (V,) are those of a plain forward pass, within the rounding of a dtype."""
    tolerance = 3e-4 if dtype == torch.float32 else 0.12  # of the logits' deviation; a wrong mask moves them by more
    error = (logits - plain).square().mean().sqrt()
    return bool(error <= tolerance * plain.std() + 1e-6)


def token_logprobs(logits: torch.Tensor, tokens: Sequence[int]) -> dict[int, float]:
    """Return the log-probability in nats of some tokens from raw logits (V,)."""
    chosen: list[float] = logits.float().log_softmax(-1)[list(tokens)].tolist()
    return dict(zip(tokens, chosen, strict=True))


def _arguments(model: Any) -> tuple[str, Callable[[str], bool]]:
    """Return a model's name for the cache, and whether its forward takes an argument."""
    parameters = inspect.signature(model.forward).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    names = [*parameters, *inspect.signature(type(model).forward).parameters] if takes_any else [*parameters]
    name = next((name for name in names if name in _CACHE_NAMES), "past_key_values")
    return name, lambda key: takes_any or key in names
