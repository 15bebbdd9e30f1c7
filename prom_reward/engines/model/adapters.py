"""Finds a judge's LoRA adapter and puts it on its base model."""

import logging
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from prom_reward.engines.model.adapter_stamp import STAMP_FILE, read_stamp, weights_digest
from prom_reward.engines.model.hub import is_local_only
from prom_reward.engines.model.lora import merge_plain_lora
from prom_reward.engines.model.quietly import quiet_loading
from prom_reward.engines.model.source import (
    ADAPTER_WEIGHTS,
    ModelSource,
    check_adapter_folder,
    load_error,
    resolve_path,
)

logger = logging.getLogger(__name__)

_ADAPTER_FILES = ["adapter_config.json", ADAPTER_WEIGHTS, STAMP_FILE]
LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError)
"""Raised by transformers, peft and the hub's client for weights that cannot be loaded."""


def merge_adapter(model: Any, source: ModelSource) -> Any:
    """Return a loaded base model with the source's LoRA adapter in its weights; raise as `attach_adapter` does."""
    folder = _checked_folder(model, source)
    return model if merge_plain_lora(model, Path(folder)) else _attached(model, folder).merge_and_unload()


def attach_adapter(model: Any, source: ModelSource, *, trainable: bool = False) -> Any:
    """Return a peft model of a loaded base model and the source's LoRA adapter (safetensors only).

    Raises:
        ConfigError: The adapter's folder holds no safetensors, or damaged files, or layers that the model has not.
        ModelLoadError: The hub does not give the adapter, or its matrices have other shapes.
    """
    return _attached(model, _checked_folder(model, source), trainable=trainable)


def _checked_folder(model: Any, source: ModelSource) -> str:
    """Return the adapter's folder; warn if it was trained on other weights than the model's."""
    folder = adapter_folder(source)
    trained_on = read_stamp(folder).get("base_digest")
    if trained_on and trained_on != weights_digest(model):
        logger.warning("%s: the adapter was trained on other weights than those of %s", source.adapter, source.model)
    return folder


def _attached(model: Any, folder: str, *, trainable: bool = False) -> Any:
    import peft

    try:
        with quiet_loading():
            return peft.PeftModel.from_pretrained(model, folder, is_trainable=trainable, use_safetensors=True)
    except LOAD_ERRORS as error:
        raise load_error(folder, folder, error) from error


def adapter_folder(source: ModelSource) -> str:
    """Return the local folder of a source's adapter in safetensors; of a hub id only files without pickles are fetched.

    Raises:
        ConfigError: There is no such folder, or it holds no adapter in safetensors.
        ModelLoadError: The adapter is neither a local folder nor on the hub.
    """
    from huggingface_hub import snapshot_download

    folder = resolve_path(str(source.adapter))
    if not Path(folder).is_dir():
        try:
            folder = str(
                snapshot_download(folder, allow_patterns=_ADAPTER_FILES, local_files_only=is_local_only(folder))
            )
        except LOAD_ERRORS as error:
            raise load_error(folder, folder, error) from error
    check_adapter_folder(folder)
    return folder
