"""How near a run comes to the machine: its arithmetic at the best rate of the model's own matrix products."""

import time
from collections.abc import Sequence

import torch

from prom_reward.engines.prefix.plan import plan_prefixes

_TOKENS = 2048
_SECONDS = 0.3


def gemm_rate(model) -> float:
    """Return the best rate, in operations a second, of the model's linear layers or torch's own on 2,048 tokens."""
    layers = {(one.in_features, one.out_features): one for one in model.modules() if hasattr(one, "in_features")}
    vocabulary = model.config.get_text_config().vocab_size
    return max(_rate(layer, model) for (_, out), layer in layers.items() if out != vocabulary)


def arithmetic(model, prompts: Sequence[Sequence[int]], num_generated: int = 0) -> float:
    """Return the operations that the prompts' unique trie tokens cost at least, and the head at scored positions.

    Args:
        model: The judge.
        prompts: Token ids.
        num_generated: Tokens that are written after every prompt.
    """
    config = model.config.get_text_config()
    embedding = model.get_input_embeddings().weight
    weights = sum(one.numel() for name, one in model.named_parameters() if "lm_head" not in name) - embedding.numel()
    segments = plan_prefixes(prompts, token_budget=1 << 40, min_shared_tokens=1).segments
    tokens = sum(segment.num_tokens for segment in segments) + num_generated * len(prompts)
    pairs = sum(segment.end * (segment.end + 1) - segment.start * (segment.start + 1) for segment in segments) / 2
    pairs += sum(num_generated * (len(prompt) + num_generated / 2) for prompt in prompts)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * head_dim * pairs
    return 2 * weights * tokens + attention + 2 * embedding.numel() * len(prompts) * max(1, num_generated)


def _rate(layer, model) -> float:
    width, out = layer.in_features, layer.out_features
    states = torch.randn(_TOKENS, width, dtype=model.dtype, device=model.device)
    weight = torch.randn(out, width, dtype=model.dtype, device=model.device)
    best, start = 0.0, time.perf_counter()
    while time.perf_counter() - start < _SECONDS:
        for product in (layer, lambda given: torch.nn.functional.linear(given, weight)):
            begin = time.perf_counter()
            product(states)
            if model.device.type == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * _TOKENS * width * out / (time.perf_counter() - begin))
    return best
