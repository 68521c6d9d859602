"""The router at work: when it answers, and what it tells and learns of the pools' replicas."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from deployments.router.exchange.book import GIVEN_UP_RETRY_S, SlotBook
from deployments.router.exchange.messages import Ask, End, Granted, Open, Refused, Report, Wanted
from deployments.router.exchange.timing import HEARTBEAT_S, SILENCE_S, TICK_S
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService
from tests.deployments.router.virtual_time import run

W = Wanted("p", "standard", "acme", 1.0, 10, 60.0)
NOTHING = Open((), (), ())


def _service(slots: dict[str, int | None], told: list[Mapping[str, int]] | None = None) -> RouterService:
    def capacities(waiting: Mapping[str, int]) -> Mapping[str, int | None]:
        if told is not None:
            told.append(waiting)
        return slots

    clock = asyncio.get_running_loop().time
    return RouterService(SlotBook(["p"], QosSettings(lease_block=0), clock, grace_s=0), capacities)


def test_a_call_that_waits_is_answered_by_news_or_a_heartbeat() -> None:
    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        service = _service({"p": 1})
        service.start()
        await asyncio.sleep(0.2)
        await service.exchange(Report("a", 1, 1, (NOTHING, Ask(1, W)), 0), False)
        began = clock()
        news = await service.exchange(Report("a", 1, 3, (), 1), True)
        assert (news.notices, clock() - began) == ((), HEARTBEAT_S)

        await service.exchange(Report("b", 1, 1, (NOTHING, Ask(1, W)), 0), False)
        waiting = asyncio.create_task(service.exchange(Report("b", 1, 3, (), 0), True))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await service.exchange(Report("a", 1, 3, (End(1, 1),), 1), False)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.done()
        assert waiting.result().notices == (Granted(1),)
        await service.close()

    run(scenario())


def test_an_unknown_session_is_told_so_at_once() -> None:
    async def scenario() -> None:
        service = _service({"p": 1})
        began = asyncio.get_running_loop().time()
        assert (await service.exchange(Report("a", 7, 3, (), 0), True)).known is False
        assert asyncio.get_running_loop().time() == began
        await service.close()

    run(scenario())


def test_replicas_that_come_and_go_are_followed() -> None:
    async def scenario() -> None:
        slots: dict[str, int | None] = {"p": 0}
        told: list[Mapping[str, int]] = []
        service = _service(slots, told)
        await service.exchange(Report("a", 1, 1, (NOTHING, Ask(1, W), Ask(2, W)), 0), False)
        await asyncio.sleep(1)
        assert told[-1] == {"p": 2}, "a pool without replicas is told that somebody waits"
        slots["p"] = 1
        news = await service.exchange(Report("a", 1, 4, (), 0), True)
        assert news.notices == (Granted(1),)
        slots["p"] = 0
        await asyncio.sleep(0.2)
        news = await service.exchange(Report("a", 1, 4, (End(1, 1),), 1), False)
        assert news.notices == (), "nothing starts on a slot that is gone"
        slots["p"] = 2
        await asyncio.sleep(0.2)
        assert (await service.exchange(Report("a", 1, 5, (), 1), False)).notices == (Granted(2),)
        await asyncio.sleep(0.2)
        assert told[-1] == {"p": 0}
        await service.close()

    run(scenario())


def test_who_waits_for_a_pool_that_is_given_up_is_told_at_once() -> None:
    async def scenario() -> None:
        slots: dict[str, int | None] = {"p": 0}
        service = _service(slots)
        await service.exchange(Report("a", 1, 1, (NOTHING, Ask(1, W)), 0), False)
        await asyncio.sleep(SILENCE_S / 2)
        assert service.book.waiting() == {"p": 1}, "replicas may be starting"
        slots["p"] = None
        began = asyncio.get_running_loop().time()
        (refused,) = (await service.exchange(Report("a", 1, 3, (), 0), True)).notices
        assert isinstance(refused, Refused)
        assert (refused.ticket, refused.reason) == (1, "pool_gone")
        assert asyncio.get_running_loop().time() - began <= TICK_S
        news = await service.exchange(Report("a", 1, 3, (Ask(2, W),), 1), False)
        assert news.notices == (Refused(2, "pool_gone", GIVEN_UP_RETRY_S),)
        assert service.book.waiting() == {"p": 0}

        slots["p"] = 1  # it was deployed anew
        await asyncio.sleep(2 * TICK_S)
        news = await service.exchange(Report("a", 1, 4, (Ask(3, W),), 2), False)
        assert news.notices == (Granted(3),)
        await service.close()

    run(scenario())


def test_an_ingress_that_is_gone_is_forgotten() -> None:
    async def scenario() -> None:
        service = _service({"p": 1})
        await service.exchange(Report("a", 1, 1, (NOTHING, Ask(1, W)), 0), False)
        await service.exchange(Report("a", 1, 3, (), 1), True)
        await asyncio.sleep(SILENCE_S + 1)
        assert service.book.statistics()[0].used == 0
        assert not service._news
        await service.close()

    run(scenario())


class Serve:
    """Says how many slots there are, or fails."""

    def __init__(self) -> None:
        self.fails = False

    def capacities(self, _: Mapping[str, int]) -> Mapping[str, int]:
        if self.fails:
            raise AttributeError("'Router' object has no attribute '_metrics_manager'")
        return {"p": 0}


def _following(serve: Serve) -> RouterService:
    book = SlotBook(["p"], QosSettings(), asyncio.get_running_loop().time, grace_s=0)
    return RouterService(book, serve.capacities)


def test_a_router_that_cannot_look_does_not_start() -> None:
    async def scenario() -> None:
        serve = Serve()
        service = _following(serve)
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
        service = _following(serve)
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
        service = _following(serve)
        await service.exchange(Report("a", 1, 1, (Open((), (), ()), Ask(1, replace(W, wait_s=0.5))), 0), False)
        serve.fails = True
        await asyncio.sleep(1.0)
        news = await service.exchange(Report("a", 1, 3, (), 0), False)
        assert [type(notice) for notice in news.notices] == [Refused]
        await service.close()

    run(scenario())
