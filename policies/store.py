"""Redis as the limiter sees it: scripts go in, replies come out, drivers' errors become ours.

Calls made in the same turn of the event loop travel together as one pipeline, and while that one is under way the
next gathers: a process under load makes few, large exchanges. The replies come back one by one, so what travels
together shares the network's cost and nothing else. What the scripts mean is `policies.limiter`'s business.

Connections are the client's pool's (which knows addresses, passwords, TLS and Sentinel), kept as long as the store is
open and used directly: the driver's ways of sending a command resend it after a broken connection or a timeout, and
an acquire that was resent might be counted twice.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as DriverConnectionError
from redis.exceptions import TimeoutError as DriverTimeoutError

from policies.breaker import Breaker
from policies.counts import LimiterCounts
from policies.errors import StoreError, StoreRefusedError, StoreTimeoutError, StoreUnavailableError
from policies.scripts import Script
from policies.sentinel import PrimaryWatch

LANES = 2
"""Exchanges under way at once. One would idle while its replies are read; more than two gain nothing."""

BATCH = 128
"""Most calls in one exchange: keeps one pipeline to a few milliseconds of the server's time."""

ABANDON_S = 2.0
"""How long an exchange waits for replies that their callers gave up on. Within it a frozen Redis may come back, and
what it admitted for nobody is cancelled; after it the connection is given up, and that leaves by its window."""

STALLED_S = 0.002
"""A timer of the event loop that is later than this means that the process stood still when it was due."""

TURNS = 4
"""Turns of the event loop that a reply needs from the socket to its caller, or a call from its caller to the socket. In
an idle process they take no time; in an overloaded one, longer than Redis."""

MOST_DEADLINES = 20
"""How many times its deadline a call may take while this process, and not Redis, is what is slow."""

IDLE_S = 0.1
"""A connection unused for longer is looked at before it is used: Redis may have closed it meanwhile."""

_NOT_SERVING = ("READONLY", "MASTERDOWN")
"""Refusals by a Redis that is not the primary (any more), also from inside a script: connect anew."""

Reply = Any
"""Bytes, or a list of whole numbers and bytes, as the script's header says."""


@dataclass(slots=True)
class _Call:
    future: "asyncio.Future[Reply]"
    script: Script
    command: bytes
    on_late: Callable[[Reply], None] | None
    share: Hashable | None
    asking: bool = False
    """Sent behind ASKING: to the node of a Cluster that is about to take the slot over."""
    sharers: "list[_Call]" = field(default_factory=list)
    """Calls of the same `share` that came while this one waited to be sent, and are not sent themselves."""

    def with_sharers(self) -> "list[_Call]":
        return [self, *self.sharers]

    def finish(self, reply: "Reply | StoreError") -> None:
        if self.future.done():  # the caller gave up: what was admitted for it must be given back
            if self.on_late is not None and not isinstance(reply, StoreError):
                self.on_late(reply)
        elif isinstance(reply, StoreError):
            self.future.set_exception(reply)
        else:
            self.future.set_result(reply)

    def left(self) -> None:
        """The caller was cancelled: it may have been between the answer and its own turn to see it."""
        if not self.future.cancelled() and self.future.exception() is None and self.on_late is not None:
            self.on_late(self.future.result())


class RedirectedError(StoreUnavailableError):
    """A node of a Redis Cluster says that the keys are another's, or on their way there. Nothing was done."""

    def __init__(self, redirection: AskError | TryAgainError) -> None:
        super().__init__("this Redis is a node of a Redis Cluster: connect to it as redis+cluster://")
        self.redirection = redirection


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
        self._redis, self._pool = redis, redis.connection_pool
        self._deadline_s = deadline_s
        self._breaker = breaker or Breaker()
        self._counts = counts or LimiterCounts()
        self._waiting: deque[_Call] = deque()
        self._sharing: dict[Hashable, _Call] = {}
        """The waiting call that others of the same share may join."""
        self._lanes = 0
        self._idle: list[tuple[AbstractConnection, float]] = []
        """The store's connections that are not in use, connected or not, each with the time when it was last used."""
        self._made: list[tuple[AbstractConnection, Retry, float | None]] = []
        """Connections of the client's pool in use here, with what was changed of them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch = PrimaryWatch(self._pool)

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
        call = _Call(loop.create_future(), script, command, on_late, share, asking)
        if share is not None and (first := self._sharing.get(share)) is not None:
            first.sharers.append(call)
        else:
            self._waiting.append(call)
            if share is not None:
                self._sharing[share] = call
        if self._lanes < LANES:
            self._lanes += 1
            # An empty context: the exchange outlives the request that happened to start it, and Ray Serve cancels
            # whatever carries the context of a request whose client has left.
            task = loop.create_task(self._exchange_all(), context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
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
            raise _unavailable(error) from error
        self._breaker.answered()

    def _expire(self, call: _Call, deadline_s: float, due: float, latest: float, turns: int = TURNS) -> None:
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

    async def close(self) -> None:
        """Waits for what is under way, and gives the connections back. The client is its owner's."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._watch.close()
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.disconnect()
            await self._pool.release(connection)
        for connection, retry, socket_timeout in self._made:
            connection.retry, connection.socket_timeout = retry, socket_timeout

    async def _exchange_all(self) -> None:
        try:
            while self._waiting:
                batch: list[_Call] = []
                while self._waiting and len(batch) < BATCH:
                    call = self._waiting.popleft()
                    if call.share is not None:
                        self._sharing.pop(call.share, None)
                    # Those that nobody waits for any more are not sent at all.
                    alive = [each for each in call.with_sharers() if not each.future.done()]
                    if alive:
                        alive[0].sharers = alive[1:]
                        batch.append(alive[0])
                if batch:
                    await self._exchange(batch)
        finally:
            self._lanes -= 1

    async def _exchange(self, batch: list[_Call]) -> None:
        connection: AbstractConnection | None = None
        unanswered, unknown = deque(batch), deque[_Call]()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ABANDON_S):
                connection, used = self._idle.pop() if self._idle else (self._make_connection(), 0.0)
                if self._watch.left(connection):
                    await connection.disconnect(nowait=True)
                    used = 0.0
                if loop.time() - used > IDLE_S:
                    async with self._watch.looking_up:
                        await _connect(connection)
                sent_at = loop.time()
                await self._send(connection, unanswered, unknown)
                if unknown:
                    for script in {call.script.name: call.script for call in unknown}.values():
                        await connection.send_command("SCRIPT", "LOAD", script.source)
                        await connection.read_response()
                    unanswered, unknown = unknown, deque()
                    await self._send(connection, unanswered, unknown)
                    for call in unknown:
                        call.finish(StoreRefusedError("Redis forgets its scripts as soon as they are loaded"))
            answered_at = loop.time()
            self._counts.exchange.add(answered_at - sent_at)
            self._idle.append((connection, answered_at))
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed()
            self._counts.redis_failures["exchange"] += 1
            if connection is not None:
                await connection.disconnect(nowait=True)
                self._idle.append((connection, 0.0))
            failure = _unavailable(error)
            for first in (*unanswered, *unknown):
                for call in first.with_sharers():
                    call.finish(failure)

    async def _send(self, connection: AbstractConnection, unanswered: deque[_Call], unknown: deque[_Call]) -> None:
        """Sends calls and hands out their replies. Those without one stay in `unanswered`; those whose script Redis
        does not know, and which were therefore not run, go to `unknown`."""
        await connection.send_packed_command(b"".join([call.command for call in unanswered]))
        while unanswered:
            call = unanswered[0]
            try:
                if call.asking:
                    await connection.read_response()
                # Bytes as they are, also where the client's owner has replies decoded.
                reply: Reply | StoreError = await connection.read_response(disable_decoding=True)
            except NoScriptError:
                unknown.append(unanswered.popleft())
                continue
            except (DriverConnectionError, DriverTimeoutError):
                raise
            except (AskError, TryAgainError) as error:  # it was not run
                self._breaker.answered()
                reply = RedirectedError(error)
            except ResponseError as error:
                if isinstance(error, ReadOnlyError | ClusterError) or any(word in str(error) for word in _NOT_SERVING):
                    raise
                reply = StoreRefusedError(f"Redis refused: {error}")
            else:
                self._breaker.answered()
            unanswered.popleft()
            call.finish(reply)
            if not call.sharers:
                continue
            if not isinstance(reply, StoreError) and reply[0] != 0:
                for sharer in call.sharers:
                    sharer.share = None
                self._waiting.extendleft(reversed(call.sharers))
            else:
                for sharer in call.sharers:
                    sharer.finish(reply)

    def _make_connection(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.get_available_connection()  # type: ignore[no-untyped-call] # the driver's
        self._made.append((connection, connection.retry, connection.socket_timeout))
        connection.retry = Retry(NoBackoff(), 0)  # callers wait; when to try again is the breaker's business
        connection.socket_timeout = None  # the exchange has a limit of its own, and the driver's costs a task a call
        return connection


async def _connect(connection: AbstractConnection) -> None:
    """Connects where it is not, or where Redis closed it (or left something unread) while nobody looked."""
    await connection.connect()  # type: ignore[no-untyped-call] # the driver's
    try:
        stale = await connection.can_read()
    except (RedisError, OSError):
        stale = True
    if stale:
        await connection.disconnect(nowait=True)
        await connection.connect()  # type: ignore[no-untyped-call] # the driver's


def _unavailable(error: Exception) -> StoreError:
    if isinstance(error, DriverTimeoutError | TimeoutError):
        return StoreTimeoutError(f"Redis did not answer in time: {error}")
    if isinstance(error, ResponseError) and not isinstance(error, DriverConnectionError):
        return StoreUnavailableError(f"Redis does not serve: {error}")
    return StoreUnavailableError(f"Redis cannot be reached: {error}")
