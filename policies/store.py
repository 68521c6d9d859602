"""Redis as the limiter sees it: scripts go in, replies come out, drivers' errors become ours.

Calls made in the same turn of the event loop travel together as one pipeline, and while that one is under way the
next gathers: a process under load makes few, large exchanges. The replies come back one by one, so what travels
together shares the network's cost and nothing else. What the scripts mean is `policies.limiter`'s business; what
happens on a connection, `policies.lane`'s.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Hashable, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from policies.breaker import Breaker
from policies.counts import LimiterCounts
from policies.errors import StoreTimeoutError, StoreUnavailableError
from policies.lane import Call, Lane, Reply, unavailable
from policies.scripts import Script
from policies.sentinel import PrimaryWatch

LANES = 2
"""Exchanges under way at once. One would idle while its replies are read; more than two gain nothing."""

BATCH = 128
"""Most calls in one exchange: keeps one pipeline to a few milliseconds of the server's time."""

STALLED_S = 0.002
"""A timer of the event loop that is later than this means that the process stood still when it was due."""

TURNS = 4
"""Turns of the event loop that a reply needs from the socket to its caller, or a call from its caller to the socket. In
an idle process they take no time; in an overloaded one, longer than Redis."""

MOST_DEADLINES = 20
"""How many times its deadline a call may take while this process, and not Redis, is what is slow."""


class RedisStore:
    """Runs scripts on one Redis primary: a plain client, one that follows Sentinel, or a node of a Cluster."""

    grouped = False
    """Whether a script reaches the keys of one hash tag only."""

    def __init__(
        self,
        redis: Redis,
        deadline_s: float,
        breaker: Breaker | None = None,
        counts: LimiterCounts | None = None,
    ) -> None:
        self._redis = redis
        self._deadline_s = deadline_s
        self._breaker = breaker or Breaker()
        self._counts = counts or LimiterCounts()
        self._waiting: deque[Call] = deque()
        self._sharing: dict[Hashable, Call] = {}
        """The waiting call that others of the same share may join."""
        self._gathering = False
        """Whether what waits is to be sent at the end of this turn of the event loop."""
        watch = PrimaryWatch(redis.connection_pool)
        self._watch = watch
        self._lanes = [
            Lane(redis.connection_pool, watch, self._breaker, self._counts, self._freed) for _ in range(LANES)
        ]

    def of(self, tag: str) -> "RedisStore":
        """What runs scripts on keys with this hash tag."""
        return self

    async def primaries(self, tag: str | None = None) -> "list[tuple[str, RedisStore]]":
        """Every node that has keys (with this hash tag), under a name, in order of the names."""
        return [("", self)]

    @property
    def open_circuits(self) -> int:
        """To how many nodes most calls are not even tried now."""
        return int(self._breaker.is_open)

    async def run(
        self,
        script: Script,
        keys: tuple[int, bytes],
        args: Sequence[bytes],
        on_late: Callable[[Reply], None] | None = None,
        share: Hashable | None = None,
        *,
        deadline_s: float | None = None,
        asking: bool = False,
    ) -> Reply:
        """One call of a script, within the deadline. `keys`: how many, and all of them in the wire's form.

        Calls of the same `share` that wait together to be sent are sent as one. Where its reply begins with 0 it has
        changed nothing, so each of the others, run right after it, would have had the same reply: they get it.
        Otherwise they are sent one by one.

        A call that was sent is never sent again, except where Redis said that it does not know the script.
        `on_late` gets the reply if it comes after the caller has gone. `deadline_s`: where less is left than a call
        usually has.
        """
        if not self._breaker.lets_through():
            raise StoreUnavailableError("Redis has not answered lately, and is left alone for a moment")
        loop = asyncio.get_running_loop()
        command = b"*%d\r\n%b$%d\r\n%d\r\n%b%b" % (
            3 + keys[0] + len(args),
            script.wire,
            len(str(keys[0])),
            keys[0],
            keys[1],
            b"".join([b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args]),
        )
        if asking:
            command = b"*1\r\n$6\r\nASKING\r\n" + command
        call = Call(loop.create_future(), script, command, on_late, share, asking)
        if share is not None and (first := self._sharing.get(share)) is not None:
            first.sharers.append(call)
        else:
            self._waiting.append(call)
            if share is not None:
                self._sharing[share] = call
        if not self._gathering:
            self._gathering = True
            loop.call_soon(self._send, context=contextvars.Context())
        deadline_s = self._deadline_s if deadline_s is None else deadline_s
        due = loop.time() + deadline_s
        timer = loop.call_at(due, self._expire, call, deadline_s, due, due + MOST_DEADLINES * deadline_s)
        try:
            return await call.future
        except asyncio.CancelledError:
            call.left()
            raise
        finally:
            timer.cancel()

    async def ping(self) -> None:
        """Returns when Redis answers; raises `StoreError` where it does not within the deadline. An answer closes the
        circuit: who is told that Redis is there is served."""
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise unavailable(error) from error
        self._breaker.answered()

    def _expire(self, call: Call, deadline_s: float, due: float, latest: float, turns: int = TURNS) -> None:
        """Ends a call whose deadline has passed, unless this process had no time to look: it is overloaded, or its loop
        was blocked. Then nobody knows when Redis answered, since the reply may lie here unread."""
        if call.future.done():
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < latest and now - due > STALLED_S:  # what was missed is made up for
            missed_s = min(now - due, deadline_s)
            loop.call_later(missed_s, self._expire, call, deadline_s, now + missed_s, latest)
        elif now < latest and turns:
            loop.call_soon(self._expire, call, deadline_s, now, latest, turns - 1)
        else:
            self._breaker.failed()
            self._counts.redis_failures["timeout"] += 1
            milliseconds = round(deadline_s * 1000)
            call.future.set_exception(StoreTimeoutError(f"Redis did not answer within {milliseconds} ms"))

    async def quiet(self) -> None:
        """Waits until nothing is under way, nor waits to be sent: every `on_late` has been called by then."""
        await asyncio.sleep(0)  # what was asked in this turn is sent
        while (busy := next((lane for lane in self._lanes if lane.busy), None)) is not None:
            await busy.quiet()

    async def close(self) -> None:
        """Waits for what is under way, and gives the connections back. The client is its owner's."""
        await self.quiet()  # all of them, since the one that is free takes what another leaves
        for lane in self._lanes:
            await lane.close()
        await self._watch.close()

    def _send(self) -> None:
        """Sends what waits, as far as there are lanes for it."""
        self._gathering = False
        for lane in self._lanes:
            if not lane.busy and (batch := self._next_batch()):
                lane.send(batch)

    def _freed(self, apart: Sequence[Call]) -> None:
        self._waiting.extendleft(reversed(apart))
        self._send()

    def _next_batch(self) -> list[Call]:
        batch: list[Call] = []
        while self._waiting and len(batch) < BATCH:
            call = self._waiting.popleft()
            if call.share is not None:
                self._sharing.pop(call.share, None)
            # Those that nobody waits for any more are not sent at all.
            alive = [each for each in call.with_sharers() if not each.future.done()]
            if alive:
                alive[0].sharers = alive[1:]
                batch.append(alive[0])
        return batch
