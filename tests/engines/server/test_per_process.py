import pickle  # noqa: TID251  engines must travel between processes
import threading

import pytest

from prom_reward.engines.server.per_process import PerProcess


class Connections:
    """Counts how often it is closed."""

    def __init__(self):
        self.num_closed = 0

    async def close(self):
        self.num_closed += 1


async def opening():
    return Connections()


async def failing():
    raise RuntimeError("no")


def num_loops():
    return sum(thread.name == "prom-reward-server" for thread in threading.enumerate())


def test_it_opens_once_and_closes_when_asked_or_collected():
    held, before = PerProcess(), num_loops()
    assert held.current is None
    running = held.get(opening)
    assert held.get(opening) is running is held.current
    held.close()
    held.close()
    assert running.opened.num_closed == 1
    again = held.get(opening).opened
    assert again is not running.opened
    del held
    assert again.num_closed == 1
    assert num_loops() == before


def test_it_pickles_as_closed():
    held = PerProcess()
    held.get(opening)
    assert pickle.loads(pickle.dumps(held)).current is None
    held.close()


def test_a_failed_opening_leaves_no_thread():
    held, before = PerProcess(), num_loops()
    with pytest.raises(RuntimeError, match="no"):
        held.get(failing)
    assert num_loops() == before
