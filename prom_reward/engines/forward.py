"""One forward pass of a causal LM that begins or continues a key/value cache.

It does not know prompts or sampling, only how a model names its cache: `cache` from transformers 5.24 on,
`past_key_values` before that and in code that comes with a model, `cache_params` in Mamba.
"""

import inspect
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
        cache: The cache of what lies before; it takes the new tokens in. None begins at the first token.
        keeps_cache: Whether the cache is wanted.
        inputs: What else the model's forward takes, such as positions or a mask.

    Returns:
        Raw logits (B, V) behind the last token, in float32, and the cache, None where it is not wanted.
    """
    wrapped = getattr(model, "get_base_model", None)  # peft's forward takes whatever the model's own takes
    parameters = inspect.signature((wrapped() if wrapped else model).forward).parameters
    name = next((name for name in _CACHE_NAMES if name in parameters), "past_key_values")
    if cache is not None:
        inputs[name] = cache
        if name == "cache_params":  # a state is behind no mask: transformers' generate drops it as well
            inputs.pop("attention_mask", None)
    if "logits_to_keep" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        inputs["logits_to_keep"] = 1
    output = model(input_ids=input_ids, use_cache=keeps_cache or cache is not None, **inputs)
    return output.logits[:, -1].float(), getattr(output, name) if keeps_cache else None
