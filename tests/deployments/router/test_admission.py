"""The ingress's exchange with the router: what goes on in the background goes on."""

import asyncio

import pytest

from deployments.router.admission import Admission
from deployments.router.contract import RouterAwayError
from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import News, Report
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService
from tests.deployments.router.exchange.world import wanted
from tests.deployments.router.virtual_time import run


@pytest.mark.parametrize("failure", [RouterAwayError("away"), ValueError("what nobody thought of")])
def test_calls_that_fail_are_made_again(failure: Exception) -> None:
    run(_admits_after(failure))


def test_calls_that_are_cancelled_by_others_are_made_again() -> None:
    """As Ray does with calls to a replica that ends."""
    run(_admits_after(asyncio.CancelledError()))


async def _admits_after(failure: BaseException) -> None:
    clock = asyncio.get_running_loop().time
    service = RouterService(SlotBook(["p"], QosSettings(), clock, grace_s=0), lambda _: {"p": 1})
    failures = 6

    async def exchange(report: Report, wait: bool) -> News:
        nonlocal failures
        await asyncio.sleep(0.001)
        if failures:
            failures -= 1
            raise failure
        return await service.exchange(report, wait)

    admission = Admission("a", exchange, clock, {})
    async with asyncio.timeout(10):
        admission.release(await admission.admit(wanted()), 1)
        await admission.close()
    await service.close()
