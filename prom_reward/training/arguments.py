"""Adapter-training settings, and the TrainingArguments and LoraConfig built from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from prom_reward.engines.model.source import ModelSource
from prom_reward.errors import ConfigError, near_miss
from prom_reward.training.losses import LossWeights

_LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
DEFAULTS: Mapping[str, Any] = {
    "learning_rate": 4e-4,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 20,
    "num_train_epochs": 1,
    "gradient_accumulation_steps": 3,
    "logging_steps": 10,
    "save_steps": 100,
    "save_total_limit": 2,
    "report_to": "none",
    "restore_callback_states_from_checkpoint": True,  # early stopping keeps its count
}
"""The trainer's arguments that a recipe leaves open; with few examples some change, see `prom_reward.training.plan`."""
_OF_PACKS = {"per_device_train_batch_size": 1, "remove_unused_columns": False}
_OF_VALIDATION = {
    "eval_strategy": "steps",
    "metric_for_best_model": "selection",
    "greater_is_better": True,
    "load_best_model_at_end": True,
}
_COUNTS = {"gradient_accumulation_steps", "num_train_epochs"}
# Arguments that may change when a training is resumed.
_CHANGEABLE = {"bf16", "use_cpu", "report_to", "disable_tqdm", "logging_steps", "save_total_limit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRun:
    """The settings of an adapter's training."""

    out: Path
    """The folder for the adapter; checkpoints go to its subfolder `checkpoints`."""
    start: ModelSource | None = None
    """The base model with the adapter to continue from; None starts a new adapter."""
    lora: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `peft.LoraConfig` for a new adapter."""
    trainer: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `transformers.TrainingArguments`."""
    weights: LossWeights = field(default_factory=LossWeights)
    """The weights of the parts of the loss."""
    pack_tokens: int | None = None
    """Tokens of a pack; a longer example gets a pack of its own. None: see `prom_reward.training.plan`."""
    frozen_layers: int = 0
    """So many of the first layers keep the adapter that they have; a third of the layers saves a fifth of a step."""
    patience: int | None = None
    """Evaluations without a better mean correlation before training stops; None never stops early."""
    seed: int = 0
    """Seeds the adapter's first weights and the packs."""


def check_arguments(run: AdapterRun, device: torch.device, *, has_validation: bool) -> None:
    """Raise ConfigError if an argument of the trainer or of LoRA is invalid; loads nothing."""
    trainer_arguments(run, device, "float32", has_validation=has_validation)
    if run.lora:
        lora_config(run)


def trainer_arguments(run: AdapterRun, device: torch.device, dtype: str, *, has_validation: bool) -> Any:
    """Return the trainer's arguments: the defaults, then the user's, then those that packs need.

    Raises:
        ConfigError: A user's argument is unknown, invalid, or set by train-judge itself.
    """
    from transformers import TrainingArguments

    chosen = {
        **DEFAULTS,
        "seed": run.seed,
        "bf16": dtype == "bfloat16",
        "use_cpu": device.type == "cpu",
        **run.trainer,
        "output_dir": str(run.out / "checkpoints"),
        **_OF_PACKS,
    }
    if has_validation:
        chosen |= {**_OF_VALIDATION, "eval_steps": chosen["save_steps"]}
    own = {"output_dir", "eval_steps", "per_device_eval_batch_size", *_OF_PACKS, *_OF_VALIDATION} & run.trainer.keys()
    if own:
        raise ConfigError(f"trainer: got {', '.join(sorted(own))}, which train-judge sets itself; leave it out")
    for name in _COUNTS & run.trainer.keys():
        if not (isinstance(run.trainer[name], int | float) and run.trainer[name] > 0):
            raise ConfigError(f"trainer: got {name}={run.trainer[name]!r}; expected a number over 0")
    return _built("trainer", TrainingArguments, run.trainer, chosen)


def identifying_arguments(run: AdapterRun, arguments: Any) -> dict[str, Any]:
    """Return the arguments of trainer and LoRA that must be the same when a training is resumed."""
    names = sorted({*DEFAULTS, "max_steps", *run.trainer} - _CHANGEABLE)
    return {
        **{f"lora.{name}": value for name, value in run.lora.items()},
        **{name: getattr(arguments, name) for name in names},
    }


def lora_config(run: AdapterRun) -> Any:
    """Return a `peft.LoraConfig` of the defaults and the user's arguments.

    Raises:
        ConfigError: A user's argument is unknown or invalid.
    """
    import peft

    return _built("lora", peft.LoraConfig, run.lora, {**_LORA, **run.lora})


def _built(part: str, made: Any, given: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    """Build a library's arguments; errors name the recipe's part and, if known, its key."""
    known = {field.name: field.default for field in fields(made) if field.init}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{part}: unknown key {name!r} of {made.__name__}.{near_miss(name, known)}")
        if isinstance(value, str) and isinstance(known[name], int | float):
            hint = (
                "true or false" if isinstance(known[name], bool) else "a number (for YAML 4.0e-4 is one, 4e-4 a text)"
            )
            raise ConfigError(f"{part}: got {name}={value!r}; expected {hint}")
    try:
        return made(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{part}: {first_line(error)}; got {dict(given)}") from error


def first_line(error: Exception) -> str:
    """Return the first line of a library's message."""
    return str(error).strip().partition("\n")[0]
