import pickle  # noqa: TID251  engines must travel between processes
import threading
import time

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


def ended(work):
    """Whether some work ends in a thread of its own."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


def test_work_that_asks_for_connections_while_they_are_closed_blocks_nobody():
    held = PerProcess()

    class Asking(Connections):
        async def close(self):
            held.get(opening)

    async def asking():
        return Asking()

    held.get(asking)
    assert ended(held.close)
    assert ended(held.close)


def test_connections_that_are_collected_on_their_own_thread_are_closed():
    before, opened, parts = num_loops(), [], [PerProcess()]
    running = parts[0].get(opening)
    opened.append(running.opened)

    async def collecting():
        parts.clear()

    running.loop.run(collecting())
    assert ended(lambda: wait_until(lambda: num_loops() == before))
    assert opened[0].num_closed == 1


def wait_until(is_true):
    while not is_true():
        time.sleep(0.01)


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
