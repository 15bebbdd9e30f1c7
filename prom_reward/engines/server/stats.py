"""Counts retries, failures and latencies of the judge's server."""

import threading
from collections import deque
from collections.abc import Sequence
from math import ceil, nan

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
        """Return the counts and reset them; latencies (seconds) are NaN if no request was answered.

        The names are always the same: TRL before 1.14 hangs if one rank logs a metric that another does not.
        """
        with self._lock:
            taken = {"retries": float(self._retries), "failed": float(self._failed)}
            latencies = sorted(self._latencies_s)
            self._retries = self._failed = 0
            self._latencies_s.clear()
        return taken | {f"latency_p{percent}": _percentile(latencies, percent) for percent in (50, 95)}


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile, NaN of nothing."""
    return nan if not ordered else ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
