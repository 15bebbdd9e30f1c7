"""Checks of a judge's settings that need neither torch nor the weights."""

import ctypes
import sys
from collections.abc import Collection
from pathlib import Path

from prom_reward.engines.model.source import (
    DEVICE_TYPES,
    check_adapter_folder,
    device_name_error,
    folder_error,
    is_place,
    require_int8,
    resolve_path,
)
from prom_reward.engines.server.source import DECISION_APIS
from prom_reward.errors import ConfigError
from prom_reward.files import names_hub_repository
from prom_reward.settings.judges import JudgeConfig

_GPU_FILES = ("nvidia*", "nvmap", "kfd", "dxg")  # NVIDIA's driver, Jetson's, AMD's, Windows Subsystem for Linux
_PROMPT_KEYS = (
    *("prompt_style", "layout", "conversation", "chat_template_kwargs", "tokenizer", "model", "context_length"),
    *("criterion_text", "level_order", "truncate_response"),
)
_LOCAL_KEYS = (
    *("adapter", "dtype", "device", "device_map", "quantization", "offload"),
    *("decode_batch_size", "attn_implementation", "cuda_graphs"),
)


def check_engine(config: JudgeConfig, where: str, given: Collection[str]) -> None:
    """Raise ConfigError if a setting does not go with the judge's engine.

    Args:
        config: The settings.
        where: Their name in messages.
        given: The keys that the user gave; the others come from a preset.
    """
    if (config.engine == "openai") != (config.url is not None):
        has = "a" if config.url is not None else "no"
        raise ConfigError(
            f"{where}: got engine={config.engine!r} and {has} url; expected both of engine: openai and url"
        )
    if config.url is not None:
        _check_url(config, where, given)
    asks_questions = config.server is not None and config.server.api in DECISION_APIS
    if config.prompt_style == "decision" and not asks_questions:
        raise ConfigError(f"{where}: got prompt_style='decision' without a decision endpoint; give url and api")
    if config.head and (config.engine != "transformers" or config.mode != "score"):
        raise ConfigError(
            f"{where}: got a head with engine={config.engine!r} and mode={config.mode!r}; expected engine: "
            "transformers and mode: score, in which the hidden state at the score is read"
        )
    if config.vllm and config.engine != "vllm":
        raise ConfigError(f"{where}: got vllm arguments and engine={config.engine!r}; expected engine: vllm")
    for key in ("quantization", "device_map", "offload", "decode_batch_size", "attn_implementation", "cuda_graphs"):
        if config.engine == "vllm" and getattr(config, key) != JudgeConfig.model_fields[key].default:
            raise ConfigError(f"{where}: got {key} with engine='vllm'; vLLM does that itself: give it in vllm: {{...}}")
    if config.cuda_graphs and (config.device or "cuda").partition(":")[0] != "cuda":
        raise ConfigError(
            f"{where}: got cuda_graphs on device {config.device}; expected a CUDA device, or leave cuda_graphs out"
        )
    if config.engine == "vllm" and ":" in (config.device or ""):
        raise ConfigError(
            f"{where}: got device={config.device!r} with engine='vllm'; expected cpu or cuda: vLLM counts its GPUs "
            "itself, name one in CUDA_VISIBLE_DEVICES or vllm: {device_ids: [...]}"
        )


def _check_url(config: JudgeConfig, where: str, given: Collection[str]) -> None:
    """Raise ConfigError for settings that the server's own start decides."""
    for key in _LOCAL_KEYS:
        if key in given and getattr(config, key) != JudgeConfig.model_fields[key].default:
            hint = "loads adapters itself: name its model in `server`" if key == "adapter" else "decides that itself"
            raise ConfigError(f"{where}: got {key} and url; a server {hint}; leave {key} out")


def check_decisions(config: JudgeConfig, where: str, given: Collection[str]) -> None:
    """Raise ConfigError for settings of prompts, which a decision endpoint writes itself; it writes no text."""
    api = config.server.api if config.server is not None else None
    if "mode" in given and config.mode == "feedback":
        raise ConfigError(f"{where}: got mode='feedback' and api={api!r}, which writes no text; expected mode: score")
    for key in _PROMPT_KEYS:
        if key in given and getattr(config, key) != JudgeConfig.model_fields[key].default:
            hint = "name its model in `server`" if key in ("model", "tokenizer") else "it writes its model's prompt"
            raise ConfigError(f"{where}: got {key} and api={api!r}; {hint}: leave {key} out")


def check_weights(config: JudgeConfig) -> None:
    """Look at the folders of weights and adapter.

    Raises:
        ConfigError: The model's folder holds no model, or the adapter is neither a folder with one nor a hub id.
        MissingPackageError: The weights are to be loaded in int8, and bitsandbytes is not installed.
    """
    if config.url is not None:
        return
    if config.quantization == "int8" and config.engine == "transformers":
        require_int8()
    path = resolve_path(config.model)
    if not config.gguf_file and (wrong := folder_error(path, config.model)):
        raise wrong
    if config.adapter:
        _check_adapter(config.adapter)
    if config.tokenizer and is_place(config.tokenizer) and not Path(resolve_path(config.tokenizer)).exists():
        raise ConfigError(f"{config.tokenizer}: no such folder; expected a folder with a tokenizer, or a hub id")


def _check_adapter(adapter: str) -> None:
    folder = Path(resolve_path(adapter))
    if folder.is_dir():
        check_adapter_folder(folder)
    elif not names_hub_repository(adapter):
        raise ConfigError(f"{adapter}: no such folder; expected a folder with a LoRA adapter, or a hub id (owner/name)")


def check_device(name: str | None) -> None:
    """Raise ConfigError for a device that this machine cannot have; torch decides about the others when it loads."""
    kind, _, number = (name or "cpu").partition(":")
    if kind not in DEVICE_TYPES or not (number.isdecimal() or kind == name or name is None):
        raise device_name_error(name)
    if kind == "cuda" and sys.platform == "linux" and not _has_gpu_driver():
        raise ConfigError(f"got device={name!r}, but this machine has no driver of a GPU; expected cpu")


def _has_gpu_driver() -> bool:
    if any(next(Path("/dev").glob(name), None) for name in _GPU_FILES):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
