"""A private event loop on a thread of its own, so that synchronous code can wait for asynchronous work.

It also works inside a running event loop, such as a notebook's, which stays untouched.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from prom_reward.errors import WorkError

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines on a daemon thread until it is closed.

    Args:
        name: The thread's name.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller is on this loop's own thread."""
        return threading.current_thread() is self._thread

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine and return its result; it is canceled if the caller is interrupted.

        Raises:
            RuntimeError: The caller is on this loop's own thread.
            WorkError: The loop is closed.
        """
        if self.is_current_thread:
            work.close()
            raise RuntimeError("the loop's own thread cannot wait for it; this is a bug")
        future = self._begun(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await a coroutine of this loop in the caller's loop; it is canceled if the caller is.

        Raises:
            WorkError: The loop is closed.
        """
        return await asyncio.wrap_future(self._begun(work))

    def close(self) -> None:
        """Cancel what still runs, stop the loop and end the thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _begun(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine; a loop that is ending would take it and never run it."""
        with self._lock:
            if not self._is_closed:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise WorkError("the connections were closed; call the judge again to open new ones")


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
