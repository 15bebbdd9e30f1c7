"""A reward as the coroutine function that TRL's trainers await beside others."""

import asyncio
from collections.abc import Callable
from types import CodeType
from typing import Any


class AsyncReward:
    """Computes rewards in a thread; pickles if the reward does.

    TRL up to 1.13 lets `inspect` decide what a coroutine function is, and `inspect` goes by the attributes that this
    class shares with functions. A `functools.partial` would do, but TRL 1.16 logs all of them under one name.

    Args:
        reward: A reward with a `__name__`, by which trainers log this one.
    """

    __defaults__: tuple[Any, ...] | None = None
    __kwdefaults__: dict[str, Any] | None = None

    def __init__(self, reward: Callable[..., list[float | None]]) -> None:
        self._reward = reward
        self.__name__ = str(getattr(reward, "__name__"))  # noqa: B009  mypy knows none of an instance
        self.__annotations__ = {}

    def __repr__(self) -> str:
        return f"{self._reward!r}.as_async()"

    @property
    def __code__(self) -> CodeType:
        return type(self).__call__.__code__

    async def __call__(self, *texts: Any, **columns: Any) -> list[float | None]:
        """Return the reward's values for the same arguments without blocking the event loop."""
        return await asyncio.to_thread(self._reward, *texts, **columns)
