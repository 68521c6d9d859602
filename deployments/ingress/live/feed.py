"""The live feed of one replica: what records, what tells, what shows, and the one loop that drives them.

While nobody watches anywhere, all it does is to ask Redis once a second whether somebody does.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from deployments.ingress.live.channel import Channel
from deployments.ingress.live.frames import INTERVAL_MS
from deployments.ingress.live.hub import Hub
from deployments.ingress.live.publisher import Publisher
from deployments.ingress.live.recorder import Recorder
from deployments.router.contract import Pools, RouterAwayError
from policies import Limiter, StoreError
from policies.resolver import Resolver

INTERVAL_S = INTERVAL_MS / 1000

LOOK_S = 1.0
"""How often a replica asks whether anybody watches."""

STATISTICS_S = 0.5
"""How often the router is asked while anybody watches here."""

UNASKED_S = 5.0
"""A replica whose health nobody has asked for so long is being ended (Ray Serve asks those that stay every two seconds,
and says nothing to those that go). It would be waited for while it has viewers, and then be killed under them: so they
are sent away. Where it was no more than a busy controller, they have connected again at once."""

_log = logging.getLogger(__name__)


class Feed:
    """One for each ingress replica."""

    def __init__(self, limiter: Limiter, pools: Pools, resolver: Callable[[], Resolver]) -> None:
        self.recorder = Recorder()
        self._channel, self._pools = Channel(limiter), pools
        self._publisher = Publisher(self.recorder, self._channel, pools)
        self.hub = Hub(limiter, self._channel, resolver)
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.closing = False
        self._asked_at = float("inf")

    def asked(self) -> None:
        """Somebody has asked for this replica's health."""
        self._asked_at = time.monotonic()

    def start(self) -> None:
        """Begins to look whether anybody watches; again does nothing."""
        if not self._tasks and not self.closing:
            # Empty contexts: they outlive the request that happened to start them.
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(_forever(each), context=contextvars.Context()) for each in (self._beat, self._ask)
            ]

    def watch(self) -> None:
        """Somebody watches here."""
        self.start()
        self.recorder.watched = True
        self._wake.set()

    async def now_ms(self) -> int:
        """The server's time; where Redis does not answer, as far as it is known."""
        try:
            return (await self._channel.tell(None))[1]
        except StoreError:
            return self.hub.now_ms()

    async def close(self) -> None:
        """Ends every stream, and then itself."""
        self.closing = True
        self.hub.end_all("closing")
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat(self) -> None:
        if not (self.hub.viewers or self.recorder.watched):
            self._wake.clear()
            try:
                await self._publisher.look()
            except StoreError:
                _log.debug("whether anybody watches is not known: Redis does not answer")
            if not self.recorder.watched:
                await _within(LOOK_S, self._wake.wait())
            return
        began = time.monotonic()
        if began - self._asked_at > UNASKED_S:
            self._asked_at = began
            self.hub.end_all("closing")
        watched_here = self.hub.viewers > 0
        work: list[Coroutine[Any, Any, None]] = [self._tell(watched_here)]
        if watched_here:
            work.append(self.hub.tick())
        await asyncio.gather(*work)
        await asyncio.sleep(max(0.0, INTERVAL_S - (time.monotonic() - began)))

    async def _tell(self, watched_here: bool) -> None:
        try:
            await self._publisher.tell(watched_here=watched_here)
        except StoreError:
            _log.debug("what happened here could not be told: Redis does not answer")

    async def _ask(self) -> None:
        if not self.hub.viewers:
            await asyncio.sleep(STATISTICS_S)
            return
        try:
            statistics = await self._pools.statistics()
        except RouterAwayError:
            await asyncio.sleep(STATISTICS_S)
            return
        self.hub.pools.said(statistics, time.monotonic())
        await asyncio.sleep(STATISTICS_S)


async def _within(limit_s: float, waiting: Coroutine[Any, Any, Any]) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await waiting
    except TimeoutError:
        return


async def _forever(step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await step()
        except Exception:  # noqa: BLE001 - were this loop to end, nobody would be shown anything any more
            _log.exception("the live feed failed, and goes on")
            await asyncio.sleep(LOOK_S)
