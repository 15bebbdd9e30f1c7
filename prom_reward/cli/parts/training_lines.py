"""Lines on standard error that say how a training goes."""

import time
from collections.abc import Mapping
from typing import Any

from prom_reward.cli.parts.console import stderr
from prom_reward.errors import number_of

QUIET_S = 30.0
"""Seconds without a line after which `waiting` has one to say."""


def training_lines() -> Any:
    """Return a callback for transformers' trainer that writes a line after the first step and for all it logs.

    Its `waiting()` returns what to say of a step that takes long, for a `Reminder`.
    """
    from transformers import TrainerCallback

    class _Callback(_Lines, TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        pass

    return _Callback()


class _Lines:
    def __init__(self) -> None:
        self.first, self.start = 0, time.monotonic()
        self.is_training = False  # a training that had finished is only measured
        self.doing, self.said = "preparing", time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.first, self.start, self.is_training = state.global_step, time.monotonic(), True
        begun = f"going on after step {self.first}" if self.first else "training"
        self.say(f"{begun}: {number_of(state.max_steps, 'step')} in all; the first one shows the speed ...")

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.doing = f"step {state.global_step + 1} of {state.max_steps} is running"

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.first + 1:
            self.say(f"step {state.global_step} of {state.max_steps}{self.left(state)}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.is_training, self.doing = False, "measuring and writing the judge"
        self.say(f"the steps are done; {self.doing} ...")

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any) -> None:
        step = f"step {state.global_step} of {state.max_steps}"
        if logs and "loss" in logs:
            self.say(f"{step}: loss {float(logs['loss']):.3f}{self.left(state)}")
        elif logs and "eval_loss" in logs and self.is_training:
            self.say(f"{step}: held out: {_held_out(logs)}")

    def waiting(self) -> list[str]:
        seconds = time.monotonic() - self.said
        return [f"{self.doing}, {seconds:.0f} s since the last figures"] if seconds >= QUIET_S else []

    def say(self, text: str) -> None:
        self.said = time.monotonic()
        stderr.print(text, highlight=False, soft_wrap=True)

    def left(self, state: Any) -> str:
        seconds = (time.monotonic() - self.start) / (state.global_step - self.first)
        left = seconds * (state.max_steps - state.global_step)
        return f", {seconds:.1f} s a step, {left / 60:.0f} min left"


def _held_out(logs: Mapping[str, float]) -> str:
    """Return the measures of a validation as text; a correlation of equal scores is not there."""
    names = {"eval_loss": "loss", "eval_pearson": "Pearson"}
    return ", ".join(f"{name} {float(logs[key]):.3f}" for key, name in names.items() if key in logs)
