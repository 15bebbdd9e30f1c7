"""One forward pass of a causal LM that starts or continues a key/value cache.

Models name their cache differently: `cache` from transformers 5.24 on, `past_key_values` before that and in code that
comes with a model, `cache_params` in Mamba.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch

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
        inputs: Further arguments of the model's forward, such as positions or a mask.

    Returns:
        Raw logits (B, V) after the last token, in float32, and the cache or None.
    """
    wrapped = getattr(model, "get_base_model", None)  # peft's forward passes its arguments on to the model's own
    own = wrapped() if wrapped else model
    name, takes_logits_to_keep = _arguments(own)
    if cache is not None:
        inputs[name] = cache
        if not hasattr(own.config.get_text_config(), "num_attention_heads"):
            inputs.pop("attention_mask", None)  # a recurrent state needs no mask, as in transformers' generate
    if takes_logits_to_keep:
        inputs["logits_to_keep"] = 1
    output = model(input_ids=input_ids, use_cache=keeps_cache or cache is not None, **inputs)
    return output.logits[:, -1].float(), getattr(output, name) if keeps_cache else None


def token_logprobs(logits: torch.Tensor, tokens: Sequence[int]) -> dict[int, float]:
    """Return the log-probability in nats of some tokens from raw logits (V,)."""
    chosen: list[float] = logits.float().log_softmax(-1)[list(tokens)].tolist()
    return dict(zip(tokens, chosen, strict=True))


def _arguments(model: Any) -> tuple[str, bool]:
    """Return a model's name for the cache, and whether it takes a number of logits to keep."""
    parameters = inspect.signature(model.forward).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    names = [*parameters, *inspect.signature(type(model).forward).parameters] if takes_any else [*parameters]
    name = next((name for name in names if name in _CACHE_NAMES), "past_key_values")
    return name, takes_any or "logits_to_keep" in names
