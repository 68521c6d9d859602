"""The router at work: answers ingresses' calls, and does what time alone changes. Without Ray.

The books are `exchange.book`'s; the deployment around it, which follows the replicas, `deployments.router.deployment`.
"""

import asyncio
import contextvars
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress

from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import News, Report
from deployments.router.exchange.timing import HEARTBEAT_S, TICK_S

_log = logging.getLogger(__name__)

Capacities = Callable[[Mapping[str, int]], Mapping[str, int | None]]
"""Is told how many requests wait for each pool, and says how many slots each has on running replicas; None where there
are no replicas and none will come."""


class RouterService:
    """One for each router process; used from one event loop."""

    def __init__(self, book: SlotBook, capacities: Capacities) -> None:
        self.book = book
        self._capacities = capacities
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._task: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        """Of the last look, where it failed."""

    async def exchange(self, report: Report, wait: bool) -> News:
        """Takes a report and answers it. `wait`: not before there is news, for at most a heartbeat's time."""
        self.start()
        self.book.take(report)
        self._wake()
        if wait and not self.book.must_answer(report):
            news = self._news[report.ingress]
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    while not self.book.must_answer(report):
                        news.clear()
                        await news.wait()
        return self.book.news(report)

    def start(self) -> None:
        """Begins to watch the time, where that has not begun yet. Raises what keeps it from being watched."""
        if self._task is None:
            self._look()
            # An empty context: Ray Serve cancels what carries the context of a request that has ended.
            self._task = asyncio.get_running_loop().create_task(self._watch(), context=contextvars.Context())

    def check(self) -> None:
        """Starts, and raises what keeps this from going on, where something does."""
        self.start()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - were this to end, nothing would expire and no capacity be followed
                if self._failure is None:  # the first time only; `check` says it as long as it lasts
                    _log.exception("the router's clockwork failed, and goes on")
                self._failure = error
            else:
                self._failure = None

    def _look(self) -> None:
        # The time first: whether this process stood still must be known before anything is granted.
        for gone in self.book.tick():
            self._news.pop(gone, None)
        for pool, slots in self._capacities(self.book.waiting()).items():
            self.book.set_capacity(pool, slots)
        self._wake()

    def _wake(self) -> None:
        for ingress in self.book.with_news():
            self._news[ingress].set()
