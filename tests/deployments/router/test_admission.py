"""The ingress's exchange at work: what it does when calls fail, and whose context it works in."""

import asyncio
import contextvars
import logging

import pytest

from deployments.router.admission import Admission
from deployments.router.contract import PoolUnavailableError, QueueTimeoutError, RouterAwayError
from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import News, Report, Wanted
from deployments.router.exchange.timing import LATE_S
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService
from tests.deployments.router.virtual_time import run

W = Wanted("p", "standard", "acme", 1.0, 10, 5.0)


def _router() -> RouterService:
    clock = asyncio.get_running_loop().time
    return RouterService(SlotBook(["p"], QosSettings(), clock, grace_s=0), lambda _: {"p": 1})


@pytest.mark.parametrize("error", [RouterAwayError("away"), ValueError("a bug")])
def test_calls_that_fail_are_made_again(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        router, calls = _router(), 0

        async def exchange(report: Report, wait: bool) -> News:
            nonlocal calls
            calls += 1
            if calls < 10:
                raise error
            return await router.exchange(report, wait)

        admission = Admission("i", exchange, asyncio.get_running_loop().time, {})
        admission.release(await admission.admit(W), 1)
        await admission.close()
        await router.close()

    run(scenario())
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert bool(logged) is isinstance(error, ValueError), "a router that is away is nothing to complain of"


def test_the_background_carries_nobody_s_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody")
    seen = set()

    async def scenario() -> None:
        router = _router()

        async def exchange(report: Report, wait: bool) -> News:
            seen.add(variable.get())
            return await router.exchange(report, wait)

        admission = Admission("i", exchange, asyncio.get_running_loop().time, {})
        variable.set("the first request")
        admission.release(await admission.admit(W), 1)
        await admission.close()
        await router.close()

    run(scenario())
    assert seen == {"nobody"}


def test_the_band_s_longest_wait_holds_without_a_router_too() -> None:
    async def scenario() -> None:
        async def exchange(report: Report, wait: bool) -> News:
            raise RouterAwayError("away")

        clock = asyncio.get_running_loop().time
        admission = Admission("i", exchange, clock, {"standard": 2.0})
        began = clock()
        with pytest.raises(QueueTimeoutError):
            await admission.admit(W)
        assert 2.0 <= clock() - began <= 2.0 + LATE_S + 0.2
        await admission.close()

    run(scenario())


def test_a_pool_that_nobody_knows() -> None:
    async def scenario() -> None:
        router = _router()
        admission = Admission("i", router.exchange, asyncio.get_running_loop().time, {})
        with pytest.raises(PoolUnavailableError):
            await admission.admit(Wanted("q", "standard", "acme", 1.0, 10, 5.0))
        await admission.close()
        await router.close()

    run(scenario())
