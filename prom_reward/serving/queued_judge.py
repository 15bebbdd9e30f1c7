"""The judge behind the queue, for synchronous code that asks it from a thread of its own."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import cast

from prom_reward.judging.base import Judge
from prom_reward.serving.batcher import Batcher, QueueFullError
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, JudgeAnswer, JudgeRequest, Judgment


class QueuedJudge(Judge):
    """Asks a judge through its queue, so that its requests join the batches of others.

    Belongs to one caller on the batcher's event loop, which makes it and closes it.

    Args:
        judge: The judge.
        batcher: Its queue.
    """

    reads_checklists = True  # the batcher asks the judge for them in the way that it takes

    def __init__(self, judge: Judge, batcher: Batcher) -> None:
        self._judge = judge
        self._batcher = batcher
        self._loop = asyncio.get_running_loop()
        self._asking: Future[list[JudgeAnswer]] | None = None
        self._is_closed = False
        self.name, self.guard = judge.name, judge.guard

    @property
    def fingerprint(self) -> str:
        """The judge's."""
        return self._judge.fingerprint

    @property
    def ranks(self) -> bool:
        """Whether the judge does."""
        return self._judge.ranks

    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Grade responses, from another thread than the loop's."""
        return cast(list[Judgment], self._ask(requests))

    def compare(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        """Compare responses, from another thread than the loop's."""
        return cast(list[Comparison], self._ask(requests))

    def close(self) -> None:
        """Ask nothing more; what waits leaves the queue."""
        self._is_closed = True
        if self._asking is not None:
            self._asking.cancel()

    def _ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeAnswer]:
        self._asking = asyncio.run_coroutine_threadsafe(self._batcher.judge(requests), self._loop)
        if self._is_closed:
            self._asking.cancel()
        try:
            return self._asking.result()
        except CancelledError:
            raise QueueFullError("the caller is gone") from None
