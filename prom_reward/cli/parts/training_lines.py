"""Lines on standard error that say how a training goes."""

import time
from collections.abc import Mapping
from typing import Any

from prom_reward.cli.parts.console import stderr


def training_lines() -> Any:
    """Return a callback for transformers' trainer that writes a line after the first step and for all it logs."""
    from transformers import TrainerCallback

    class _Lines(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        is_training = False  # a training that had finished is only measured

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.first, self.start, self.is_training = state.global_step, time.monotonic(), True
            begun = f"going on after step {self.first}" if self.first else "training"
            _say(f"{begun}: {state.max_steps} steps in all; the first one shows the speed ...")

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.is_training = False

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == self.first + 1:
                _say(f"step {state.global_step} of {state.max_steps}{self._left(state)}")

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any
        ) -> None:
            step = f"step {state.global_step} of {state.max_steps}"
            if logs and "loss" in logs:
                _say(f"{step}: loss {float(logs['loss']):.3f}{self._left(state)}")
            elif logs and "eval_loss" in logs and self.is_training:
                _say(f"{step}: held out: {_held_out(logs)}")

        def _left(self, state: Any) -> str:
            seconds = (time.monotonic() - self.start) / (state.global_step - self.first)
            left = seconds * (state.max_steps - state.global_step)
            return f", {seconds:.1f} s a step, {left / 60:.0f} min left"

    return _Lines()


def _held_out(logs: Mapping[str, float]) -> str:
    """Return the measures of a validation as text; a correlation of equal scores is not there."""
    names = {"eval_loss": "loss", "eval_pearson": "Pearson"}
    return ", ".join(f"{name} {float(logs[key]):.3f}" for key, name in names.items() if key in logs)


def _say(text: str) -> None:
    stderr.print(text, highlight=False, soft_wrap=True)
