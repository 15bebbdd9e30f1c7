"""The checkpoints of a training: whether they belong to its recipe, and where to resume."""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.files import read_text
from prom_reward.training.examples import TrainingExample

logger = logging.getLogger(__name__)

RECIPE_FILE = "recipe.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def claim_checkpoints(folder: Path, recipe: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint to resume from, or None, and write the recipe into the folder.

    Checkpoints without a readable recipe are taken as this recipe's.

    Args:
        folder: The folder of the checkpoints.
        recipe: What identifies the training: names and JSON values.

    Raises:
        InputError: The checkpoints belong to another recipe.
    """
    from transformers.trainer_utils import get_last_checkpoint

    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    recipe = json.loads(json.dumps(recipe, default=str))  # as it is read back
    differing = differences(_kept(folder) or recipe, recipe)
    if last and differing:
        raise InputError(
            f"{folder.parent}: got checkpoints of another run ({', '.join(differing)}); expected the same recipe: "
            "give another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECIPE_FILE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    return Path(last) if last else None


def examples_digest(examples: Iterable[TrainingExample]) -> str:
    """Return a SHA-256 over the examples' tokens, targets and order."""
    digest = hashlib.sha256()
    for one in examples:
        digest.update(repr((one.ids, one.prompt_length, one.label_ids, one.label_probs, one.source)).encode())
    return digest.hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe the differences of two recipes, or of other names with JSON values."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [_difference(name, before.get(name), now.get(name)) for name in names]


def finished_checkpoint(last: Path, max_steps: int, *, takes_best: bool) -> Path | None:
    """Return the checkpoint that a finished training chooses; None if it is not finished.

    Args:
        last: The last checkpoint.
        max_steps: Steps to train; 0 or less takes the number that the checkpoint names.
        takes_best: Whether the best checkpoint is taken instead of the last.
    """
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(last / "trainer_state.json"))
    control = state.stateful_callbacks.get("TrainerControl", {})
    stopped_early = state.global_step < state.max_steps and control.get("args", {}).get("should_training_stop", False)
    if state.global_step < (max_steps if max_steps > 0 else state.max_steps) and not stopped_early:
        logger.warning("%s: resuming from step %d", last, state.global_step)
        return None
    logger.warning("%s: the training had finished at step %d; writing its adapter", last, state.global_step)
    best = last.parent / Path(state.best_model_checkpoint or last).name
    return best if takes_best and best.is_dir() else last


def _kept(folder: Path) -> dict[str, Any]:
    """Return the recipe of a folder's checkpoints; empty if it cannot be read."""
    try:
        recipe = json.loads(read_text(folder / RECIPE_FILE))
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _difference(name: str, before: Any, now: Any) -> str:
    if all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in (before, now)):
        return "examples: other rows or rubrics there" if name == "examples" else f"{name}: another there"
    return f"{name}: {_shown(before)} there, {_shown(now)} here"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
