"""Limits of the requests to a server: their rate, and how many prompts are under way at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Pace:
    """Lets requests go one after another, each as long after the last as the rates ask for.

    Args:
        requests_per_minute: None for no limit.
        tokens_per_minute: None for no limit.
        clock: Seconds that only grow.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._request_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token_s = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        self._free_at = 0.0
        self._turn = asyncio.Lock()

    async def take(self, num_tokens: int) -> None:
        """Wait until a request with so many tokens of prompt and answer may go; a canceled wait takes no slot."""
        if not self._request_s and not self._token_s:
            return
        async with self._turn:
            left_s = self._free_at - self._clock()
            if left_s > 0:
                await self._sleep(left_s)
            self._free_at = max(self._clock(), self._free_at) + max(self._request_s, num_tokens * self._token_s)


class Slots:
    """A semaphore of which several places are taken at once.

    Args:
        count: The places.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def take(self, count: int) -> AsyncIterator[None]:
        """Hold so many places, at most all; one caller collects at a time, as two halves could block each other."""
        taken, count = 0, min(count, self._count)
        try:
            async with self._turn:
                while taken < count:
                    await self._free.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self._free.release()
