"""Counts what a run should see of its judge's server.

It does not know requests.
"""

import threading
from collections import deque
from collections.abc import Sequence
from math import ceil

_KEPT_LATENCIES = 20_000


class ServerStats:
    """Counts since they were last taken; for one thread that counts and others that take."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retries = 0
        self._failed = 0
        self._latencies_s: deque[float] = deque(maxlen=_KEPT_LATENCIES)

    def retried(self) -> None:
        """Count a request that was sent again."""
        with self._lock:
            self._retries += 1

    def failed(self) -> None:
        """Count a prompt that got no answer."""
        with self._lock:
            self._failed += 1

    def answered(self, latency_s: float) -> None:
        """Count an answered request: seconds from sending it to the end of its answer."""
        with self._lock:
            self._latencies_s.append(latency_s)

    def take(self) -> dict[str, float]:
        """Return the counts and begin anew; latencies (seconds) are there where a request was answered."""
        with self._lock:
            taken = {"retries": float(self._retries), "failed": float(self._failed)}
            latencies = sorted(self._latencies_s)
            self._retries = self._failed = 0
            self._latencies_s.clear()
        if latencies:
            taken |= {f"latency_p{percent}": _percentile(latencies, percent) for percent in (50, 95)}
        return taken


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
