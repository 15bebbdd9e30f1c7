"""Spaces requests so that they keep to a rate.

It does not know what is sent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable


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

    async def take(self, num_tokens: int) -> None:
        """Wait until a request with so many tokens of prompt and answer may go."""
        now = self._clock()
        at = max(now, self._free_at)
        self._free_at = at + max(self._request_s, num_tokens * self._token_s)
        if at > now:
            await self._sleep(at - now)
