"""Shows a reward's judged batches to its trainer, its observers and its judgment log."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prom_reward.errors import ConfigError
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rewards.batch import JudgedBatch, RowReader
from prom_reward.rewards.judgment_log import JudgmentLog, batch_records
from prom_reward.rewards.metrics import batch_metrics, shown_feedback, shown_scores
from prom_reward.rewards.observers.observer import LogMetric, Observer, Watch
from prom_reward.rewards.unread_fields import UnreadFields
from prom_reward.rubrics.reading import AnyRubric

logger = logging.getLogger(__name__)

LogExtra = Callable[[str, list[Any]], None]
"""A trainer's logger of one column of its completions table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingTrainer:
    """The trainer behind a call, found by its loggers. TRL's loggers are methods of the trainer."""

    prefix: str = ""
    """Before all names of metrics and columns: "NAME/" if the trainer has several reward functions, else empty."""
    mode: Literal["train", "eval"] | None = None
    """Training or evaluation; None if the trainer passes no loggers."""
    num_generations: int | None = None
    """The size of a group; None if the trainer does not tell."""
    log_metric: LogMetric | None = None
    """Logs a metric under the prefix."""
    log_extra: LogExtra | None = None
    """Logs a column under the prefix."""

    @classmethod
    def of(cls, name: str, log_metric: LogMetric | None, log_extra: LogExtra | None) -> "CallingTrainer":
        """Return the facts of the trainer that passed the loggers to the reward of this name.

        Raises:
            ConfigError: Another reward function of the trainer has the same name.
        """
        trainer = getattr(log_metric or log_extra, "__self__", None)
        functions = getattr(trainer, "reward_funcs", None)
        functions = functions if isinstance(functions, list | tuple) else []
        names = [getattr(function, "__name__", "") for function in functions]
        if names.count(name) > 1:
            raise ConfigError(f"got two reward functions named {name!r}; give each a name of its own: name='...'")
        is_training = getattr(getattr(trainer, "model", None), "training", None)
        mode: Literal["train", "eval"] | None = None if is_training is None else "train" if is_training else "eval"
        size = getattr(trainer, "num_generations_eval" if mode == "eval" else "num_generations", None)
        prefix = "" if names in ([], [name]) else f"{name}/"
        return cls(
            prefix=prefix,
            mode=mode,
            num_generations=size if isinstance(size, int) else None,
            log_metric=None if log_metric is None else lambda key, value: log_metric(f"{prefix}{key}", value),
            log_extra=None if log_extra is None else lambda key, values: log_extra(f"{prefix}{key}", values),
        )


class Reporter:
    """Shows the batches of one reward.

    Args:
        rows: Reads the reward's rows.
        observers: Look at the batches.
        log_path: The judgment log; None for no log.

    Raises:
        ConfigError: An observer is none.
        InputError: The log cannot be written.
    """

    def __init__(self, rows: RowReader, observers: Iterable[Observer], log_path: str | Path | None) -> None:
        self._rows = rows
        self._watches = _watches(observers)
        self.log = JudgmentLog(log_path) if log_path is not None else None
        self._unread = UnreadFields()
        self.num_batches = 0
        """Batches so far."""

    def start(self, prompts: Sequence[PromptValue], columns: Mapping[str, Any]) -> int:
        """Return the number of a batch, from 1, and warn once of each column that the judge does not see."""
        self.num_batches += 1
        if unread := self._unread.new(self._rows, prompts, columns):
            logger.warning(
                "the judge does not see the columns %s; name one with reference_column= or rubric_column= if it should",
                ", ".join(unread),
            )
        return self.num_batches

    def show(
        self,
        batch: JudgedBatch,
        trainer: CallingTrainer,
        trainer_state: Any,
        *,
        metrics: Mapping[str, float] | None = None,
        columns: Mapping[str, Sequence[object]] | None = None,
    ) -> None:
        """Log a batch's metrics and judgments, and show it to the observers.

        Args:
            batch: The batch.
            trainer: The trainer that asked for it.
            trainer_state: The trainer's state; its step goes into the judgment log.
            metrics: More metrics.
            columns: More fields of the judgment log, with one value for each judgment.
        """
        if trainer.log_metric is not None:
            for name, value in {**batch_metrics(batch, self._rows.rubrics), **(metrics or {})}.items():
                trainer.log_metric(name, value)
        looks = [watch.look(batch, trainer.log_metric) for watch in self._watches]
        found = {name: values for look in (columns or {}, *looks) for name, values in look.items()}
        if self.log is not None:
            step = getattr(trainer_state, "global_step", None)
            self.log.append(batch_records(batch, step=step, mode=trainer.mode, columns=found))
        if trainer.log_extra is not None:
            trainer.log_extra("judge_score", [shown_scores(row) for row in batch.judgments])
            shown = [shown_feedback(requests, judgments) for requests, judgments, _ in batch.rows()]
            trainer.log_extra("judge_feedback", shown)


def given_name(name: str | None) -> str | None:
    """Return the name that a user gave to a reward; None for none.

    Raises:
        ConfigError: It is no text, or empty.
    """
    if name is not None and not (isinstance(name, str) and name):
        raise ConfigError(f"got name={name!r:.40}; expected a text that is not empty, or None")
    return name


def derived_name(kind: str, rubrics: Sequence[AnyRubric], settings: Sequence[object]) -> str:
    """Return a name of the rubrics with a digest of the settings.

    Trainers merge the metrics of equal names. The name is the same on every machine and in every process.

    Args:
        kind: The name's beginning.
        rubrics: The default rubrics.
        settings: Everything that can change a reward.
    """
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(settings))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    named = "_".join(rubric.name for rubric in rubrics) or "rubric_column"
    return f"{kind}_{named}_{digest}"


def _watches(observers: Iterable[Observer]) -> list[Watch]:
    listed = list(observers) if isinstance(observers, Iterable) else [observers]
    for observer in listed:
        if not isinstance(observer, Observer):
            raise ConfigError(
                f"got {observer!r:.60} as an observer; expected for example Canaries() or AuditJudge(...)"
            )
    return [Watch(observer) for observer in listed]
