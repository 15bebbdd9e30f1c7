import asyncio

import pytest

from prom_reward.engines.server.transport.rate_limit import Pace, Slots


def waits_of(costs, **rates):
    """Returns when each request goes, in seconds, where all come at once."""
    now = [0.0]

    async def sleep(seconds):
        gone.append(seconds)

    gone: list[float] = []

    async def run():
        pace = Pace(
            **{"requests_per_minute": None, "tokens_per_minute": None, **rates}, clock=lambda: now[0], sleep=sleep
        )
        for cost in costs:
            before = len(gone)
            await pace.take(cost)
            if len(gone) == before:
                gone.append(0.0)

    asyncio.run(run())
    return gone


def test_without_rates_nothing_waits():
    assert waits_of([10, 10, 10]) == [0, 0, 0]


def test_requests_are_spaced_by_their_rate():
    assert waits_of([1, 1, 1], requests_per_minute=60) == pytest.approx([0, 1, 2])


def test_tokens_are_spaced_by_theirs_and_the_slower_counts():
    assert waits_of([100, 50, 1], tokens_per_minute=6000) == pytest.approx([0, 1, 1.5])
    assert waits_of([100, 1, 1], tokens_per_minute=6000, requests_per_minute=120) == pytest.approx([0, 1, 1.5])


def test_a_wait_that_is_canceled_takes_no_slot():
    async def run():
        pace = Pace(requests_per_minute=60_000, tokens_per_minute=None)
        await pace.take(0)
        slow = Pace(requests_per_minute=1, tokens_per_minute=None)
        await slow.take(0)
        waiting = [asyncio.create_task(slow.take(0)) for _ in range(5)]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return slow._free_at - slow._clock()

    assert asyncio.run(run()) <= 60


def test_places_are_taken_together_and_given_back():
    async def run():
        slots, held, most = Slots(4), 0, 0

        async def hold(count):
            nonlocal held, most
            async with slots.take(count):
                held += min(count, 4)
                most = max(most, held)
                await asyncio.sleep(0)
                held -= min(count, 4)

        await asyncio.gather(*map(hold, (3, 3, 1, 9, 2, 1)))
        async with slots.take(3):
            waiting = asyncio.create_task(hold(2))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(5), slots.take(4):
            return most

    assert asyncio.run(run()) == 4
