"""What looks at a training's batches from the side, and must never end the training.

It does not know what is looked for.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from prom_reward.rewards.metrics import LogMetric

logger = logging.getLogger(__name__)
_Found = TypeVar("_Found")


@dataclass(slots=True, kw_only=True)
class Watch:
    """Calls a look at every batch; where looks fail, it sits out ever more batches.

    A look at a judge on a dead server costs minutes before it fails, so after the n-th failure in a row the next
    2^n - 1 batches go by unseen.
    """

    name: str
    """For the warning."""
    metric: str
    """Logged as 1 for a batch whose look failed."""
    _num_failures: int = field(default=0, init=False)
    _num_left_out: int = field(default=0, init=False)
    _has_warned: bool = field(default=False, init=False)

    def run(self, look: Callable[[], _Found], log_metric: LogMetric | None) -> _Found | None:
        """Look at a batch and return what was found, None where it failed or is left out.

        The first failure is a warning, later ones are in the debug log.
        """
        if self._num_left_out:
            self._num_left_out -= 1
            return None
        try:
            found = look()
        except Exception as error:
            self._num_failures += 1
            self._num_left_out = 2**self._num_failures - 1
            if log_metric is not None:
                log_metric(self.metric, 1.0)
            level = logging.DEBUG if self._has_warned else logging.WARNING
            self._has_warned = True
            reason = f"{type(error).__name__}: {error}"
            logger.log(
                level, "%s failed (%s); rewards stay as they are, and it is tried again later", self.name, reason
            )
            return None
        self._num_failures = 0
        return found
