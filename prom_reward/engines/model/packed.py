"""Linear layers whose weights stand in oneDNN's own order, which its kernels for CPUs read faster.

torch's own layers multiply a few rows, as a decoding step does, at half the rate, and reorder weights in bf16 at every
call. Packing changes no weight, only the order of additions.
"""

import logging
from functools import cache
from typing import Any

import torch

from prom_reward.engines.model.forward import forward_last, is_close
from prom_reward.engines.model.sessions import without_autocast

logger = logging.getLogger(__name__)

_DTYPES = (torch.float32, torch.bfloat16)
_ROWS = 16  # rows that the order is chosen for; it is the same for all numbers but one
_EXACT_ROWS = 64  # above it, products are filled up to one of few lengths, as oneDNN keeps megabytes for each
_PROBE_IDS = (3, 7, 11, 5)


class PackedLinear(torch.nn.Module):
    """A linear layer without gradients on a CPU.

    Args:
        linear: The layer to take over; its weights (N, K) are copied in oneDNN's order.
    """

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)
        self.weight = torch.nn.Parameter(packed, requires_grad=False)
        self.bias = linear.bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return states (..., K) times the weights, (..., N)."""
        num_rows = states.numel() // self.in_features
        filling = filled(num_rows) - num_rows
        if num_rows <= _EXACT_ROWS or not filling:
            return self._product(states)
        rows = torch.nn.functional.pad(states.reshape(num_rows, self.in_features), (0, 0, 0, filling))
        return self._product(rows)[:num_rows].view(*states.shape[:-1], self.out_features)

    def _product(self, states: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, self.weight, self.bias, "none", [], "")
        return product

    def unpacked(self) -> torch.nn.Linear:
        """Return torch's own layer with the same weights."""
        linear = torch.nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        linear.weight = torch.nn.Parameter(self.weight.to_dense(), requires_grad=False)
        linear.bias = self.bias
        return linear


def filled(num_tokens: int) -> int:
    """Return a length that is at most an eighth more; there are eight between a power of two and the next."""
    step = 1 << max(0, num_tokens.bit_length() - 4)
    return num_tokens + -num_tokens % step


def pack_linears(model: Any) -> None:
    """Pack the linear layers of a causal LM on a CPU, in place; leave them if its logits would not stay the same."""
    packed = []
    with without_autocast():
        before = _logits(model) if _can_pack(model.dtype) else None
        if before is None:
            return
        for parent, name in _places(model):
            layer = PackedLinear(getattr(parent, name))
            setattr(parent, name, layer)  # one at a time: only one layer's weights are held twice
            packed.append((parent, name, layer))
        after = _logits(model)
    if after is None or not is_close(after, before, model.dtype):
        logger.info("%s: its layers are not packed, as its logits would differ", type(model).__name__)
        for parent, name, layer in packed:
            setattr(parent, name, layer.unpacked())
    for parameter in model.parameters():
        if parameter.layout == torch.strided:  # as views of the weights' file they would keep all of it in memory
            parameter.data = parameter.data.clone()


def _places(model: Any) -> list[tuple[torch.nn.Module, str]]:
    """Return the parents of the layers that can be packed, with the layers' names."""
    return [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is torch.nn.Linear and child.weight.device.type == "cpu" and child.weight.dtype in _DTYPES
    ]


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether this machine multiplies packed weights of a dtype, to the same numbers."""
    if dtype not in _DTYPES:
        return False
    rows = torch.linspace(-1, 1, 5 * 64).view(5, 64).to(dtype)
    linear = torch.nn.Linear(64, 48, bias=False, device="meta")
    linear.weight = torch.nn.Parameter(torch.linspace(1, -2, 48 * 64).view(48, 64).to(dtype), requires_grad=False)
    try:
        found = PackedLinear(linear)(rows)
    except (RuntimeError, AttributeError) as error:  # a processor or a build of torch without these kernels
        logger.info("layers are not packed: %s", str(error).partition("\n")[0])
        return False
    return torch.allclose(found.float(), rows.float() @ linear.weight.float().T, rtol=0.02, atol=0.02)


def _logits(model: Any) -> torch.Tensor | None:
    """Return the logits (V,) after a few tokens; None if the model fails on them."""
    try:
        rows, _ = forward_last(model, torch.tensor([_PROBE_IDS]), keeps_cache=False)
    except Exception as error:  # the model's own, of which the probe tells, or as it reads a layer's weights itself
        logger.debug("%s: %s", type(model).__name__, error)
        return None
    return rows[0]
