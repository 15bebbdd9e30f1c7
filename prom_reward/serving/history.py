"""The last minutes of a served judge, for its live page."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from prom_reward.types import GradingRequest, JudgeAnswer, Judgment

WINDOW_S = 120
_NUM_LATEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PastBatch:
    """One batch that the judge had."""

    at: float
    """When it was judged, by the monotonic clock."""
    size: int
    """Its items."""
    num_unscored: int
    """Those without a verdict."""
    seconds: float
    """Time in the judge."""


@dataclass(slots=True)
class History:
    """The latest requests to a server. One thread adds, another reads."""

    started: float = field(default_factory=time.monotonic)
    """When the server started, by the monotonic clock."""
    batches: deque[PastBatch] = field(default_factory=lambda: deque(maxlen=4096))
    """The last batches, in order."""
    latest: deque[tuple[GradingRequest, Judgment]] = field(default_factory=lambda: deque(maxlen=_NUM_LATEST))
    """The last graded responses, in order."""

    def add(
        self, answers: Sequence[JudgeAnswer], graded: Sequence[tuple[GradingRequest, Judgment]], seconds: float
    ) -> None:
        """Keep a batch."""
        num_unscored = sum(not one.is_scored for one in answers)
        size = len(answers)
        self.batches.append(PastBatch(at=time.monotonic(), size=size, num_unscored=num_unscored, seconds=seconds))
        self.latest.extend(graded)

    def recent(self) -> list[PastBatch]:
        """Return the batches of the last two minutes."""
        since = time.monotonic() - WINDOW_S
        return [one for one in list(self.batches) if one.at >= since]
