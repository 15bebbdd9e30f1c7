"""Trains a LoRA adapter on packs and writes it with a stamp of what it was trained for.

It does not know data files or prompts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from prom_reward.engines.adapter_stamp import weights_digest, write_stamp
from prom_reward.engines.loading import LoadedModel, ModelSource, attach_adapter
from prom_reward.training.examples import Example
from prom_reward.training.losses import LossWeights
from prom_reward.training.packing import pack_examples


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
    """
    from transformers import EarlyStoppingCallback, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    from prom_reward.training.trainer import JudgeTrainer, packs_attention

    torch.manual_seed(run.seed)
    base_digest = weights_digest(loaded.model)
    with packs_attention(loaded.model) as shares:
        packs = pack_examples(training, max_tokens=run.pack_tokens, seed=run.seed, shares=shares)
        measured_packs = pack_examples(validation, max_tokens=run.pack_tokens, seed=run.seed, shares=shares)
        checkpoints = run.out / "checkpoints"
        trainer = JudgeTrainer(
            packs=packs,
            validation=measured_packs,
            weights=run.weights,
            model=_with_adapter(loaded.model, run),
            args=TrainingArguments(**_arguments(loaded, run, checkpoints, has_validation=bool(validation))),
            callbacks=[EarlyStoppingCallback(run.patience)] if run.patience and validation else [],
        )
        last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
        trainer.train(resume_from_checkpoint=last)
        measures = trainer.evaluate() if validation else {}
    save_adapter(trainer.model, run.out, {**stamp, "base_digest": base_digest, "seed": run.seed, "measures": measures})
    return dict(measures)


def save_adapter(model: Any, out: Path, stamp: Mapping[str, Any]) -> None:
    """Write the adapter in bf16 safetensors, and its stamp."""
    from safetensors.torch import load_file, save_file

    model.save_pretrained(str(out))
    path = out / "adapter_model.safetensors"
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    write_stamp(out, stamp)


def _with_adapter(model: Any, run: AdapterRun) -> Any:
    import peft

    if run.start is not None:
        return attach_adapter(model, run.start, trainable=True)
    settings = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **run.lora}
    return peft.get_peft_model(model, peft.LoraConfig(**settings))


def _arguments(loaded: LoadedModel, run: AdapterRun, checkpoints: Path, *, has_validation: bool) -> dict[str, Any]:
    """Return the trainer's arguments: this module's defaults, then the user's, then what packs need."""
    chosen = {
        "learning_rate": 4e-4,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 20,
        "num_train_epochs": 1,
        "gradient_accumulation_steps": 3,
        "logging_steps": 10,
        "save_steps": 100,
        "save_total_limit": 2,
        "report_to": "none",
        "seed": run.seed,
        "bf16": loaded.dtype == "bfloat16",
        "use_cpu": loaded.device.type == "cpu",
        **run.trainer,
    }
    chosen |= {
        "output_dir": str(checkpoints),
        "per_device_train_batch_size": 1,
        "remove_unused_columns": False,
    }
    if has_validation:
        chosen |= {
            "eval_strategy": "steps",
            "eval_steps": chosen["save_steps"],
            "metric_for_best_model": "pearson",
            "greater_is_better": True,
            "load_best_model_at_end": True,
        }
    return chosen
