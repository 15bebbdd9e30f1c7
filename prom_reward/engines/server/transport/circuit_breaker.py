"""Stops sending to a server that is gone, waits for it, and says so once."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from prom_reward.errors import ConfigError, ServerGoneError

logger = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 10.0


class CircuitBreaker:
    """Closed while the server answers; open from the moment of doubt until a probe is answered.

    Args:
        server: The server's name for messages.
        threshold: Failures in a row that open it, once the server has answered.
        deadline_s: How long a server that has answered before may answer no probe.
        first_deadline_s: The same for a server that has never answered.
        probe: Asks the server for a sign of life; raises ConfigError if it will never answer this caller, any
            other exception if it does not answer now.
    """

    def __init__(
        self,
        *,
        server: str,
        threshold: int,
        deadline_s: float,
        probe: Callable[[], Awaitable[None]],
        first_deadline_s: float | None = None,
    ) -> None:
        self._server = server
        self._threshold = threshold
        self._deadline_s = deadline_s
        self._first_deadline_s = deadline_s if first_deadline_s is None else min(first_deadline_s, deadline_s)
        self.has_answered = False
        """Whether the server has ever answered."""
        self._probe = probe
        self._failures = 0
        self._probing: asyncio.Task[bool] | None = None

    def succeeded(self) -> None:
        """Note that the server answered."""
        self.has_answered = True
        self._failures = 0

    def failed(self, reason: str) -> None:
        """Note a failure that may be the server's; opens after too many in a row, or at once if it never answered."""
        self._failures += 1
        if self._failures >= self._threshold or not self.has_answered:
            self._open(reason)

    async def wait(self) -> None:
        """Return at once while it is closed, else when the server answers again.

        Raises:
            ServerGoneError: The server answered no probe for `deadline_s`.
            ConfigError: The server answers, but never this caller.
        """
        if self._probing is not None:
            await asyncio.shield(self._probing)

    async def was_gone(self, reason: str) -> bool:
        """Ask the server for a sign of life, and wait for it; False if it came at once.

        Raises:
            ServerGoneError, ConfigError: As `wait` does.
        """
        return await asyncio.shield(self._open(reason))

    def _open(self, reason: str) -> "asyncio.Task[bool]":
        if self._probing is None:
            self._probing = asyncio.get_running_loop().create_task(self._until_answered(reason))
            self._probing.add_done_callback(self._close)
        return self._probing

    def _close(self, probing: "asyncio.Task[bool]") -> None:
        self._probing = None
        self._failures = 0
        if not probing.cancelled():
            probing.exception()  # whoever waited has got it; one that nobody awaits is no news

    async def _until_answered(self, reason: str) -> bool:
        start, wait_s, is_gone = time.monotonic(), _FIRST_WAIT_S, False
        deadline_s = self._deadline_s if self.has_answered else self._first_deadline_s
        while True:
            try:
                await self._probe()
            except ConfigError:
                raise
            except Exception as error:  # whatever it is, the server gave no answer to a probe
                reason = str(error) or reason
            else:
                self.has_answered = True
                if is_gone:
                    logger.warning("%s answers again after %.0f s", self._server, time.monotonic() - start)
                return is_gone
            left_s = deadline_s - (time.monotonic() - start)
            if left_s <= 0:
                raise ServerGoneError(self._gone(reason, deadline_s))
            if not is_gone:
                logger.warning("%s does not answer (%s); waiting for it up to %.0f s", self._server, reason, deadline_s)
            is_gone = True
            await asyncio.sleep(min(wait_s, left_s))
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)

    def _gone(self, reason: str, deadline_s: float) -> str:
        advice, setting = "start it again", "outage_deadline_s"
        if not self.has_answered:
            advice, setting = "start it, check the url", "first_answer_s"
        text = f"{self._server} gave no answer for {deadline_s:.0f} s ({reason}); {advice}"
        return f"{text}, or raise server.{setting} in the judge's settings"
