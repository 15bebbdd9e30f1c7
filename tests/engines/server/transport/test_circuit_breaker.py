import asyncio
import logging

import pytest

from prom_reward.engines.server.transport.circuit_breaker import CircuitBreaker
from prom_reward.errors import ConfigError, ServerGoneError


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("prom_reward.engines.server.transport.circuit_breaker._FIRST_WAIT_S", 0.01)


def breaker_of(*answers, threshold=3, deadline_s=5.0):
    """Makes a breaker whose probes give these answers, and the list of those that were given."""
    given = []

    async def probe():
        answer = answers[min(len(given), len(answers) - 1)]
        given.append(answer)
        if answer is not None:
            raise answer

    return CircuitBreaker(server="the server", threshold=threshold, deadline_s=deadline_s, probe=probe), given


def test_it_stays_closed_below_its_threshold_and_after_a_success():
    breaker, given = breaker_of(None)

    async def run():
        for _ in range(5):
            breaker.succeeded()
            breaker.failed("no")
            breaker.failed("no")
        await breaker.wait()

    asyncio.run(run())
    assert given == []


def test_one_failure_of_a_server_that_has_never_answered_opens_it():
    breaker, given = breaker_of(ConnectionError("refused"), None)

    async def run():
        breaker.failed("refused")
        await breaker.wait()
        breaker.failed("reset")  # it has answered the probe
        await breaker.wait()

    asyncio.run(run())
    assert len(given) == 2


def test_failures_in_a_row_open_it_until_a_probe_is_answered(caplog):
    breaker, given = breaker_of(ConnectionError("refused"), ConnectionError("refused"), None)

    async def run():
        for _ in range(7):
            breaker.failed("reset")
        await asyncio.gather(*(breaker.wait() for _ in range(4)))
        await breaker.wait()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert len(given) == 3
    assert caplog.messages[0] == "the server does not answer (refused); waiting for it up to 5 s"
    assert caplog.messages[1].startswith("the server answers again after")
    assert len(caplog.messages) == 2


def test_a_doubt_is_answered_at_once_or_after_an_outage():
    async def run(*answers):
        breaker, _ = breaker_of(*answers)
        return await breaker.was_gone("cut")

    assert asyncio.run(run(None)) is False
    assert asyncio.run(run(ConnectionError("refused"), None)) is True


def test_a_server_that_stays_away_is_an_error_for_all_who_wait():
    breaker, _ = breaker_of(ConnectionError("refused"), deadline_s=0.05)

    async def run():
        return await asyncio.gather(breaker.was_gone("cut"), breaker.wait(), return_exceptions=True)

    gone, waited = asyncio.run(run())
    assert (isinstance(gone, ServerGoneError) and waited is None) or isinstance(waited, ServerGoneError)
    assert str(gone).startswith("the server gave no answer for 0 s (refused); start it, check the url, or raise")


def test_a_refusal_ends_the_waiting_at_once():
    breaker, given = breaker_of(ConfigError("a wrong key"))

    async def run():
        await breaker.was_gone("401")

    with pytest.raises(ConfigError, match=r"^a wrong key$"):
        asyncio.run(run())
    assert len(given) == 1


def test_one_who_gives_up_waiting_does_not_stop_the_others():
    breaker, _ = breaker_of(*[ConnectionError("refused")] * 3, None)

    async def run():
        impatient = asyncio.create_task(breaker.was_gone("cut"))
        await asyncio.sleep(0)
        patient = asyncio.create_task(breaker.was_gone("cut"))
        await asyncio.sleep(0.005)
        impatient.cancel()
        return await patient

    assert asyncio.run(run()) is True
