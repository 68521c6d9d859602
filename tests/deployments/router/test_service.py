"""The router at work: when it answers, and what it tells and learns of the pools' replicas."""

import asyncio
from collections.abc import Mapping

from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import Ask, End, Granted, Open, Report, Wanted
from deployments.router.exchange.timing import HEARTBEAT_S, SILENCE_S
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService
from tests.deployments.router.virtual_time import run

W = Wanted("p", "standard", "acme", 1.0, 10, 60.0)
NOTHING = Open((), (), ())


def _service(slots: dict[str, int], told: list[Mapping[str, int]] | None = None) -> RouterService:
    def capacities(waiting: Mapping[str, int]) -> Mapping[str, int]:
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
        slots: dict[str, int] = {"p": 0}
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
