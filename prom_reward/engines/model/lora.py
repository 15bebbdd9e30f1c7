"""Merges a plain LoRA adapter (Hu et al. 2021) into its base model, as peft does.

Importing peft takes longer than loading a small judge. An adapter of any other kind is left to peft.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn import Linear

from prom_reward.errors import InputError
from prom_reward.files import read_text

_PLAIN = {"peft_type": "LORA", "bias": "none"}
"""The config of a plain adapter, beside the keys below; any other key is empty."""
_READ_HERE = ("r", "lora_alpha", "target_modules", "init_lora_weights")
_WITHOUT_EFFECT = (
    *("auto_mapping", "base_model_name_or_path", "inference_mode", "lora_dropout", "peft_version", "revision"),
    *("task_type", "megatron_core", "qalora_group_size"),  # the last two are set even if what they belong to is off
)


def merge_plain_lora(model: Any, folder: Path) -> bool:
    """Add an adapter's weights to those of its base model; return False, with nothing changed, if it is not plain.

    Args:
        model: A causal LM.
        folder: The adapter's folder, with safetensors.
    """
    try:
        config = json.loads(read_text(folder / "adapter_config.json"))
        weights = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError, RecursionError, InputError, SafetensorError):
        return False  # peft says what is wrong with it
    parts = _parts(model, config, weights) if _is_plain(config) else []
    for module, *pair in parts:
        weight = module.weight.data
        up, down = (part.to(weight.device, torch.float32) for part in pair)
        weight += (up @ down).mul_(config["lora_alpha"] / config["r"])
    return bool(parts)


def _is_plain(config: Any) -> bool:
    if not isinstance(config, Mapping):
        return False
    others = {key: value for key, value in config.items() if value and key not in (*_READ_HERE, *_WITHOUT_EFFECT)}
    rank, alpha, names, start = (config.get(key) for key in _READ_HERE)
    are_numbers = type(rank) is int and rank > 0 and type(alpha) in (int, float)
    has_plain_start = type(start) is bool  # a start by a name changes the base model, too
    return others == _PLAIN and are_numbers and has_plain_start and isinstance(names, list)


def _parts(model: Any, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> list[tuple[Any, ...]]:
    """Return each adapted layer with the adapter's weights for it, (O, R) and (R, I); empty if they do not fit."""
    ends = tuple(f".{suffix}" for suffix in config["target_modules"])
    targets = {name: module for name, module in model.named_modules() if f".{name}".endswith(ends)}
    keys = {name: [f"base_model.model.{name}.lora_{part}.weight" for part in "BA"] for name in targets}
    if weights.keys() != {key for pair in keys.values() for key in pair}:
        return []
    parts = [(module, *(weights[key] for key in keys[name])) for name, module in targets.items()]
    has_head = model.get_output_embeddings() in targets.values()  # it may share its weights with the embeddings
    return [] if has_head or not all(_fits(*part, rank=config["r"]) for part in parts) else parts


def _fits(module: Any, up: torch.Tensor, down: torch.Tensor, *, rank: int) -> bool:
    """Whether a module is a linear layer in memory for which these are the adapter's weights."""
    is_linear = type(module) is Linear and not module.weight.is_meta
    return is_linear and (up.shape, down.shape) == ((module.out_features, rank), (rank, module.in_features))
