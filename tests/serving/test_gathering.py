import asyncio

import pytest

from prom_reward.errors import RowError, WorkError
from prom_reward.serving.gathering import Gathering


async def doubled(items):
    return [2 * one for one in items]


async def fails(items):
    raise WorkError("no")


def test_a_whole_group_is_worked_on_once_and_each_caller_gets_its_own():
    calls = []

    async def work(items):
        calls.append(items)
        return await doubled(items)

    async def ask():
        groups = Gathering()
        parts = [groups.results("a", 4, items, work) for items in ([1], [2, 3], [4])]
        others = [groups.results("b", 1, [9], work)]
        return await asyncio.gather(*parts, *others)

    assert asyncio.run(ask()) == [[2], [4, 6], [8], [18]]
    assert sorted(calls) == [[1, 2, 3, 4], [9]]


def test_a_group_that_stays_incomplete_goes_on_with_those_that_came(caplog):
    async def ask():
        groups = Gathering(longest_wait_s=0.01)
        return await asyncio.gather(*(groups.results("a", 4, [at], doubled) for at in range(3)))

    assert asyncio.run(ask()) == [[0], [2], [4]]
    assert "3 of 4 members came within 0.01 s" in caplog.text


def test_a_caller_that_leaves_takes_its_items_back():
    async def ask():
        groups = Gathering()
        left = asyncio.create_task(groups.results("a", 2, [1], doubled))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        return await asyncio.gather(*(groups.results("a", 2, [at], doubled) for at in (2, 3)))

    assert asyncio.run(ask()) == [[4], [6]]


def test_a_caller_that_leaves_while_its_group_is_worked_on_harms_no_other():
    async def ask():
        groups, may_go_on = Gathering(), asyncio.Event()

        async def work(items):
            await may_go_on.wait()
            return await doubled(items)

        parts = [asyncio.create_task(groups.results("a", 2, [at], work)) for at in (1, 2)]
        await asyncio.sleep(0.01)
        parts[1].cancel()
        may_go_on.set()
        return await asyncio.gather(*parts, return_exceptions=True)

    found = asyncio.run(ask())
    assert found[0] == [2]
    assert isinstance(found[1], asyncio.CancelledError)


def test_a_failure_is_everyones_and_ends_only_its_group():
    async def ask():
        groups = Gathering()
        failed = await asyncio.gather(*(groups.results("a", 2, [at], fails) for at in (1, 2)), return_exceptions=True)
        return failed, await groups.results("a", 1, [1], doubled)

    failed, after = asyncio.run(ask())
    assert [type(one) for one in failed] == [WorkError, WorkError]
    assert after == [2]


@pytest.mark.parametrize(("size", "items", "said"), [(3, [1], "opened with the size 2"), (2, [1, 2], "3 members")])
def test_a_part_that_does_not_belong_is_refused(size, items, said):
    async def ask():
        groups = Gathering()
        first = asyncio.create_task(groups.results("a", 2, [0], doubled))
        await asyncio.sleep(0)
        with pytest.raises(RowError, match=said):
            await groups.results("a", size, items, doubled)
        second = await groups.results("a", 2, [5], doubled)
        return await first, second

    assert asyncio.run(ask()) == ([0], [10])


def test_closing_answers_those_who_wait():
    async def ask():
        groups = Gathering()
        waiting = asyncio.create_task(groups.results("a", 2, [0], doubled))
        await asyncio.sleep(0)
        groups.close(WorkError("the server stops"))
        return await asyncio.gather(waiting, return_exceptions=True)

    assert [type(one) for one in asyncio.run(ask())] == [WorkError]


def test_after_its_close_nobody_waits_for_a_rest_that_cannot_come():
    async def ask():
        groups = Gathering()
        waiting = asyncio.create_task(groups.results("a", 2, [1], doubled))
        await asyncio.sleep(0)
        groups.close(WorkError("it stops"))
        late = groups.results("b", 2, [1], doubled)
        async with asyncio.timeout(5):
            failed = await asyncio.gather(waiting, late, return_exceptions=True)
        return failed, await groups.results("c", 2, [1, 2], doubled)

    failed, whole = asyncio.run(ask())
    assert [str(one) for one in failed] == ["it stops", "it stops"]
    assert whole == [2, 4]
