"""Work that the ranks of a distributed training share."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from prom_reward.errors import ConfigError, WorkError

_ValueT = TypeVar("_ValueT")


def own_rank() -> tuple[int, int]:
    """Return this process's rank, and the number of ranks: 0 and 1 without a process group."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gathered(work: Callable[[], _ValueT]) -> list[_ValueT]:
    """Run a function on every rank and return all their values, in the order of the ranks.

    If it fails on one rank, all ranks raise, so that none waits for it forever.

    Raises:
        WorkError: The function failed on another rank.
        ConfigError: There are several ranks, and this is no main thread: the ranks would gather in any order.
    """
    from torch import distributed

    num_ranks = own_rank()[1]
    if num_ranks == 1:
        return [work()]
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("got GroupReward.as_async() and several ranks; expected the reward itself in reward_funcs")
    value: _ValueT | None = None
    error: Exception | None = None
    try:
        value = work()
    except Exception as raised:
        error = raised
    answers: list[Any] = [None] * num_ranks
    distributed.all_gather_object(answers, (value, error and f"{type(error).__name__}: {error}"))
    if error is not None:
        raise error
    for rank, (_, failure) in enumerate(answers):
        if failure is not None:
            raise WorkError(f"rank {rank} could not judge its part of the groups ({failure})")
    return [value for value, _ in answers]
