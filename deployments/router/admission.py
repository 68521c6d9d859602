"""The ingress's exchange with the router: slots for requests, calls in the background.

What is decided here is decided by `exchange.holder`; this module carries its reports and wakes who waits. It knows
nothing of Ray: how a call reaches the router is handed in.
"""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from deployments.router.contract import (
    AdmissionError,
    PoolUnavailableError,
    QueueFullError,
    QueueTimeoutError,
    RouterAwayError,
)
from deployments.router.exchange.holder import Slot, SlotHolder
from deployments.router.exchange.messages import News, Refused, RefusedFor, Report, Wanted
from deployments.router.exchange.timing import TICK_S

RETRY_S = 0.1
"""Pause before the next call after one that failed."""

Exchange = Callable[[Report, bool], Awaitable[News]]
"""Sends a report, and raises `RouterAwayError` where no answer comes. True: the router may take a heartbeat's time."""

_REFUSALS: Mapping[RefusedFor, type[AdmissionError]] = {
    "queue_full": QueueFullError,
    "queue_timeout": QueueTimeoutError,
    "pool_gone": PoolUnavailableError,
}

_log = logging.getLogger(__name__)


class Admission:
    """One for each ingress replica; used from one event loop."""

    def __init__(
        self,
        ingress: str,
        exchange: Exchange,
        clock: Callable[[], float],
        longest_waits_s: Mapping[str, float],
    ) -> None:
        """`ingress`: a name that no other process has had. `longest_waits_s`: of each band, for while the router is
        away."""
        self._exchange, self._clock, self._longest_waits_s = exchange, clock, longest_waits_s
        self._wake = asyncio.Event()
        self.holder = SlotHolder(ingress, clock, self._wake.set)
        self._tasks: list[asyncio.Task[None]] = []
        self.calls = 0
        """Calls to the router, those that wait for its news included."""

    async def admit(self, wanted: Wanted) -> Slot:
        """A slot; `release` must follow. At once and without a call where a lease is unused, else through the queue.

        Raises `AdmissionError`. A caller that is cancelled leaves the queue.
        """
        slot = self.holder.take(wanted)
        if slot is not None:
            return slot
        self.start()
        settled: asyncio.Future[Slot | Refused] = asyncio.get_running_loop().create_future()
        longest_s = self._longest_waits_s.get(wanted.band, wanted.wait_s)
        if longest_s < wanted.wait_s:
            wanted = replace(wanted, wait_s=longest_s)
        ticket = self.holder.ask(wanted, lambda outcome: self._settle(settled, outcome))
        try:
            outcome = await settled
        except asyncio.CancelledError:
            self.holder.leave(ticket)
            if settled.done() and not settled.cancelled():  # granted, and cancelled before it could go on
                self._nobody_takes(settled.result())
            raise
        if isinstance(outcome, Refused):
            raise _REFUSALS[outcome.reason](f"no slot of pool {wanted.pool!r}: {outcome.reason}", outcome.retry_after_s)
        return outcome

    def release(self, slot: Slot, tokens: int | None) -> None:
        """The request has ended, however it did, having used `tokens`; None where it never ran."""
        self.holder.release(slot, tokens)

    def start(self) -> None:
        """Begins to talk to the router, where that has not begun yet."""
        if not self._tasks:
            self._tasks = [self._forever(step) for step in (self._listen, self._speak, self._tick)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _settle(self, settled: "asyncio.Future[Slot | Refused]", outcome: Slot | Refused) -> None:
        if settled.done():  # cancelled, and its request has not run yet to say so
            self._nobody_takes(outcome)
        else:
            settled.set_result(outcome)

    def _nobody_takes(self, outcome: Slot | Refused) -> None:
        if isinstance(outcome, Slot):
            self.holder.release(outcome, None)

    async def _listen(self) -> None:
        await self._call(wait=True)

    async def _speak(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        try:
            await self._call(wait=False)
        except RouterAwayError:
            self._wake.set()
            raise

    async def _tick(self) -> None:
        self.holder.tick()
        await asyncio.sleep(TICK_S)

    async def _call(self, *, wait: bool) -> None:
        report, sent_at = self.holder.report(), self._clock()
        self.calls += 1
        self.holder.hear(await self._exchange(report, wait), sent_at)

    def _forever(self, step: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None]":
        async def repeat() -> None:
            while True:
                try:
                    await step()
                except RouterAwayError:
                    await asyncio.sleep(RETRY_S)
                except Exception:  # noqa: BLE001 - were this loop to end, no request would ever be admitted again
                    _log.exception("the exchange with the router failed, and goes on")
                    await asyncio.sleep(RETRY_S)

        # An empty context: Ray Serve cancels what carries the context of a request whose client has left.
        return asyncio.get_running_loop().create_task(repeat(), context=contextvars.Context())
