"""The limiter: decides charges on an exact sliding-window log, all or nothing.

The algorithm is in `lua/log.lua`; here requests become script calls and replies become `Decision`s. Which charges a
request has is `policies.resolver`'s business, how scripts reach Redis `policies.store`'s, what is decided when they do
not `policies.degraded`'s.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from secrets import token_urlsafe

from redis.asyncio import Redis

from policies.decision import Actual, Charge, Decision, Window
from policies.degraded import Degraded
from policies.entities import MAX_COST, Unit
from policies.errors import CostExceedsLimitError, InvalidChargeError, StoreError
from policies.places import LEASE, Place, Places, window_of
from policies.scripts import ACQUIRE, RENEW, SETTLE
from policies.store import RedisStore, Reply

DEADLINE_S = 0.05
"""How long a check may take where the caller names nothing else."""

MOST_DENIED = 10_000
"""How many requests are remembered as denied when they were last asked."""

_SETTLED = struct.Struct(">BQQQQQ")
_PER_CHARGE = 5
_EVERYTHING_BACK: Actual = {unit: 0 for unit in Unit}  # noqa: C420 # fromkeys would be a dict of Unit, not of str


class Limiter:
    """An exact sliding-window log over Redis, shared by every process that uses the same Redis and prefix.

    A request is admitted if and only if, for every charge, what was logged in the window ending now plus its cost is
    within the limit; now is the Redis server's clock. Concurrent calls from one process travel together.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str = "sluice",
        deadline_s: float = DEADLINE_S,
        replicas: int = 1,
        steered_clock: Callable[[], float] | None = None,
    ) -> None:
        """`redis`: a redis.asyncio client. `prefix`: first part of every key. `deadline_s`: seconds for one call.

        `replicas`: how many processes share the limits of policies with `on_redis_failure: local`; may be set later.
        `steered_clock` is for tests: seconds since 1970 that stand in for the server's clock.
        """
        self._store = RedisStore(redis, deadline_s)
        self._places = Places(prefix)
        self._degraded = Degraded(replicas)
        self._denied: set[bytes] = set()
        """Requests that were denied when they were last asked."""
        self._steered_clock = steered_clock
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def replicas(self) -> int:
        """How many processes share the limits of policies with `on_redis_failure: local`."""
        return self._degraded.replicas

    @replicas.setter
    def replicas(self, count: int) -> None:
        self._degraded.replicas = max(1, count)

    async def acquire(self, charges: Sequence[Charge]) -> Decision:
        """Admits the request and logs all of its charges, or denies it and logs nothing.

        Raises `CostExceedsLimitError` where waiting can never help and `InvalidChargeError` for a cost out of range or
        a window charged twice. Where Redis does not answer, each policy's `on_redis_failure` decides; `StoreError`
        where one says `deny`. Redis is then never asked again, since it may have admitted the request (an admission
        whose answer comes late is cancelled).
        """
        return await self._decide(charges, log=True)

    async def peek(self, charges: Sequence[Charge]) -> Decision:
        """What `acquire` would answer now; logs nothing. `used` and `remaining` are as before the request."""
        return await self._decide(charges, log=False)

    async def settle(self, decision: Decision, actual: Actual | None = None) -> None:
        """Ends an admitted request: its leases go back, and reservations become what was really used.

        What was used within the reservation counts at the reservation's own time; what was used beyond it is logged
        as of now. A reservation that has left its window has nothing to give back. Settling twice changes nothing.
        """
        await self._settle(decision, {} if actual is None else actual)

    async def cancel(self, decision: Decision) -> None:
        """Takes an admitted request back, as though it had never been asked."""
        await self._settle(decision, _EVERYTHING_BACK)

    async def renew(self, decision: Decision) -> bool:
        """Prolongs the leases of a request that still runs; call it well within the lease.

        False: a lease had already run out, and its slot may be another's.
        """
        leasing = [place for charge in decision._charges if (place := self._places.of(charge)).is_lease]
        if not leasing or not decision.allowed:
            return True
        if decision.degraded:
            return self._degraded.renew(decision, [self._places.of(charge) for charge in decision._charges])
        args = [self._steered_ms()]
        for charge in decision._charges:
            if charge.policy.is_lease:
                args += [decision.id.encode(), b"%d" % charge.cost, b"%d" % charge.policy.window]
        return all(await self._store.run(RENEW, _keys(leasing), args))

    async def ping(self) -> None:
        """Returns when the store answers; raises `StoreError` where it does not."""
        await self._store.ping()

    async def close(self) -> None:
        """Waits for calls under way. The Redis client stays open: it is the caller's."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._store.close()

    async def _decide(self, charges: Sequence[Charge], *, log: bool) -> Decision:
        kept: list[Charge] = []
        places: list[Place] = []
        asked: list[bytes] = []
        for charge in charges:
            place, cost = self._places.of(charge), charge.cost
            if place.off:
                continue
            if cost.__class__ is not int or not 1 <= cost <= MAX_COST:
                raise InvalidChargeError(
                    f"cost {cost!r} for policy {charge.policy.name!r} must be a whole number from 1 to {MAX_COST:_}"
                )
            if cost > place.limit and place.enforced:
                raise CostExceedsLimitError(charge.policy.name, place.unit, cost, place.limit)
            kept.append(charge)
            places.append(place)
            asked.append(place.asked(cost))
        if len({place.log_key for place in places}) != len(places):
            raise InvalidChargeError(_charged_twice(places))
        identifier = token_urlsafe(9)
        if not kept:
            return Decision(identifier, True, 0.0, None, 0.0, ())

        def give_back(reply: Reply) -> None:
            late = _decision(identifier, kept, places, reply, logged=True)
            if late.allowed:
                task = asyncio.get_running_loop().create_task(self._cancel_late(late))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        packed, keys, steered = b"".join(asked), _keys(places), self._steered_ms()
        # Only a guess at what pays: a request that is denied over and over is asked once for all who wait for it.
        share = b"".join((b"1" if log else b"0", steered, packed, keys[1]))
        args = (packed, identifier.encode(), share[:1], steered)
        try:
            reply = await self._store.run(
                ACQUIRE, keys, args, give_back if log else None, share if share in self._denied else None
            )
        except StoreError as error:
            return self._degraded.decide(identifier, kept, places, error, log=log)
        if reply[0] == 1:
            self._denied.discard(share)
        else:
            if len(self._denied) >= MOST_DENIED:
                self._denied.clear()
            self._denied.add(share)
        return _decision(identifier, kept, places, reply, logged=log)

    async def _cancel_late(self, decision: Decision) -> None:
        try:
            await self.cancel(decision)
        except StoreError:  # Redis went again: what was admitted leaves by its window
            return

    async def _settle(self, decision: Decision, actual: Actual) -> None:
        ending = decision._ending
        if not decision.allowed or ending.done:
            return
        places: list[Place] = []
        packed: list[bytes] = []
        uses: list[int] = []
        for charge, (entry_ms, ordinal) in zip(decision._charges, decision._entries, strict=True):
            used = actual.get(charge.policy.unit, charge.cost)
            if not 0 <= used <= MAX_COST:
                raise InvalidChargeError(
                    f"actual {charge.policy.unit} {used!r} must be a whole number from 0 to {MAX_COST:_}"
                )
            uses.append(used)
            place = self._places.of(charge)
            if entry_ms and (place.is_lease or used != charge.cost):
                places.append(place)
                flags = LEASE if place.is_lease else 0
                packed.append(_SETTLED.pack(flags, place.window_ms, entry_ms, ordinal, charge.cost, used))
        ending.done = True
        if decision.degraded:
            self._degraded.settle(decision, [self._places.of(charge) for charge in decision._charges], uses)
        if places:
            try:
                await self._store.run(
                    SETTLE, _keys(places), (b"".join(packed), decision.id.encode(), self._steered_ms())
                )
            except BaseException:  # it may be sent again: an entry remembers that it was settled
                ending.done = False
                raise

    def _steered_ms(self) -> bytes:
        return b"" if self._steered_clock is None else b"%d" % round(self._steered_clock() * 1000)


def _keys(places: Sequence[Place]) -> tuple[int, bytes]:
    return sum([len(place.keys) for place in places]), b"".join([place.keys_wire for place in places])


def _charged_twice(places: Sequence[Place]) -> str:
    keys = [place.log_key for place in places]
    name = next(place.policy.name for place in places if keys.count(place.log_key) > 1)
    return f"policy {name!r} is charged twice for the same subject: add the costs up"


def _decision(
    identifier: str, charges: Sequence[Charge], places: Sequence[Place], reply: Reply, *, logged: bool
) -> Decision:
    allowed, now_ms = reply[0] == 1, reply[1]
    took = allowed and logged
    windows: list[Window] = []
    entries: list[tuple[int, int]] = []
    denied_by, longest_ms = None, 0
    at = 2
    for charge, place in zip(charges, places, strict=True):
        used, retry_ms, oldest_ms, entry_ms, ordinal = reply[at : at + _PER_CHARGE]
        at += _PER_CHARGE
        cost = charge.cost
        if took:
            used += cost
        if retry_ms > longest_ms and place.enforced:
            denied_by, longest_ms = place.policy.name, retry_ms
        reset_ms = oldest_ms + place.window_ms - now_ms if oldest_ms else 0
        windows.append(window_of(place, cost, used, retry_ms, reset_ms))
        entries.append((entry_ms, ordinal))
    return Decision(
        identifier,
        allowed,
        longest_ms / 1000,
        denied_by,
        now_ms / 1000,
        tuple(windows),
        False,
        tuple(charges),
        tuple(entries),
    )
