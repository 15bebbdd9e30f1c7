"""Connections on a private event loop that each process opens for itself, at their first use."""

import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from prom_reward.engines.server.loop_thread import LoopThread


class Closable(Protocol):
    """Something with connections."""

    async def close(self) -> None:
        """Close them."""
        ...


OpenT = TypeVar("OpenT", bound=Closable)


@dataclass(frozen=True, slots=True)
class Running(Generic[OpenT]):
    """One process's event loop and the session that runs in it."""

    pid: int
    """The process."""
    loop: LoopThread
    """Runs it."""
    opened: OpenT
    """The connections."""

    def close(self) -> None:
        """Close connections and thread; in a forked process they are not its own."""
        if self.pid != os.getpid():
            return
        if self.loop.is_current_thread:  # the last reference was dropped there; it cannot wait for itself
            threading.Thread(target=self.close, name="prom-reward-closing").start()
            return
        self.loop.run(self.opened.close())
        self.loop.close()


class PerProcess(Generic[OpenT]):
    """Holds what this process has open. It pickles and forks as closed, and closes when it is collected."""

    _running: Running[OpenT] | None
    _finalizer: "weakref.finalize[[], PerProcess[OpenT]] | None"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = None
        self._finalizer = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    @property
    def current(self) -> Running[OpenT] | None:
        """This process's state; None before the first use and after a fork."""
        return self._running if self._running is not None and self._running.pid == os.getpid() else None

    def get(self, opening: Callable[[], Coroutine[Any, Any, OpenT]]) -> Running[OpenT]:
        """Return what runs in this process; open it if nothing does."""
        with self._lock:
            running = self.current
            if running is None:
                running = self._running = _opened(opening)
                self._finalizer = weakref.finalize(self, running.close)
            return running

    def close(self) -> None:
        """End the thread and the connections; the next use opens them anew."""
        with self._lock:
            closing, self._running, self._finalizer = self._finalizer, None, None
        if closing is not None:  # without the lock, for which work on the loop may wait
            closing()


def _opened(opening: Callable[[], Coroutine[Any, Any, OpenT]]) -> Running[OpenT]:
    loop = LoopThread("prom-reward-server")
    try:
        return Running(os.getpid(), loop, loop.run(opening()))
    except BaseException:
        loop.close()
        raise
