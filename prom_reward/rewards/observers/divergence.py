"""Stops a training whose reward rises while an audit judge sees no gain."""

import logging
from dataclasses import astuple, dataclass
from typing import Any

import torch
from transformers import TrainerCallback

from prom_reward.errors import ConfigError, check_flags
from prom_reward.rewards.observers.audit_judge import AuditJudge

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DivergencePoint:
    """Both judges' mean scores at a step."""

    step: int
    """The trainer's step."""
    score: float
    """The first judge's mean score, from 0 to 1."""
    audit_score: float
    """The second judge's."""


class DivergenceCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Watches the gap between a reward's judge and its audit judge.

    The gap at a step is the first judge's mean minus the second's. It is compared with the mean gap of the first
    steps, since two judges may well differ by a constant. The means are taken over all processes, so that all stop at
    the same step.

    Checkpoints hold the callback's state: a resumed run is compared with the start of the first one. Evaluations are
    left out.

    Args:
        audit: The audit judge among the reward's observers.
        max_growth: How far the gap may grow, on a scale from 0 to 1.
        patience: Number of steps in a row with a larger growth before the callback acts.
        warmup: Number of steps that define the gap at the start.
        stops: Stop the training; otherwise the divergence is only logged.
        name: Name of the callback's entry in checkpoints; give each of several its own.

    Raises:
        ConfigError: A number is out of its range.
    """

    def __init__(
        self,
        audit: AuditJudge,
        *,
        max_growth: float = 0.15,
        patience: int = 3,
        warmup: int = 3,
        stops: bool = True,
        name: str = "divergence",
    ) -> None:
        check_flags(stops=stops)
        if max_growth <= 0 or patience < 1 or warmup < 1:
            raise ConfigError(
                f"got max_growth={max_growth}, patience={patience}, warmup={warmup}; expected a growth over 0 and at "
                "least 1 of the others"
            )
        self._audit = audit
        self._max_growth = max_growth
        self._patience = patience
        self._warmup = warmup
        self._stops = stops
        self._name = f"prom_reward/{name}"
        self._num_over = 0
        self.history: list[DivergencePoint] = []
        """Both judges' means, for every step with a sample."""
        self.diverged_at: int | None = None
        """The step at which the gap had been too wide for `patience` steps; None before that."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Restore the state from a resumed run's checkpoint."""
        # Not by transformers' ExportableState: it would make a new callback from arguments in JSON.
        if (kept := state.stateful_callbacks.get(self._name)) is not None:
            self.history = [DivergencePoint(**point) for point in kept["history"]]
            self._num_over, self.diverged_at = kept["num_over"], kept["diverged_at"]

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave out an evaluation's responses."""
        self._audit.take()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Compare the step's gap with the gap at the start."""
        self._compare(state, control)
        state.stateful_callbacks[self._name] = {
            "history": self.history,  # the state writes it as plain dictionaries
            "num_over": self._num_over,
            "diverged_at": self.diverged_at,
        }

    def _compare(self, state: Any, control: Any) -> None:
        count, own, other = self._totals()
        if not count:
            return
        self.history.append(DivergencePoint(int(state.global_step), own / count, other / count))
        gaps = [point.score - point.audit_score for point in self.history]
        if len(gaps) <= self._warmup:
            return
        growth = gaps[-1] - sum(gaps[: self._warmup]) / self._warmup
        self._num_over = self._num_over + 1 if growth > self._max_growth else 0
        if self._num_over >= self._patience and self.diverged_at is None:
            self.diverged_at = int(state.global_step)
            logger.warning(
                "step %d: the judge's score has grown %.2f further than the audit judge's (from 0 to 1) for %d steps%s",
                state.global_step,
                growth,
                self._num_over,
                "; the training stops" if self._stops else "",
            )
        if self.diverged_at is not None and self._stops:
            control.should_training_stop = True

    def _totals(self) -> tuple[float, float, float]:
        """Return the number of responses and the sums of both judges' scores, over all processes."""
        totals = [float(value) for value in astuple(self._audit.take())]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
            summed = torch.tensor(totals, dtype=torch.float64, device=device)
            torch.distributed.all_reduce(summed)
            totals = summed.tolist()
        return totals[0], totals[1], totals[2]
