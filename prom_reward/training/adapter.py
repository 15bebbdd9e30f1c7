"""Trains a LoRA adapter on packs and writes it with a stamp of what it was trained for.

It does not know data files or prompts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from prom_reward.engines.adapter_stamp import weights_digest, write_stamp
from prom_reward.engines.loading import LoadedModel, ModelSource, attach_adapter
from prom_reward.errors import ConfigError, near_miss
from prom_reward.training.checkpoints import claim_checkpoints, examples_digest, finished_checkpoint
from prom_reward.training.examples import Example
from prom_reward.training.losses import LossWeights
from prom_reward.training.packing import pack_examples

_LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
_DEFAULTS = {
    "learning_rate": 4e-4,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 20,
    "num_train_epochs": 1,
    "gradient_accumulation_steps": 3,
    "logging_steps": 10,
    "save_steps": 100,
    "save_total_limit": 2,
    "report_to": "none",
    "restore_callback_states_from_checkpoint": True,  # of early stopping: its patience is not begun again
}
_OF_PACKS = {"per_device_train_batch_size": 1, "remove_unused_columns": False}
_OF_VALIDATION = {
    "eval_strategy": "steps",
    "metric_for_best_model": "selection",
    "greater_is_better": True,
    "load_best_model_at_end": True,
}
# What may change between two legs of one training.
_UNTOLD = {"bf16", "use_cpu", "report_to", "disable_tqdm", "logging_steps", "save_total_limit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRun:
    """How an adapter is trained."""

    out: Path
    """The folder for the adapter; checkpoints lie in `checkpoints` beside it."""
    start: ModelSource | None = None
    """The base model with the adapter to go on from; None starts a new adapter."""
    lora: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `peft.LoraConfig` for a new adapter."""
    trainer: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `transformers.TrainingArguments`."""
    weights: LossWeights = field(default_factory=LossWeights)
    """How the parts of the loss are weighed."""
    pack_tokens: int = 2048
    """Tokens of a pack; a longer example stands alone."""
    patience: int | None = None
    """Evaluations without a better mean correlation after which training stops; None goes to the end."""
    seed: int = 0
    """Of the adapter's first weights and of the packs."""


def train_adapter(
    loaded: LoadedModel, training: list[Example], validation: list[Example], run: AdapterRun, stamp: Mapping[str, Any]
) -> dict[str, float]:
    """Train an adapter, going on from the last checkpoint where there is one, and save the best.

    Args:
        loaded: The base model; it comes back with the adapter in it.
        training: Examples, with repetitions.
        validation: Examples to choose the checkpoint by; empty takes the last.
        run: How it is trained.
        stamp: What is written beside the adapter about the judge that it makes.

    Returns:
        The last measures on the validation examples.

    Raises:
        InputError: The folder holds checkpoints of another recipe.
        ConfigError: An argument of the trainer or of LoRA is wrong.
    """
    from transformers import EarlyStoppingCallback

    from prom_reward.training.trainer import JudgeTrainer, packs_attention

    torch.manual_seed(run.seed)
    stamp = {**stamp, "base_digest": weights_digest(loaded.model), "seed": run.seed}
    arguments = trainer_arguments(run, loaded.device, loaded.dtype, has_validation=bool(validation))
    last = claim_checkpoints(run.out / "checkpoints", _recipe(run, arguments, training, validation, stamp))
    with packs_attention(loaded.model) as shares:
        packs = pack_examples(training, max_tokens=run.pack_tokens, seed=run.seed, shares=shares)
        measured_packs = pack_examples(validation, max_tokens=run.pack_tokens, seed=run.seed, shares=shares)
        trainer = JudgeTrainer(
            packs=packs,
            validation=measured_packs,
            weights=run.weights,
            model=_with_adapter(loaded.model, run),
            args=arguments,
            callbacks=[EarlyStoppingCallback(run.patience)] if run.patience and validation else [],
        )
        _train(trainer, last, takes_best=bool(validation))
        measures = trainer.evaluate() if validation else {}
    save_adapter(trainer.model, run.out, {**stamp, "measures": measures})
    return dict(measures)


def _train(trainer: Any, last: Path | None, *, takes_best: bool) -> None:
    """Train to the end, or load what a training gave that had reached it."""
    import peft

    ended = finished_checkpoint(last, trainer.args.max_steps, takes_best=takes_best) if last else None
    if ended is None:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    else:
        peft.set_peft_model_state_dict(trainer.model, peft.load_peft_weights(str(ended), device="cpu"))


def _recipe(
    run: AdapterRun, arguments: Any, training: list[Example], validation: list[Example], stamp: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what makes a training this one; where and by which library versions it runs does not."""
    return {
        **{name: value for name, value in stamp.items() if name != "libraries"},
        "examples": examples_digest(training),
        "validation": examples_digest(validation),
        "weights": [run.weights.expected_score, run.weights.feedback],
        "pack_tokens": run.pack_tokens,
        "patience": run.patience,
        **{f"lora.{name}": value for name, value in run.lora.items()},
        **{name: getattr(arguments, name) for name in sorted({*_DEFAULTS, "max_steps", *run.trainer} - _UNTOLD)},
    }


def save_adapter(model: Any, out: Path, stamp: Mapping[str, Any]) -> None:
    """Write the adapter in bf16 safetensors, and its stamp."""
    from safetensors.torch import load_file, save_file

    model.save_pretrained(str(out))
    path = out / "adapter_model.safetensors"
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    write_stamp(out, stamp)


def check_arguments(run: AdapterRun, device: torch.device, *, has_validation: bool) -> None:
    """Raise ConfigError for a wrong argument of the trainer or of LoRA, before anything is loaded."""
    trainer_arguments(run, device, "float32", has_validation=has_validation)
    if run.lora:
        _lora_config(run)


def trainer_arguments(run: AdapterRun, device: torch.device, dtype: str, *, has_validation: bool) -> Any:
    """Return the trainer's arguments: this module's defaults, then the user's, then what packs need.

    Raises:
        ConfigError: An argument of the user's is unknown, wrong, or the trainer's own.
    """
    from transformers import TrainingArguments

    chosen = {
        **_DEFAULTS,
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
    return _built("trainer", TrainingArguments, run.trainer, chosen)


def _with_adapter(model: Any, run: AdapterRun) -> Any:
    import peft

    if run.start is not None:
        return attach_adapter(model, run.start, trainable=True)
    try:
        return peft.get_peft_model(model, _lora_config(run))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"lora: {_first_line(error)}") from error


def _lora_config(run: AdapterRun) -> Any:
    import peft

    return _built("lora", peft.LoraConfig, run.lora, {**_LORA, **run.lora})


def _built(part: str, made: Any, given: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    """Return a library's arguments, whose errors name the part and, where it is known, the key of the recipe."""
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
        raise ConfigError(f"{part}: {_first_line(error)}; got {dict(given)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
