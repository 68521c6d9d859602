"""The router at work, where what it asks Ray Serve for fails."""

import asyncio
import logging
from collections.abc import Mapping

import pytest

from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import Ask, Open, Refused, Report
from deployments.router.exchange.timing import TICK_S
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService
from tests.deployments.router.exchange.world import wanted
from tests.deployments.router.virtual_time import run


class Serve:
    """Says how many slots there are, or fails."""

    def __init__(self) -> None:
        self.fails = False

    def capacities(self, _: Mapping[str, int]) -> Mapping[str, int]:
        if self.fails:
            raise AttributeError("'Router' object has no attribute '_metrics_manager'")
        return {"p": 0}


def _service(serve: Serve) -> RouterService:
    book = SlotBook(["p"], QosSettings(), asyncio.get_running_loop().time, grace_s=0)
    return RouterService(book, serve.capacities)


def test_a_router_that_cannot_look_does_not_start() -> None:
    async def scenario() -> None:
        serve = Serve()
        service = _service(serve)
        serve.fails = True
        with pytest.raises(AttributeError):
            service.check()
        serve.fails = False
        service.check()
        await service.close()

    run(scenario())


def test_a_router_that_can_look_no_more_says_so_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        serve = Serve()
        service = _service(serve)
        service.check()
        serve.fails = True
        await asyncio.sleep(20 * TICK_S)
        with pytest.raises(AttributeError):
            service.check()
        serve.fails = False
        await asyncio.sleep(2 * TICK_S)
        service.check()
        await service.close()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert len(caplog.records) == 1, "not one each time"


def test_meanwhile_nobody_waits_for_longer_than_he_may() -> None:
    async def scenario() -> None:
        serve = Serve()
        service = _service(serve)
        await service.exchange(Report("a", 1, 1, (Open((), (), ()), Ask(1, wanted(wait_s=0.5))), 0), False)
        serve.fails = True
        await asyncio.sleep(1.0)
        news = await service.exchange(Report("a", 1, 3, (), 0), False)
        assert [type(notice) for notice in news.notices] == [Refused]
        await service.close()

    run(scenario())
