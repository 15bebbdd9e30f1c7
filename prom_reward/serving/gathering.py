"""Groups whose members come one by one: all wait until the group is whole, then one piece of work answers them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from prom_reward.errors import PromRewardError, RowError

LONGEST_WAIT_S = 300.0
"""The default time for which a group waits for its members."""

logger = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Gathering(Generic[ItemT, ResultT]):
    """Collects the items of groups from different callers. Belongs to one event loop.

    A caller that is canceled takes its items back. A group that is not whole after `longest_wait_s` is worked on with
    the items that came, and a warning.

    Args:
        longest_wait_s: How long a group waits after its first item.
    """

    def __init__(self, *, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = longest_wait_s
        self._open: dict[Hashable, _Group[ItemT, ResultT]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._closed_by: PromRewardError | None = None

    async def results(
        self,
        name: Hashable,
        size: int,
        items: Sequence[ItemT],
        work: Callable[[list[ItemT]], Awaitable[Sequence[ResultT]]],
    ) -> list[ResultT]:
        """Return the results of some of a group's items, in order, when all of its items are here.

        Args:
            name: The group's name; it is free again when the group's work begins.
            size: Items that the group will have.
            items: The caller's items.
            work: Returns a result for each item of the whole group.

        Raises:
            RowError: The group was opened with another size, or gets more items than that.
            PromRewardError: The one that `close` was given, if there is more to wait for.
        """
        if self._closed_by is not None and len(items) < size:
            raise self._closed_by
        group = self._open.get(name) or _Group(size)
        self._check(name, group, size, len(items))
        if not group.parts:
            self._open[name] = group
            loop = asyncio.get_running_loop()
            group.timer = loop.call_later(self._longest_wait_s, self._begin_late, name, group, work)
        part: _Part[ItemT, ResultT] = _Part(items)
        group.parts.append(part)
        if group.num_items == size:
            self._begin(name, group, work)
        try:
            return list(await part.results)
        finally:
            self._take_back(name, group, part)

    def close(self, error: PromRewardError) -> None:
        """Answer everyone who waits for the rest of a group with an error, from now on."""
        self._closed_by = error
        for group in self._open.values():
            group.stop_waiting()
            group.fail(error)
        self._open.clear()

    def _check(self, name: Hashable, group: "_Group[ItemT, ResultT]", size: int, num_more: int) -> None:
        if group.size != size:
            raise RowError(f"group {name!r:.60}: got the size {size}; it was opened with the size {group.size}")
        if group.num_items + num_more > size:
            raise RowError(f"group {name!r:.60}: got {group.num_items + num_more} members; it has the size {size}")

    def _begin_late(
        self,
        name: Hashable,
        group: "_Group[ItemT, ResultT]",
        work: Callable[[list[ItemT]], Awaitable[Sequence[ResultT]]],
    ) -> None:
        told = "group %.60r: %d of %d members came within %g s; it goes on with these"
        logger.warning(told, name, group.num_items, group.size, self._longest_wait_s)
        self._begin(name, group, work)

    def _begin(
        self,
        name: Hashable,
        group: "_Group[ItemT, ResultT]",
        work: Callable[[list[ItemT]], Awaitable[Sequence[ResultT]]],
    ) -> None:
        del self._open[name]
        group.stop_waiting()
        task = asyncio.get_running_loop().create_task(group.answer(work))  # no caller's: one that leaves harms no other
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _take_back(self, name: Hashable, group: "_Group[ItemT, ResultT]", part: "_Part[ItemT, ResultT]") -> None:
        """Forget a caller that left before its group was whole."""
        if self._open.get(name) is group:
            group.parts.remove(part)
            if not group.parts:
                group.stop_waiting()
                del self._open[name]


class _Part(Generic[ItemT, ResultT]):
    """The members that one caller brings."""

    def __init__(self, items: Sequence[ItemT]) -> None:
        self.items = items
        self.results: asyncio.Future[Sequence[ResultT]] = asyncio.get_running_loop().create_future()


class _Group(Generic[ItemT, ResultT]):
    """The parts of a group so far."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.parts: list[_Part[ItemT, ResultT]] = []
        self.timer: asyncio.TimerHandle | None = None

    @property
    def num_items(self) -> int:
        return sum(len(part.items) for part in self.parts)

    def stop_waiting(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    async def answer(self, work: Callable[[list[ItemT]], Awaitable[Sequence[ResultT]]]) -> None:
        """Do the work and give each part its results."""
        try:
            results = await work([item for part in self.parts for item in part.items])
        except Exception as error:
            self.fail(error)
            return
        start = 0
        for part in self.parts:
            end = start + len(part.items)
            if not part.results.done():
                part.results.set_result(results[start:end])
            start = end

    def fail(self, error: Exception) -> None:
        for part in self.parts:
            if not part.results.done():
                part.results.set_exception(error)
