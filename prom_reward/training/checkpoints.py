"""The checkpoints of a training: whose they are, whether it goes on from one, and where it had ended.

It does not know models or data files: a training is known by its recipe, a mapping of names to JSON values.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.files import read_text
from prom_reward.training.examples import Example

logger = logging.getLogger(__name__)

RECIPE_FILE = "recipe.json"


def claim_checkpoints(folder: Path, recipe: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint that a training goes on from, or None; the folder is this recipe's afterwards.

    Checkpoints without a recipe that can be read, as earlier versions wrote them, are taken for this one's.

    Raises:
        InputError: The checkpoints are another recipe's.
    """
    from transformers.trainer_utils import get_last_checkpoint

    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    recipe = json.loads(json.dumps(recipe, default=str))  # as it will be read
    differing = _differing(_kept(folder) or recipe, recipe)
    if last and differing:
        raise InputError(
            f"{folder.parent} holds checkpoints of another run ({', '.join(differing)}); expected the same recipe, or "
            "give another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECIPE_FILE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    return Path(last) if last else None


def examples_digest(examples: Iterable[Example]) -> str:
    """Return a SHA-256 over tokens, targets and order of examples."""
    digest = hashlib.sha256()
    for one in examples:
        digest.update(repr((one.ids, one.prompt_length, one.label_ids, one.label_probs, one.source)).encode())
    return digest.hexdigest()


def finished_checkpoint(last: Path, max_steps: int, *, takes_best: bool) -> Path | None:
    """Return the checkpoint that a finished training gives, None where it is not finished.

    Args:
        last: The last checkpoint.
        max_steps: The steps that are wanted; 0 or less takes those that the checkpoint was on its way to.
        takes_best: Whether the best checkpoint is taken instead of the last.
    """
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(last / "trainer_state.json"))
    control = state.stateful_callbacks.get("TrainerControl", {})
    stopped_early = state.global_step < state.max_steps and control.get("args", {}).get("should_training_stop", False)
    if state.global_step < (max_steps if max_steps > 0 else state.max_steps) and not stopped_early:
        logger.warning("%s: goes on from step %d", last, state.global_step)
        return None
    logger.warning("%s: the training had ended at step %d; its adapter is written", last, state.global_step)
    best = last.parent / Path(state.best_model_checkpoint or last).name
    return best if takes_best and best.is_dir() else last


def _kept(folder: Path) -> dict[str, Any]:
    """Return the recipe of a folder's checkpoints; empty where there is none that can be read."""
    try:
        recipe = json.loads(read_text(folder / RECIPE_FILE))
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two recipes, in words."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [f"{name}: {_shown(before.get(name))} there, {_shown(now.get(name))} here" for name in names]


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
