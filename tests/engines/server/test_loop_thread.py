import asyncio
import threading
import time

import pytest

from prom_reward.engines.server.loop_thread import LoopThread
from prom_reward.errors import WorkError


@pytest.fixture
def loop():
    made = LoopThread("test-loop")
    yield made
    made.close()


async def name_of_thread():
    return threading.current_thread().name


def test_work_runs_on_its_own_thread_and_its_result_comes_back(loop):
    assert loop.run(name_of_thread()) == "test-loop"


def test_an_error_comes_back_too(loop):
    async def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        loop.run(fail())


def test_it_works_within_another_running_loop(loop):
    async def within():
        return loop.run(name_of_thread())

    assert asyncio.run(within()) == "test-loop"


def test_its_own_thread_cannot_wait_for_it(loop):
    async def within():
        loop.run(name_of_thread())

    with pytest.raises(RuntimeError, match="the loop's own thread cannot wait for it"):
        loop.run(within())


def test_closing_cancels_what_runs_and_ends_the_thread():
    loop = LoopThread("test-loop")
    seen = []

    async def forever():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def begin():
        seen.append(asyncio.create_task(forever()))
        await asyncio.sleep(0)

    loop.run(begin())
    loop.close()
    loop.close()
    assert seen[1:] == ["cancelled"]
    assert "test-loop" not in {thread.name for thread in threading.enumerate()}


def test_work_for_a_closed_loop_is_refused_and_never_waits():
    loop = LoopThread("test-loop")
    loop.close()
    with pytest.raises(WorkError, match=r"^the connections were closed; call the judge again to open new ones$"):
        loop.run(name_of_thread())
    with pytest.raises(WorkError, match=r"^the connections were closed"):
        asyncio.run(loop.arun(name_of_thread()))


def test_work_that_comes_while_the_loop_ends_is_refused(monkeypatch):
    """Taken then, it would be waited for forever: the loop runs no more."""
    loop, errors = LoopThread("test-loop"), []

    class Ending(threading.Thread):
        def join(self, timeout=None):
            late = threading.Thread(target=ask, daemon=True)
            late.start()
            late.join(20)
            assert not late.is_alive()
            super().join(timeout)

    def ask():
        try:
            loop.run(name_of_thread())
        except WorkError as error:
            errors.append(str(error))

    monkeypatch.setattr(loop._thread, "__class__", Ending)
    loop.close()
    assert len(errors) == 1


def test_an_interrupted_wait_cancels_the_work(loop, monkeypatch):
    cancelled = threading.Event()

    async def forever():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    class Interrupted:
        def __init__(self, future):
            self._future = future

        def result(self):
            time.sleep(0.05)
            raise KeyboardInterrupt

        def cancel(self):
            return self._future.cancel()

    original = asyncio.run_coroutine_threadsafe
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", lambda work, on: Interrupted(original(work, on)))
    with pytest.raises(KeyboardInterrupt):
        loop.run(forever())
    monkeypatch.undo()
    assert cancelled.wait(5)
