"""A slot for the judge inside a PEFT policy: filled while it scores, empty in between."""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from prom_reward.engines.model.sessions import evaluating, rng_kept
from prom_reward.errors import ConfigError, ModelLoadError

ADAPTER_NAME = "prom_reward_judge"


@dataclass(frozen=True, slots=True)
class _Entry:
    """The judge's values in a layer that has the policy's adapter, too."""

    layer: Any
    """A LoRA layer of the policy."""
    values: Mapping[str, Any]
    """The judge's value in each mapping by adapter name of the layer, by attribute."""


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """A layer that only the judge's adapter has."""

    parent: Any
    """The module that holds the layer."""
    name: str
    """Its name there."""
    layer: Any
    """The LoRA layer of the judge, around the policy's own."""


class BaseSlot:
    """The policy's base model as judge: no adapter is active while it scores.

    Args:
        policy: A `peft.PeftModel` with LoRA adapters.
    """

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the judge be active within this context."""
        with _restored(self._policy):
            self._policy.base_model.disable_adapter_layers()
            yield


class AdapterSlot:
    """A LoRA adapter as judge.

    It is loaded once, and removed from the policy's modules between calls.

    Args:
        policy: A `peft.PeftModel` with LoRA adapters.
        adapter: A folder with a plain LoRA adapter in safetensors.

    Raises:
        ConfigError: The adapter is no plain LoRA adapter.
        ModelLoadError: It does not fit the policy's layers, or cannot be read.
    """

    def __init__(self, policy: Any, adapter: str) -> None:
        _check_adapter(adapter)
        self._policy = policy
        self._config: Any = None
        self._entries: list[_Entry] = []
        self._wrappers: list[_Wrapper] = []
        self._replaced: list[tuple[_Wrapper, Any]] = []
        with torch.inference_mode(False), evaluating(policy), _restored(policy), rng_kept(policy.device):
            self._load(adapter)  # peft draws initial weights

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the judge be active within this context."""
        with _restored(self._policy):
            try:
                self._insert()
                self._policy.base_model.enable_adapter_layers()
                self._policy.base_model.set_adapter(ADAPTER_NAME, inference_mode=True)
                yield
            finally:
                self._remove()

    def _load(self, adapter: str) -> None:
        """Let peft load the adapter, note the layers that it changed, and remove it again."""
        before = set(_lora_layers(self._policy).values())
        try:
            device = str(self._policy.device)
            self._policy.load_adapter(adapter, ADAPTER_NAME, is_trainable=False, torch_device=device)
        except (ValueError, RuntimeError, KeyError, OSError) as error:
            raise ModelLoadError(f"{adapter}: does not fit the policy: {str(error).partition(chr(10))[0]}") from error
        finally:
            self._config = self._policy.peft_config.get(ADAPTER_NAME)
            for path, layer in _lora_layers(self._policy).items():
                self._note(path, layer, is_new=layer not in before)
            self._remove()

    def _note(self, path: str, layer: Any, *, is_new: bool) -> None:
        if is_new:
            parent_path, _, name = path.rpartition(".")
            wrapper = _Wrapper(self._policy.get_submodule(parent_path), name, layer)
            self._wrappers.append(wrapper)
            self._replaced.append((wrapper, layer.get_base_layer()))
            return
        self._entries.append(_Entry(layer, _judge_values(layer)))

    def _insert(self) -> None:
        self._policy.peft_config[ADAPTER_NAME] = self._config
        for wrapper in self._wrappers:
            _follow(wrapper.layer, wrapper.layer.get_base_layer())
            self._replaced.append((wrapper, getattr(wrapper.parent, wrapper.name)))  # may be a LoRA layer by now
            setattr(wrapper.parent, wrapper.name, wrapper.layer)
        for entry in self._entries:
            for attribute, value in entry.values.items():
                _follow(value, entry.layer.get_base_layer())
                getattr(entry.layer, attribute)[ADAPTER_NAME] = value

    def _remove(self) -> None:
        self._policy.peft_config.pop(ADAPTER_NAME, None)
        for entry in self._entries:
            for mapping in (getattr(entry.layer, attribute) for attribute in entry.values):
                if ADAPTER_NAME in mapping:
                    del mapping[ADAPTER_NAME]
        while self._replaced:
            wrapper, layer = self._replaced.pop()
            setattr(wrapper.parent, wrapper.name, layer)


def _check_adapter(adapter: str) -> None:
    """Refuse adapters with more than LoRA's own matrices."""
    from peft import LoraConfig, PeftConfig

    config = PeftConfig.from_pretrained(adapter)
    if not isinstance(config, LoraConfig) or config.modules_to_save or config.bias != "none":
        raise ConfigError(
            f"{adapter}: got an adapter that changes more than LoRA's matrices; expected a LoRA adapter without "
            "bias and modules_to_save, or leave the judge beside the policy"
        )


def _lora_layers(policy: Any) -> dict[str, Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {path: module for path, module in policy.named_modules() if isinstance(module, BaseTunerLayer)}


def _judge_values(layer: Any) -> dict[str, Any]:
    """Return the judge's value in each mapping by adapter name of a layer, by attribute."""
    attributes = {**vars(layer), **layer._modules}
    kinds = (MutableMapping, torch.nn.ModuleDict, torch.nn.ParameterDict)
    mappings = {name: one for name, one in attributes.items() if isinstance(one, kinds)}
    return {name: one[ADAPTER_NAME] for name, one in mappings.items() if ADAPTER_NAME in one}


def _follow(value: Any, base: Any) -> None:
    """Move the judge's part of a layer to the device of the policy's layer."""
    if isinstance(value, torch.nn.Module):
        value.to(base.weight.device)
    elif isinstance(value, torch.nn.Parameter):
        value.data = value.data.to(base.weight.device)


@contextmanager
def _restored(policy: Any) -> Iterator[None]:
    """Restore active adapters, their switch and requires_grad."""
    tuner = policy.base_model
    active, named = tuner.active_adapter, policy.active_adapter
    is_disabled = any(layer.disable_adapters for layer in _lora_layers(policy).values())
    requires_grad = [(parameter, parameter.requires_grad) for parameter in policy.parameters()]
    try:
        yield
    finally:
        tuner.set_adapter(active)
        (tuner.disable_adapter_layers if is_disabled else tuner.enable_adapter_layers)()
        policy.active_adapter = named
        for parameter, needs_grad in requires_grad:
            parameter.requires_grad_(needs_grad)
