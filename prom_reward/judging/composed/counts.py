"""The counts of a judge of several judges: its threads and seeded copies share them, as they share the judges."""

import threading


class Counts:
    """Sums by name since they were last taken. They pickle as empty.

    Args:
        names: All names, so that every call of `take` returns the same ones.
    """

    def __init__(self, *names: str) -> None:
        self._lock = threading.Lock()
        self._sums = dict.fromkeys(names, 0.0)

    def __reduce__(self) -> tuple[type["Counts"], tuple[str, ...]]:
        return type(self), tuple(self._sums)

    def add(self, **amounts: float) -> None:
        """Add to some sums."""
        with self._lock:
            for name, amount in amounts.items():
                self._sums[name] += amount

    def take(self) -> dict[str, float]:
        """Return all sums and begin anew."""
        with self._lock:
            taken, self._sums = self._sums, dict.fromkeys(self._sums, 0.0)
        return taken


class Rest:
    """Leaves a judge out of some calls after it failed, of ever more after each failure in a row.

    Calls that ran at the same time and failed together count as one failure. It pickles as rested.

    Args:
        longest: The most calls to leave out in a row.
    """

    def __init__(self, longest: int) -> None:
        self._lock = threading.Lock()
        self._longest = longest
        self._num_failures = self._num_left = 0

    def __reduce__(self) -> tuple[type["Rest"], tuple[int]]:
        return type(self), (self._longest,)

    def begin(self) -> int | None:
        """Return how often the judge failed in a row before this call; None if the call does without it."""
        with self._lock:
            if self._num_left:
                self._num_left -= 1
                return None
            return self._num_failures

    def failed(self, begun: int) -> None:
        """Take note that a call failed, by what `begin` returned for it."""
        with self._lock:
            if self._num_failures == begun:
                self._num_failures += 1
                self._num_left = min(2**self._num_failures - 1, self._longest)

    def worked(self) -> None:
        """Take note that a call got its answers."""
        with self._lock:
            self._num_failures = 0
