"""The limiter: decides charges on an exact sliding-window log, all or nothing.

The algorithm is in `lua/log.lua`; here requests become script calls and replies become `Decision`s. Which charges a
request has is `policies.resolver`'s business, how scripts reach Redis `policies.store`'s, what is decided when they do
not `policies.degraded`'s.
"""

import asyncio
import contextvars
import struct
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable, Sequence
from itertools import count
from secrets import token_urlsafe
from typing import Any, TypeVar

from redis.asyncio import Redis, RedisCluster

from policies.blocks import Blocks
from policies.cluster import ClusterStore
from policies.counts import LimiterCounts
from policies.decision import Actual, Charge, Decision, Window
from policies.degraded import Degraded
from policies.entities import MAX_COST, Unit
from policies.errors import CostExceedsLimitError, InvalidChargeError, StoreError
from policies.groups import Groups
from policies.lane import Reply
from policies.places import LEASE, Place, Places, keys_of, window_of, wire
from policies.scripts import ACQUIRE, RENEW, SETTLE
from policies.shards import Shards
from policies.store import RedisStore

DEADLINE_S = 0.05
"""How long a check may take where the caller names nothing else."""

MOST_DENIED = 10_000
"""How many requests are remembered as denied when they were last asked."""

PEEKED_AT_ONCE = 32
"""Of how many windows one script tells what they hold, where many are looked at: less than a millisecond's work."""

_SETTLED = struct.Struct(">BQQQQQ")
_ASKING = struct.Struct(">BQ")
_ACQUIRE, _PEEK = _ASKING.pack(1, 0), _ASKING.pack(0, 0)
_ANSWERED, _FOUND = struct.Struct("<BQQ"), struct.Struct("<QqQQQ")
"""The reply of `lua/acquire.lua`: how it begins, and what it says of each charge."""
_HERE = " "
"""Stands among the settled groups for what was counted in this process; no hash tag is a blank."""
_T = TypeVar("_T")
_EVERYTHING_BACK: Actual = {unit: 0 for unit in Unit}  # noqa: C420 # fromkeys would be a dict of Unit, not of str


class Limiter:
    """An exact sliding-window log over Redis, shared by every process that uses the same Redis and prefix.

    A request is admitted if and only if, for every charge, what was logged in the window ending now plus its cost is
    within the limit; now is the Redis server's clock. Concurrent calls from one process travel together. It belongs
    to one event loop, the one in which it is used first, as its client does.
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        *,
        prefix: str = "sluice",
        deadline_s: float = DEADLINE_S,
        replicas: int = 1,
        steered_clock: Callable[[], float] | None = None,
    ) -> None:
        """`redis`: a redis.asyncio client: of one Redis, of Sentinel's primary (`sentinel.master_for(…)`), or a
        `RedisCluster`; `policies.connect` makes one of a URL. `prefix`: first part of every key. `deadline_s`: seconds
        for one call.

        `replicas`: how many processes share the limits of policies with `on_redis_failure: local`; may be set later.
        `steered_clock` is for tests: seconds since 1970 that stand in for the server's clock.
        """
        self.counts = LimiterCounts()
        """What it has done in this process."""
        self._store: RedisStore | ClusterStore = (
            ClusterStore(redis, deadline_s, self.counts)
            if isinstance(redis, RedisCluster)
            else RedisStore(redis, deadline_s, counts=self.counts)
        )
        self._deadline_s = deadline_s
        self._groups = Groups(self._decide_group, self._take_back, deadline_s)
        self._shards = Shards(steered_clock or time.monotonic)
        self._places = Places(prefix)
        self.prefix = prefix
        """First part of every key."""
        self._degraded = Degraded(replicas, counts=self.counts)
        self._blocks = Blocks()
        # Ids of decisions: nobody else's beginning, and a count. Made for every request, so asking the system for
        # randomness each time would show.
        self._id, self._numbers = token_urlsafe(9), count()
        self.would_have_denied: Counter[str] = Counter()
        """How many requests each policy in shadow mode would have denied in this process, by the policy's name, since
        whoever counts them on put an empty one in its place."""
        self._denied: set[Hashable] = set()
        """Requests that were denied when they were last asked."""
        self._last: tuple[Reply, Decision | None] = (b"", None)
        """The last reply, and what was made of it: those who share a denial share its windows."""
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

    async def peek_each(self, charges: Sequence[Charge], deadline_s: float = 2.0) -> list[Window]:
        """Each window as it is now, for those who look at many that have nothing to do with one another. Leaves no
        trace in this process either, and raises `StoreError` where Redis does not answer."""
        found: list[Window] = []
        for first in range(0, len(charges), PEEKED_AT_ONCE):
            asked = charges[first : first + PEEKED_AT_ONCE]
            groups: dict[str, list[tuple[int, Charge, Place]]] = {}
            for at, each in enumerate(asked):
                place = Place(each.policy, each.subject, each.slot, each.shard, self.prefix)
                groups.setdefault(self._group_of(place), []).append((at, each, place))
            pieces = await _each([self._peek_group(tag, group, deadline_s) for tag, group in groups.items()])
            by_place = {at: window for piece in pieces for at, window in piece}
            found += [by_place[at] for at in range(len(asked))]
        return found

    async def _peek_group(
        self, tag: str, group: Sequence[tuple[int, Charge, Place]], deadline_s: float
    ) -> list[tuple[int, Window]]:
        ats, charges, places = zip(*group, strict=True)
        # Without the flag of a block: what the window holds is asked, not whether a request would be let in.
        asked = [place.asked_past_block(charge.cost) for charge, place in zip(charges, places, strict=True)]
        args = (self._asking(log=False) + b"".join(asked), b"")
        reply = await self._store.of(tag).run(ACQUIRE, keys_of(places), args, deadline_s=deadline_s)
        return list(zip(ats, _decision("", charges, places, reply, logged=False).windows, strict=True))

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
        if not decision.holds_leases:
            return True
        renewed = True
        if decision.degraded:
            renewed = self._degraded.renew(decision, [self._places.of(charge) for charge in decision._charges])
        groups: dict[str, tuple[list[Place], list[bytes]]] = {}
        for charge, (entry_ms, _) in zip(decision._charges, decision._entries, strict=True):
            if charge.policy.is_lease and entry_ms:
                place = self._places.of(charge)
                leases, args = groups.setdefault(self._group_of(place), ([], [self._steered_ms()]))
                leases.append(place)
                args += [decision.id.encode(), b"%d" % charge.cost, b"%d" % charge.policy.window]
        replies = await _each(
            [self._store.of(tag).run(RENEW, keys_of(leases), args) for tag, (leases, args) in groups.items()]
        )
        return renewed and all(all(reply) for reply in replies)

    @property
    def store(self) -> RedisStore | ClusterStore:
        """What runs scripts; for what is kept beside the windows or read of them."""
        return self._store

    async def ping(self) -> None:
        """Returns when the store answers; raises `StoreError` where it does not."""
        await self._store.ping()

    async def close(self) -> None:
        """Waits for calls under way. The Redis client stays open: it is the caller's."""
        await self._store.quiet()  # what is admitted for nobody until then has a task that gives it back
        while self._tasks:
            await asyncio.wait(self._tasks)
            await self._store.quiet()
        await self._store.close()

    async def _decide(self, charges: Sequence[Charge], *, log: bool) -> Decision:
        kept: list[Charge] = []
        places: list[Place] = []
        split = False
        for charge in charges:
            place, cost = self._places.of(charge), charge.cost
            if place.off:
                continue
            if place.split:
                split, charge = True, self._shards.choose(charge, advance=log)
                place = self._places.of(charge)
            if cost.__class__ is not int or not 1 <= cost <= MAX_COST:
                raise InvalidChargeError(
                    f"cost {cost!r} for policy {charge.policy.name!r} must be a whole number from 1 to {MAX_COST:_}"
                )
            if cost > place.limit and place.enforced:
                raise CostExceedsLimitError(charge.policy.name, place.unit, cost, place.limit)
            kept.append(charge)
            places.append(place)
        self._places.together(places)  # raises where a window is charged twice
        identifier = f"{self._id}{next(self._numbers):x}"
        if not kept:
            return Decision(identifier, True, 0.0, None, 0.0, ())
        if self._store.grouped:
            decision = await self._groups.decide(identifier, kept, places, log=log)
        else:
            decision = await self._decide_group(identifier, kept, places, self._deadline_s, log=log)
        if split:
            self._shards.learn(kept, decision.windows)
        return decision

    async def _decide_group(
        self, identifier: str, charges: Sequence[Charge], places: Sequence[Place], deadline_s: float, *, log: bool
    ) -> Decision:
        """Decides charges that one script reaches. Its parts are those of `_decide`."""

        def give_back(reply: Reply) -> None:
            late = _decision(identifier, charges, places, reply, logged=True)
            if late.allowed:
                self._take_back(late)

        together = self._places.together(places)
        asked = self._asking(log=log) + together.asked([charge.cost for charge in charges])
        # Only a guess at what pays: a request that is denied over and over is asked once for all who wait for it.
        share, blocks = (together, asked), together.blocks
        # Each denial is to be counted by a block, so none is shared; once blocked, the request is answered from memory.
        if blocks and log and (recalled := self._blocks.recall(share, identifier)) is not None:
            self.counts.from_memory += 1
            return recalled
        sent_at = self._blocks.now()
        try:
            reply = await self._store.of(places[0].tag).run(
                ACQUIRE,
                together.keys,
                (asked, identifier.encode()),
                give_back if log else None,
                share if share in self._denied else None,
                deadline_s=deadline_s,
            )
        except StoreError as error:
            return self._degraded.decide(identifier, charges, places, error, log=log)
        if reply[0] == 1:
            self._denied.discard(share)
        elif not blocks:
            if len(self._denied) >= MOST_DENIED:
                self._denied.clear()
            self._denied.add(share)
        last_reply, last = self._last
        if last is not None and reply is last_reply and not last.allowed:
            decision = Decision(
                *(identifier, False, last.retry_after_s, last.denied_by, last.time_s, last.windows),
                _charges=last._charges,
                _entries=last._entries,
            )
        else:
            decision = _decision(identifier, charges, places, reply, logged=log)
            self._last = reply, decision
        if blocks and log and (blocked_ms := _ANSWERED.unpack_from(reply)[2]):
            self._blocks.remember(share, decision, sent_at, blocked_ms / 1000)
        if log and together.shadow:
            for window in decision.windows:
                if not window.enforced and not window.fits:
                    self.would_have_denied[window.policy] += 1
        return decision

    def _take_back(self, decision: Decision) -> "asyncio.Task[None]":
        # An empty context: it outlives the request, and Ray Serve cancels what carries one whose client has left.
        task = asyncio.get_running_loop().create_task(self._cancel_late(decision), context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _cancel_late(self, decision: Decision) -> None:
        try:
            await self.cancel(decision)
        except StoreError:  # Redis went again: what was admitted leaves by its window
            return

    async def _settle(self, decision: Decision, actual: Actual) -> None:
        ending = decision._ending
        if not decision.allowed or ending.done:
            return
        groups: dict[str, tuple[list[Place], list[bytes]]] = {}
        uses: list[int] = []
        for charge, (entry_ms, ordinal) in zip(decision._charges, decision._entries, strict=True):
            used = actual.get(charge.policy.unit, charge.cost)
            if not 0 <= used <= MAX_COST:
                raise InvalidChargeError(
                    f"actual {charge.policy.unit} {used!r} must be a whole number from 0 to {MAX_COST:_}"
                )
            uses.append(used)
            place = self._places.of(charge)
            group = self._group_of(place)
            if entry_ms and (place.is_lease or used != charge.cost) and group not in ending.settled:
                places, packed = groups.setdefault(group, ([], []))
                places.append(place)
                flags = LEASE if place.is_lease else 0
                packed.append(_SETTLED.pack(flags, place.window_ms, entry_ms, ordinal, charge.cost, used))
        ending.done = True
        if decision.degraded and _HERE not in ending.settled:
            ending.settled.add(_HERE)
            self._degraded.settle(decision, [self._places.of(charge) for charge in decision._charges], uses)
        if groups:
            try:
                await _each([self._settle_group(decision, group, *groups[group]) for group in groups])
            except BaseException:  # it may be sent again: an entry remembers that it was settled
                ending.done = False
                raise

    async def _settle_group(self, decision: Decision, group: str, places: list[Place], packed: list[bytes]) -> None:
        keys, once = keys_of(places), b""
        if decision._once_ms:
            once = b"%d" % decision._once_ms
            done = f"{self.prefix}:{{{places[0].tag}}}:!{decision.id}"
            keys = keys[0] + 1, keys[1] + wire(done.encode())
        args = (b"".join(packed), decision.id.encode(), self._steered_ms(), once)
        await self._store.of(group).run(SETTLE, keys, args)
        decision._ending.settled.add(group)

    def _group_of(self, place: Place) -> str:
        """Charges of the same group are reached by one script."""
        return place.tag if self._store.grouped else ""

    def _asking(self, *, log: bool) -> bytes:
        """How what is asked of `lua/acquire.lua` begins."""
        if self._steered_clock is None:
            return _ACQUIRE if log else _PEEK
        return _ASKING.pack(log, round(self._steered_clock() * 1000))

    def _steered_ms(self) -> bytes:
        return b"" if self._steered_clock is None else b"%d" % round(self._steered_clock() * 1000)


async def _each(calls: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """All of them, at once; whichever fails, the others are done first."""
    if len(calls) == 1:
        return [await calls[0]]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


def _decision(
    identifier: str, charges: Sequence[Charge], places: Sequence[Place], reply: Reply, *, logged: bool
) -> Decision:
    admitted, now_ms, _ = _ANSWERED.unpack_from(reply)
    allowed = admitted == 1
    took = allowed and logged
    windows: list[Window] = []
    entries: list[tuple[int, int]] = []
    denied_by, longest_ms = None, 0
    found = _FOUND.iter_unpack(reply[_ANSWERED.size :])
    for charge, place, (used, retry_ms, oldest_ms, entry_ms, ordinal) in zip(charges, places, found, strict=True):
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
