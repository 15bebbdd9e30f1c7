"""Micro-batching: requests that wait for the judge are collected, and judged together when it is free."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil, inf

from prom_reward.errors import ConfigError, PromRewardError, RowError, ServerGoneError, WorkError, number_of
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import grade_requests
from prom_reward.judging.composed.escalation import whole_groups
from prom_reward.serving.gathering import LONGEST_WAIT_S
from prom_reward.types import (
    Comparison,
    ComparisonRequest,
    GradingRequest,
    JudgeAnswer,
    JudgeRequest,
    Judgment,
    Outcome,
)

logger = logging.getLogger(__name__)

OnBatch = Callable[[Sequence[JudgeRequest], Sequence[JudgeAnswer], float], None]
"""Is told of each judged batch, in the judge's thread: requests, answers, seconds."""


class QueueFullError(PromRewardError):
    """The queue has no room for a request now; the same request may be sent again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """When a batch goes to the judge, and how much may wait for it."""

    max_wait_s: float = 0.02
    """The time for which the first request of a batch waits for others if the judge is free."""
    max_batch: int = 256
    """Requests that go to the judge together."""
    max_queued: int = 4096
    """Requests that may wait."""
    max_parallel: int = 1
    """Batches that the judge has at once; more than one is for judges on servers, which batch themselves."""

    max_group_wait_s: float = LONGEST_WAIT_S
    """The time for which a group to be compared waits for its members; then those that came are compared."""

    def __post_init__(self) -> None:
        if not 0 < self.max_group_wait_s < inf:
            raise ConfigError(f"got a longest wait of {self.max_group_wait_s:g} s for a group; expected over 0")
        if not 0 <= self.max_wait_s < 60:
            raise ConfigError(f"got a longest wait of {self.max_wait_s * 1000:g} ms; expected 0 to 60000")
        if not 1 <= self.max_batch <= self.max_queued:
            raise ConfigError(
                f"got batches of {self.max_batch} and a queue of {self.max_queued}; expected at least 1, "
                "and a queue at least as large as a batch"
            )
        if self.max_parallel < 1:
            raise ConfigError(f"got {self.max_parallel} batches at once; expected at least 1")


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """Requests that belong together, such as the responses to one prompt: their batch waits no longer than for them."""

    name: Hashable
    """The group's name."""
    size: int
    """Requests that it will have."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request in the queue."""

    request: JudgeRequest
    group: RequestGroup | None
    answer: "asyncio.Future[JudgeAnswer]"
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """Collects requests on an event loop and judges them in batches, in threads.

    A batch goes to the judge when it is free and the oldest request has waited `max_wait_s`, or earlier: when the batch
    is full, or when everything that waits belongs to complete groups. A request whose caller is canceled leaves the
    queue. Equal requests are judged once if the judge `is_repeatable`. If the judge fails on a batch, the batch is
    halved until the failing requests stand alone.

    Args:
        judge: Judges the batches.
        limits: When a batch goes to the judge.
        on_batch: Is told of each judged batch; it must not raise.
    """

    def __init__(self, judge: Judge, limits: BatchLimits | None = None, *, on_batch: OnBatch | None = None) -> None:
        self._judge = judge
        self.limits = limits or BatchLimits()
        self._on_batch = on_batch
        self._waiting: dict[_Waiting, None] = {}
        self._arrived = asyncio.Event()
        self._is_closing = False
        self._threads = ThreadPoolExecutor(self.limits.max_parallel, "prom-reward-judge")
        self._free = asyncio.Semaphore(self.limits.max_parallel)
        self._seconds_a_request = 0.0
        self.num_under_way = 0
        """Requests that the judge has now."""

    @property
    def num_waiting(self) -> int:
        """Requests that wait for the judge."""
        return len(self._waiting)

    async def judge(self, requests: Sequence[JudgeRequest], group: RequestGroup | None = None) -> list[JudgeAnswer]:
        """Return the answers to some requests, in order, when the judge has had them all.

        Raises:
            QueueFullError: They do not fit into the queue now.
            ServerGoneError: The judge's own server does not answer.
        """
        self._check_room(len(requests))
        loop = asyncio.get_running_loop()
        items = [_Waiting(request, group, loop.create_future()) for request in requests]
        self._waiting.update(dict.fromkeys(items))
        self._arrived.set()
        try:
            return list(await asyncio.gather(*(item.answer for item in items)))
        finally:
            for item in items:  # of a caller that is gone
                item.answer.cancel()
                self._waiting.pop(item, None)

    async def run(self) -> None:
        """Judge what arrives until `close` is called and the queue is empty."""
        judging: set[asyncio.Task[None]] = set()
        while self._waiting or not self._is_closing:
            await self._free.acquire()
            await self._until_due()
            batch = self._next_batch()
            for item in batch:
                del self._waiting[item]
            task = asyncio.create_task(self._judge_batch(batch))
            judging.add(task)
            task.add_done_callback(judging.discard)
        await asyncio.gather(*judging)
        self._threads.shutdown()

    def _next_batch(self) -> list[_Waiting]:
        """Return the oldest requests; no group is split if the judge looks at groups."""
        waiting = list(self._waiting)
        if not waiting or not self._judge.judges_groups:
            return waiting[: self.limits.max_batch]
        first, *_ = whole_groups([item.request for item in waiting], self.limits.max_batch)
        return [waiting[at] for at in first]

    async def _judge_batch(self, batch: Sequence[_Waiting]) -> None:
        self.num_under_way += len(batch)
        try:
            if batch:
                await self._answer(batch)
        finally:
            self.num_under_way -= len(batch)
            self._free.release()

    def close(self) -> None:
        """Take no more requests; `run` ends after those that wait."""
        self._is_closing = True
        self._arrived.set()

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, 1 to 60, after which a full queue has room again, by the last batch's speed."""
        return min(60, max(1, ceil(self.num_waiting * self._seconds_a_request)))

    def _check_room(self, num_requests: int) -> None:
        if num_requests > self.limits.max_queued:
            raise RowError(
                f"got {num_requests} requests to judge at once; expected at most {self.limits.max_queued}: send fewer"
            )
        if self._is_closing:
            raise QueueFullError("the server is stopping; send the request again later")
        if num_requests + self.num_waiting > self.limits.max_queued:
            raise QueueFullError(
                f"got {number_of(num_requests, 'request')} beside {self.num_waiting} that wait; expected at most "
                f"{self.limits.max_queued}: send them again after {self.retry_after_s} s"
            )

    async def _until_due(self) -> None:
        """Return when a batch is due."""
        while not self._is_closing:
            self._arrived.clear()
            left_s = self._left_s()
            if left_s is not None and left_s <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    await self._arrived.wait()
            except TimeoutError:
                return

    def _left_s(self) -> float | None:
        """Return the seconds until the next batch is due; None if nothing waits."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return None
        if len(self._waiting) >= self.limits.max_batch or self._has_whole_groups():
            return 0
        return oldest.since + self.limits.max_wait_s - time.monotonic()

    def _has_whole_groups(self) -> bool:
        """Whether everything that waits belongs to a group of which all requests are here."""
        counts = Counter(item.group for item in self._waiting)
        return all(group is not None and count >= group.size for group, count in counts.items())

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Judge a batch and give each answer to its asker; half of it at a time if the judge fails."""
        try:
            asked = [item.request for item in batch]
            answers = await asyncio.get_running_loop().run_in_executor(self._threads, self._judged, asked)
        except ServerGoneError as error:  # each half would wait for it again
            for item in batch:
                _fail(item, error)
        except Exception as error:
            if len(batch) == 1:
                logger.warning("the judge failed on a request (%s: %s)", type(error).__name__, error)
                _give(batch[0], _failed(batch[0].request, error))
                return
            half = len(batch) // 2
            await self._answer(batch[:half])
            await self._answer(batch[half:])
        else:
            for item, answer in zip(batch, answers, strict=True):
                _give(item, answer)

    def _judged(self, requests: Sequence[JudgeRequest]) -> list[JudgeAnswer]:
        """Return the judge's answers, in order. Runs in a thread."""
        start = time.perf_counter()
        asked = list(dict.fromkeys(requests)) if self._judge.is_repeatable else requests
        answers = self._asked(asked)
        if self._judge.is_repeatable:
            found = dict(zip(asked, answers, strict=True))
            answers = [found[one] for one in requests]
        seconds = time.perf_counter() - start
        self._seconds_a_request = seconds / len(requests)
        if self._on_batch is not None:
            self._on_batch(requests, answers, seconds)
        return answers

    def _asked(self, requests: Sequence[JudgeRequest]) -> list[JudgeAnswer]:
        """Return the judge's answers to gradings and comparisons, in order."""
        gradings = [one for one in requests if isinstance(one, GradingRequest)]
        comparisons = [one for one in requests if isinstance(one, ComparisonRequest)]
        graded = grade_requests(self._judge, gradings) if gradings else []
        compared = self._judge.compare(comparisons) if comparisons else []
        if (len(graded), len(compared)) != (len(gradings), len(comparisons)):
            raise WorkError(f"the judge gave {len(graded) + len(compared)} answers to {len(requests)} requests")
        in_turn: dict[type, Iterator[JudgeAnswer]] = {GradingRequest: iter(graded), ComparisonRequest: iter(compared)}
        return [next(in_turn[type(one)]) for one in requests]


def _failed(request: JudgeRequest, error: Exception) -> JudgeAnswer:
    kind = Judgment if isinstance(request, GradingRequest) else Comparison
    return kind(outcome=Outcome.ENGINE_FAILED, error=f"{type(error).__name__}: {error}")


def _give(item: _Waiting, answer: JudgeAnswer) -> None:
    if not item.answer.done():
        item.answer.set_result(answer)


def _fail(item: _Waiting, error: Exception) -> None:
    if not item.answer.done():
        item.answer.set_exception(error)
