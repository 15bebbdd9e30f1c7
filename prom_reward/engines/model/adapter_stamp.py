"""The stamp in a judge's adapter folder: the weights, prompts and guard that it was trained for."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prom_reward.errors import InputError
from prom_reward.files import read_text

if TYPE_CHECKING:
    import torch

STAMP_FILE = "prom_reward.json"
_JUDGE_KEYS = (
    *("model", "tokenizer", "gguf_file", "revision"),
    *("prompt_style", "layout", "conversation", "mode", "taught_to_rank"),
)
_HASHED_VALUES = 4096  # per tensor: tells checkpoints apart, in milliseconds for 7B


def write_stamp(folder: Path, stamp: Mapping[str, Any]) -> None:
    """Write the stamp of the adapter in a folder."""
    (folder / STAMP_FILE).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


def read_stamp(folder: str | Path) -> dict[str, Any]:
    """Return the stamp of the adapter in a folder; empty if there is none or it cannot be read."""
    try:
        stamp = json.loads(read_text(Path(folder) / STAMP_FILE))
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def judge_settings(folder: str | Path) -> dict[str, Any]:
    """Return the settings of the judge that the adapter in a folder makes of its base, as its stamp names them.

    A stamp can name weights and prompts only, never what runs code or opens a server.
    """
    stamped = read_stamp(folder).get("judge")
    if not isinstance(stamped, dict) or not stamped.get("model"):
        return {}
    return {key: stamped[key] for key in _JUDGE_KEYS if stamped.get(key) is not None}


def weights_digest(model: Any) -> str:
    """Return a SHA-256 over names, shapes and first values of all weights, in bf16 so that their dtype does not count.

    Adapters on the model do not count: a policy with LoRA adapters has the digest of its base model.
    """
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(_base_weights(model).items()):
        first = value.detach().flatten()[:_HASHED_VALUES].to("cpu", torch.bfloat16).contiguous()
        digest.update(f"{name}{tuple(value.shape)}".encode() + first.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _base_weights(model: Any) -> "dict[str, torch.Tensor]":
    """Return the model's own weights under their names without adapters."""
    adapter_parts = {"modules_to_save", "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B"}
    adapter_parts.add("lora_magnitude_vector")
    weights = {}
    for name, value in model.state_dict().items():
        parts = name.split(".")
        if adapter_parts.isdisjoint(parts):
            weights[".".join(part for part in parts if part not in ("base_layer", "original_module"))] = value
    return weights
