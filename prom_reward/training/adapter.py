"""Trains a LoRA adapter on packs, and writes it with a stamp of how it was trained."""

import dataclasses
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from prom_reward.engines.model.adapter_stamp import weights_digest, write_stamp
from prom_reward.engines.model.adapters import attach_adapter
from prom_reward.engines.model.loading import LoadedModel
from prom_reward.engines.model.source import ADAPTER_WEIGHTS
from prom_reward.errors import ConfigError
from prom_reward.files import let_others_read, read_text
from prom_reward.training.arguments import AdapterRun, first_line, identifying_arguments, lora_config, trainer_arguments
from prom_reward.training.checkpoints import claim_checkpoints, examples_digest, finished_checkpoint
from prom_reward.training.examples import TrainingExample
from prom_reward.training.packing import pack_examples
from prom_reward.training.plan import PACK_TOKENS, StepPlan

_NAME_LISTS = ("target_modules", "exclude_modules", "modules_to_save")


def train_adapter(
    loaded: LoadedModel,
    plan: StepPlan,
    training: list[TrainingExample],
    validation: list[TrainingExample],
    stamp: Mapping[str, Any],
    *,
    callbacks: Sequence[Any] = (),
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train an adapter, resume from the last checkpoint if there is one, and save the best.

    Args:
        loaded: The base model; the adapter is added to it.
        plan: The settings, and the packs of the examples to train on.
        training: These examples, with repetitions; they tell whether checkpoints are of the same recipe.
        validation: Examples that choose the checkpoint; if empty, the last one is taken.
        stamp: Facts about the judge, written beside the adapter.
        callbacks: transformers' `TrainerCallback`s; without one nothing is printed.

    Returns:
        The last validation measures, and `seconds`, the time of this run's steps: none if all were done before.
        Then what was done in all: `steps`, `epochs` (a share of the packs), `learning_rate`, the adapter's `rank` and
        `pack_tokens`.

    Raises:
        InputError: The folder holds checkpoints of another recipe.
        ConfigError: An argument of the trainer or of LoRA is invalid.
    """
    from transformers import EarlyStoppingCallback, PrinterCallback, ProgressCallback

    from prom_reward.training.trainer import JudgeTrainer, SavesByTime, StopsAfterStep, packs_attention

    run = plan.run
    torch.manual_seed(run.seed)
    stamp = {**stamp, "base_digest": weights_digest(loaded.model)}
    arguments = trainer_arguments(run, loaded.device, loaded.dtype, has_validation=bool(validation))
    last = claim_checkpoints(run.out / "checkpoints", _recipe(run, arguments, training, validation, stamp))
    with packs_attention(loaded.model) as shares:
        measured_packs = pack_examples(
            validation, max_tokens=run.pack_tokens or PACK_TOKENS, seed=run.seed, shares=shares
        )
        trainer = JudgeTrainer(
            packs=plan.packs,
            validation=measured_packs,
            weights=run.weights,
            model=_frozen_below(_with_adapter(loaded.model, run), run.frozen_layers),
            args=arguments,
            callbacks=[
                SavesByTime(),
                *([EarlyStoppingCallback(run.patience)] if run.patience and validation else []),
                *callbacks,
            ],
        )
        trainer.remove_callback(PrinterCallback)  # both write to standard output
        trainer.remove_callback(ProgressCallback)
        with StopsAfterStep() as stops:
            trainer.add_callback(stops)
            steps, took = _train(trainer, last, takes_best=bool(validation))
        measures = trainer.evaluate() if validation else {}
    done = {
        "steps": steps,
        "epochs": steps / plan.epoch_steps,
        "learning_rate": arguments.learning_rate,
        "rank": trainer.model.peft_config[trainer.model.active_adapter].r,
        "pack_tokens": run.pack_tokens,
    }
    save_adapter(trainer.model, run.out, {**stamp, "training": done, "measures": measures})
    return {**measures, **took}, done


def _train(trainer: Any, last: Path | None, *, takes_best: bool) -> tuple[int, dict[str, float]]:
    """Train to the end; return the steps of all runs, and this one's seconds: none if the training had finished."""
    import peft

    ended = finished_checkpoint(last, trainer.args.max_steps, takes_best=takes_best) if last else None
    if last is not None and ended is not None:
        peft.set_peft_model_state_dict(trainer.model, peft.load_peft_weights(str(ended), device="cpu"))
        return int(last.name.rpartition("-")[2]), {}
    start = time.monotonic()
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return int(trainer.state.global_step), {"seconds": time.monotonic() - start}


def _recipe(
    run: AdapterRun,
    arguments: Any,
    training: list[TrainingExample],
    validation: list[TrainingExample],
    stamp: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what identifies a training; its machine and library versions do not."""
    return {
        **{name: value for name, value in stamp.items() if name not in ("libraries", "judge")},
        "examples": examples_digest(training),
        "validation": examples_digest(validation),
        "weights": dataclasses.asdict(run.weights),
        "frozen_layers": run.frozen_layers,
        "pack_tokens": run.pack_tokens,
        "patience": run.patience,
        **identifying_arguments(run, arguments),
    }


def save_adapter(model: Any, out: Path, stamp: Mapping[str, Any]) -> None:
    """Write the adapter in bf16 safetensors, and its stamp; the same adapter gives the same bytes in every process."""
    from safetensors.torch import load_file, save_file

    model.save_pretrained(str(out))
    _sort_names(out / "adapter_config.json")
    path = out / ADAPTER_WEIGHTS
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    let_others_read(path)
    write_stamp(out, stamp)


def _sort_names(path: Path) -> None:
    """Sort the lists of layers' names in an adapter's config: peft keeps them as sets, in an order of each process."""
    config = json.loads(read_text(path))
    names = {key: sorted(config[key]) for key in _NAME_LISTS if isinstance(config.get(key), list)}
    path.write_text(json.dumps({**config, **names}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _frozen_below(model: Any, num_layers: int) -> Any:
    """Freeze the adapter of a model's first layers; ConfigError if nothing is left to train."""
    for name, value in model.named_parameters():
        layer = re.search(r"\.layers\.(\d+)\.", name)
        if layer and int(layer[1]) < num_layers:
            value.requires_grad_(False)
    if not any(value.requires_grad for value in model.parameters()):
        raise ConfigError(f"got frozen_layers={num_layers}, which leaves nothing to train; expected fewer")
    return model


def _with_adapter(model: Any, run: AdapterRun) -> Any:
    import peft

    if run.start is not None:
        return attach_adapter(model, run.start, trainable=True)
    try:
        return peft.get_peft_model(model, lora_config(run))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"lora: {first_line(error)}") from error
