"""Gives back what was acquired, whatever happens: after the reply, off the request's path, and again if Redis fails.

A request registers its decision when it starts (`begin`) and says what it used when it ends (`end`); a request that
holds leases has them renewed in between. If this process dies, leases run out by themselves and reservations stay
in their windows until those have passed: nobody is let over a limit.
"""

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any

from policies.decision import Actual, Charge, Decision
from policies.errors import StoreError
from policies.limiter import Limiter

RENEWALS_PER_LEASE = 3
"""A lease is renewed when a third of it has passed, so two renewals may fail before it runs out."""

ATTEMPTS = 12
"""How often a settlement is tried before its reservation is left to pass with its window: for some 16 s, longer than a
Redis that died takes to be started again."""

LONGEST_PAUSE_S = 2.0
"""Between two attempts; the first pause is 0.1 s, and each is twice the one before."""

_log = logging.getLogger(__name__)


class Settlement:
    """Ends decisions in the background."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewals: dict[str, asyncio.Task[None]] = {}

    def begin(self, decision: Decision) -> None:
        """The request runs: its leases are kept alive until `end` or `undo`."""
        if decision.holds_leases:
            self._renewals[decision.id] = self._spawn(self._renew(decision))

    def end(self, decision: Decision, actual: Actual) -> "asyncio.Task[None] | None":
        """The request has ended and used this much, by unit; units left out stay as reserved. Done when the task is;
        where nothing changes by it, there is none."""
        self._stop_renewing(decision)
        if decision.degraded or any(_to_settle(charge, actual) for charge in decision._charges):
            return self._spawn(self._try("settled", lambda: self._limiter.settle(decision, actual)))
        return None

    def undo(self, decision: Decision) -> "asyncio.Task[None]":
        """The request never ran: as though it had not been asked. Done when the task is."""
        self._stop_renewing(decision)
        return self._spawn(self._try("undone", lambda: self._limiter.cancel(decision)))

    async def close(self) -> None:
        """Waits for settlements under way."""
        for task in self._renewals.values():
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        # An empty context: Ray Serve cancels what carries the context of a request whose client has left.
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _stop_renewing(self, decision: Decision) -> None:
        renewal = self._renewals.pop(decision.id, None)
        if renewal is not None:
            renewal.cancel()

    async def _renew(self, decision: Decision) -> None:
        lease_s = min(window.window_s for window in decision.windows if window.unit == "concurrent_requests")
        told = False
        while True:
            await asyncio.sleep(lease_s / RENEWALS_PER_LEASE)
            try:
                # One that ran out stays out, and is told once; what else the request holds is renewed all the same.
                if not await self._limiter.renew(decision) and not told:
                    told = True
                    self._limiter.counts.leases_expired += 1
                    _log.warning("a lease of decision %s ran out while its request was running", decision.id)
            except StoreError as error:
                _log.warning("a lease of decision %s could not be renewed: %s", decision.id, error)

    async def _try(self, outcome: str, settle: Any) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await settle()
                self._limiter.counts.settlements[outcome] += 1
                return
            except StoreError as error:
                last = error
                if attempt + 1 < ATTEMPTS:
                    await asyncio.sleep(min(0.1 * 2**attempt, LONGEST_PAUSE_S))
        self._limiter.counts.settlements["given_up"] += 1
        _log.error("a settlement was given up after %d attempts: %s", ATTEMPTS, last)


def _to_settle(charge: Charge, actual: Actual) -> bool:
    """Whether anything changes: most requests are charged for nothing but themselves, and have used just that."""
    policy = charge.policy
    return policy.is_lease or actual.get(policy.unit, charge.cost) != charge.cost
