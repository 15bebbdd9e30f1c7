"""Loads a causal LM for judging: weights, tokenizer, adapter, device, dtype, int8."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from prom_reward.engines.model.adapters import LOAD_ERRORS, adapter_folder, attach_adapter, merge_adapter
from prom_reward.engines.model.devices import own_device, present_device, resolve_dtype
from prom_reward.engines.model.hub import is_local_only
from prom_reward.engines.model.memory import check_fits
from prom_reward.engines.model.quietly import quiet_loading
from prom_reward.engines.model.sessions import rng_kept
from prom_reward.engines.model.source import ModelSource, load_error, require_int8, resolve_path, weights_path
from prom_reward.errors import ConfigError, ModelLoadError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to judge, with its tokenizer."""

    model: Any
    """A transformers causal LM in eval mode."""
    tokenizer: Any
    """Its tokenizer."""
    dtype: str
    """The dtype in fingerprints and reports: "float32", "bfloat16", "float16" or "int8"."""

    @property
    def device(self) -> torch.device:
        """The device of the inputs."""
        return torch.device(self.model.device)


def load_model(source: ModelSource) -> LoadedModel:
    """Load weights and tokenizer, in eval mode and without gradients.

    Raises:
        ModelLoadError: The hub gives none, or a library fails to load them.
        MissingPackageError: `package:NAME` or bitsandbytes is not installed.
        ConfigError: Local files are missing or damaged, the device does not exist here, its memory is too small, or the
            adapter's folder holds no safetensors.
    """
    device = own_device(present_device(source.device))
    dtype = resolve_dtype(source.dtype, device, quantization=source.quantization)
    options: dict[str, Any] = {"dtype": dtype, "device_map": source.device_map or {"": device}}
    if source.quantization:
        options["quantization_config"] = _int8_config()
    if source.adapter:
        adapter_folder(source)  # an error before the weights are read
    tokenizer = load_tokenizer(source)
    with rng_kept(device):  # transformers and peft draw initial weights
        if device.type == "cpu" and not (source.device_map or source.quantization or source.trust_remote_code):
            check_fits(_num_parameters(source), dtype)
        model = _from_pretrained(_model_class(_config(source)), source, options)
        if source.adapter:
            model = attach_adapter(model, source) if source.quantization else merge_adapter(model, source)
    model.eval()
    model.requires_grad_(False)
    name = source.quantization or str(dtype).removeprefix("torch.")
    logger.info("loaded %s on %s as %s", source.model, model.device, name)
    return LoadedModel(model, tokenizer, name)


def load_trainable(source: ModelSource) -> tuple[Any, Any]:
    """Load weights in fp32 and a tokenizer to train from; raise as `load_model` does."""
    with rng_kept(torch.device("cpu")):
        return _from_pretrained(_model_class(_config(source)), source, {"dtype": torch.float32}), load_tokenizer(source)


def load_outline(source: ModelSource) -> LoadedModel:
    """Load a tokenizer, and a model's layers without weights, on the meta device; raise as `load_model` does."""
    with rng_kept(torch.device("cpu")):
        model = _outline(source)
    return LoadedModel(model, load_tokenizer(source), str(model.dtype).removeprefix("torch."))


def load_tokenizer(source: ModelSource) -> Any:
    """Load the tokenizer alone; raise as `load_model` does."""
    from transformers import AutoTokenizer

    if source.tokenizer:
        source = ModelSource(model=source.tokenizer, trust_remote_code=source.trust_remote_code)
    tokenizer = _from_pretrained(AutoTokenizer, source, {})
    return tokenizer if isinstance(tokenizer.added_tokens_decoder, Mapping) else _converted(tokenizer, source)


def _converted(tokenizer: Any, source: ModelSource) -> Any:
    """Return mistral-common's tokenizer as one of transformers', which can encode special tokens as plain text."""
    from transformers import PreTrainedTokenizerFast

    try:
        converted = _from_pretrained(PreTrainedTokenizerFast, source, {})
        converted.bos_token = converted.convert_ids_to_tokens(tokenizer.bos_token_id)
        converted.eos_token = converted.convert_ids_to_tokens(tokenizer.eos_token_id)
    except (ConfigError, ModelLoadError, TypeError, AttributeError) as error:
        raise ModelLoadError(
            f"got {type(tokenizer).__name__} as the tokenizer of {source.model!r}; expected a folder with "
            "tokenizer.json: give one with tokenizer="
        ) from error
    return converted


def _config(source: ModelSource) -> Any:
    from transformers import AutoConfig

    return _from_pretrained(AutoConfig, source, {})


def _model_class(config: Any) -> Any:
    """Return the class for a causal LM; for a model of images and text that has no such class, its own."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    is_causal = type(config) in AutoModelForCausalLM._model_mapping
    has_images = type(config) in AutoModelForImageTextToText._model_mapping
    return AutoModelForImageTextToText if has_images and not is_causal else AutoModelForCausalLM


def _num_parameters(source: ModelSource) -> int:
    """Return the number of a model's parameters, from its config alone."""
    return int(_outline(source).num_parameters())


def _outline(source: ModelSource) -> Any:
    """Return a model without weights, from its config alone."""
    config = _config(source)
    with torch.device("meta"):
        return _model_class(config).from_config(config, trust_remote_code=source.trust_remote_code)


def _from_pretrained(auto_class: Any, source: ModelSource, options: dict[str, Any]) -> Any:
    path = resolve_path(source.model)  # shown in a message if the GGUF file is not found
    options = {**options, "trust_remote_code": source.trust_remote_code}
    options |= {"revision": source.revision} if source.revision else {}
    try:
        with quiet_loading():
            path = weights_path(source)
            return auto_class.from_pretrained(path, **options, local_files_only=is_local_only(path))
    except LOAD_ERRORS as error:
        raise load_error(path, source.model, error) from error


def _int8_config() -> Any:
    require_int8()
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True)
