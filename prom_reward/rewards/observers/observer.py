"""The observers of a reward look at its judged batches. They change no reward and never end a training."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Protocol, runtime_checkable

from prom_reward.errors import number_of
from prom_reward.rewards.batch import JudgedBatch

logger = logging.getLogger(__name__)

LogMetric = Callable[[str, float], None]
"""A trainer's logger of one metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The result of one look."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """Values of the observer's metrics."""
    columns: Mapping[str, Sequence[object]] = field(default_factory=dict)
    """Values for the judgment log, one per judgment; None values are not written."""


@runtime_checkable
class Observer(Protocol):
    """Looks at judged batches. Subclass it and write `observe`."""

    name: str = "observer"
    """Prefix of its metrics."""
    metrics: tuple[str, ...] = ()
    """Names of all its metrics: every due batch logs each of them, NaN if there is no value."""
    only_logs: bool = False
    """Whether its findings are metrics alone, so that it can rest if the trainer passes no `log_metric`."""

    def is_due(self, number: int) -> bool:
        """Return whether to look at the batch of this number, from 1.

        The answer must be the same on every rank: TRL before 1.14 hangs if the ranks log different metrics.
        """
        return True

    def observe(self, batch: JudgedBatch) -> Findings:
        """Look at a batch."""
        ...


@dataclass(slots=True)
class Watch:
    """Runs one observer, and skips more and more batches while it fails.

    A look with a judge on a dead server takes minutes to fail, so the n-th failure in a row skips the next 2^n - 1
    looks.
    """

    observer: Observer
    """Looks at the batches."""
    _num_failures: int = field(default=0, init=False)
    _num_to_skip: int = field(default=0, init=False)
    _has_warned: bool = field(default=False, init=False)

    def look(self, batch: JudgedBatch, log_metric: LogMetric | None) -> Mapping[str, Sequence[object]]:
        """Look at a batch if it is due, and log the observer's metrics with `failed` (0 or 1) and `seconds`.

        Returns:
            The findings' columns for the judgment log.
        """
        if log_metric is None and self.observer.only_logs:
            self._warn("%s: this trainer does not pass `log_metric`; disabled", self.observer.name)
            return {}
        start = time.perf_counter()
        findings, has_failed = self._findings(batch)
        if findings is None:
            return {}
        if log_metric is not None:
            values = {**dict.fromkeys(self.observer.metrics, nan), **findings.metrics}
            values |= {"failed": float(has_failed), "seconds": time.perf_counter() - start}
            for name, value in values.items():
                log_metric(f"{self.observer.name}/{name}", value)
        return findings.columns

    def _findings(self, batch: JudgedBatch) -> tuple[Findings | None, bool]:
        """Return the findings, None if no look is due, and whether the look failed."""
        try:
            if not self.observer.is_due(batch.number):
                return None, False
            if self._num_to_skip:
                self._num_to_skip -= 1
                return Findings(), False
            findings = self.observer.observe(batch)
            _check(findings, sum(map(len, batch.judgments)))
        except Exception as error:
            self._num_failures += 1
            self._num_to_skip = 2**self._num_failures - 1
            reason = f"{type(error).__name__}: {error}"
            self._warn("%s failed (%s); rewards stay as they are, later batches try again", self.observer.name, reason)
            return Findings(), True
        self._num_failures = 0
        return findings, False

    def _warn(self, message: str, *values: str) -> None:
        """Log a warning the first time, later ones for debugging."""
        logger.log(logging.DEBUG if self._has_warned else logging.WARNING, message, *values)
        self._has_warned = True


def _check(findings: object, num_judgments: int) -> None:
    """Raise TypeError or ValueError for findings that can be neither logged nor written."""
    if not isinstance(findings, Findings):
        raise TypeError(f"got {type(findings).__name__} from observe(); expected Findings")
    for name, value in findings.metrics.items():
        float(value)
        if not isinstance(name, str):
            raise TypeError(f"got the metric {name!r}; expected a name")
    for name, values in findings.columns.items():
        if len(values) != num_judgments:
            raise ValueError(
                f"got {len(values)} values of {name!r}; expected one for each of {number_of(num_judgments, 'judgment')}"
            )
        json.dumps(list(values))  # the judgment log is JSON
