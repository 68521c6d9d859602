"""Ingresses and a router in one process and in virtual time, with calls that get lost, doubled and late, and deaths."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from deployments.router.admission import Admission
from deployments.router.contract import AdmissionError, RouterAwayError, Wanted
from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import News, Report
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService

ANSWER_S = 2.0
"""When a call that got lost is given up."""


def wanted(
    pool: str = "p", band: str = "standard", tenant: str = "t", wait_s: float = 60.0, tokens: int = 10
) -> Wanted:
    return Wanted(pool, band, tenant, 1.0, tokens, wait_s)


@dataclass
class Network:
    """How bad it is. Of calls between two that live, never two in a row are lost: an ingress that cannot be heard for
    longer than it may be silent counts as dead, and then nothing is promised about what it goes on doing."""

    random: Random
    loss: float = 0.0
    double: float = 0.0
    delay_s: tuple[float, float] = (0.001, 0.002)


@dataclass
class World:
    """See the module."""

    network: Network
    capacity: Mapping[str, int]
    settings: QosSettings = field(default_factory=QosSettings)
    ingresses: dict[str, Admission] = field(default_factory=dict)
    service: RouterService | None = None
    names: int = 0
    lost: dict[str, bool] = field(default_factory=dict)
    most_in_use: dict[str, int] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)
    jobs: dict["asyncio.Task[None]", Admission] = field(default_factory=dict)
    background: set["asyncio.Task[None]"] = field(default_factory=set)

    def start_router(self) -> None:
        clock = asyncio.get_running_loop().time
        self.service = RouterService(SlotBook(self.capacity, self.settings, clock), lambda _: dict(self.capacity))
        self.service.start()

    async def kill_router(self) -> None:
        assert self.service is not None
        service, self.service = self.service, None
        await service.close()

    def start_ingress(self) -> Admission:
        self.names += 1
        name = f"ingress-{self.names}"

        async def exchange(report: Report, wait: bool) -> News:
            return await self._call(name, report, wait)

        longest = {band.name: band.longest_wait_s for band in self.settings.bands}
        admission = Admission(name, exchange, asyncio.get_running_loop().time, longest)
        self.ingresses[name] = admission
        admission.start()
        return admission

    async def kill_ingress(self, name: str) -> None:
        admission = self.ingresses.pop(name)
        await admission.close()
        for task in [task for task, of in self.jobs.items() if of is admission]:
            task.cancel()

    async def request(self, admission: Admission, wanted: Wanted, runs_s: float) -> str:
        """One request, from its arrival to its end; how it ended."""
        try:
            slot = await admission.admit(wanted)
        except AdmissionError as error:
            return type(error).__name__
        self.check()
        try:
            await asyncio.sleep(runs_s)
        finally:
            admission.release(slot, wanted.tokens)
            self.check()
        return "done"

    def spawn(self, admission: Admission, wanted: Wanted, runs_s: float) -> "asyncio.Task[None]":
        async def work() -> None:
            self.outcomes.append(await self.request(admission, wanted, runs_s))

        task = asyncio.get_running_loop().create_task(work())
        self.jobs[task] = admission
        task.add_done_callback(self.jobs.pop)
        return task

    def in_use(self, pool: str) -> int:
        return sum(admission.holder.in_use(pool) for admission in self.ingresses.values())

    def check(self) -> None:
        """What must hold at every moment."""
        for pool, capacity in self.capacity.items():
            in_use = self.in_use(pool)
            self.most_in_use[pool] = max(in_use, self.most_in_use.get(pool, 0))
            assert in_use <= capacity, f"{in_use} of {capacity} slots of {pool} in use"

    async def _call(self, name: str, report: Report, wait: bool) -> News:
        if self._loses(name):
            await asyncio.sleep(ANSWER_S)
            raise RouterAwayError("lost on the way")
        await self._delay()
        service = self.service
        if service is None or name not in self.ingresses:
            raise RouterAwayError("nobody there")
        if self.network.random.random() < self.network.double:
            again = asyncio.get_running_loop().create_task(self._again(service, report))
            self.background.add(again)
            again.add_done_callback(self.background.discard)
        news = await service.exchange(report, wait)
        if self._loses(name):
            await asyncio.sleep(ANSWER_S)
            raise RouterAwayError("its answer was lost")
        await self._delay()
        if self.service is not service and self.network.random.random() < 0.5:
            raise RouterAwayError("died before it had answered")
        return news

    async def _again(self, service: RouterService, report: Report) -> None:
        """The same call a second time, much later; nobody reads its answer."""
        await asyncio.sleep(self.network.random.uniform(0, 0.5))
        if service is self.service:
            with suppress(TimeoutError):
                await service.exchange(report, False)

    def _loses(self, name: str) -> bool:
        lost = not self.lost.get(name) and self.network.random.random() < self.network.loss
        self.lost[name] = lost
        return lost

    async def _delay(self) -> None:
        await asyncio.sleep(self.network.random.uniform(*self.network.delay_s))
