"""One connection to Redis and the exchange under way on it: calls go out together, and their replies come one by one.

Connections are the client's pool's, kept as long as the store is open and used directly (`policies.wire`): the driver's
ways of sending a command resend it after a broken connection or a timeout, and an acquire that was resent might be
counted twice.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
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
from policies.wire import Wire

ABANDON_S = 2.0
"""How long an exchange waits for replies that their callers gave up on. Within it a frozen Redis may come back, and
what it admitted for nobody is cancelled; after it the connection is given up, and that leaves by its window."""

_NOT_SERVING = ("READONLY", "MASTERDOWN")
"""Refusals by a Redis that is not the primary (any more), also from inside a script: connect anew."""

Reply = Any
"""Bytes, or a list of whole numbers and bytes, as the script's header says."""


@dataclass(slots=True)
class Call:
    """One call of a script, and who waits for its reply."""

    future: "asyncio.Future[Reply]"
    script: Script
    command: bytes
    on_late: Callable[[Reply], None] | None
    share: Hashable | None
    asking: bool = False
    """Sent behind ASKING: to the node of a Cluster that is about to take the slot over."""
    sharers: "list[Call]" = field(default_factory=list)
    """Calls of the same `share` that came while this one waited to be sent, and are not sent themselves."""

    def with_sharers(self) -> "list[Call]":
        """It, and they."""
        return [self, *self.sharers]

    def finish(self, reply: "Reply | StoreError") -> None:
        """Hands the reply to the caller."""
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


class Lane:
    """Carries one batch of calls at a time."""

    def __init__(
        self,
        pool: ConnectionPool,
        watch: PrimaryWatch,
        breaker: Breaker,
        counts: LimiterCounts,
        on_free: Callable[[Sequence[Call]], None],
    ) -> None:
        """`on_free` is called when a batch has ended, with the calls of it that are still to be sent, one by one."""
        self._pool, self._watch, self._breaker, self._counts = pool, watch, breaker, counts
        self._on_free = on_free
        self.busy = False
        self._connection: AbstractConnection | None = None
        self._was: tuple[Retry, float | None] | None = None
        """What was changed of the connection, as it came from the pool."""
        self._wire: Wire | None = None
        self._opening: asyncio.Task[None] | None = None
        self._expected: deque[Call | None] = deque()
        """Who gets the replies that are to come, in their order; None: nobody, it only must not be an error."""
        self._unknown: list[Call] = []
        """Calls that were not run, since Redis did not know the script."""
        self._loaded = False
        """Whether scripts were loaded for this batch."""
        self._apart: list[Call] = []
        self._sent_at = 0.0
        self._abandon: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[None] | None = None

    def send(self, batch: Sequence[Call]) -> None:
        """Sends the calls, and hands each its reply; on a new connection where there is none to the primary."""
        loop = asyncio.get_running_loop()
        self.busy, self._loaded, self._unknown, self._apart = True, False, [], []
        self._abandon = loop.call_later(ABANDON_S, self._abandoned)
        wire, connection = self._wire, self._connection
        if wire is not None and not wire.ended and connection is not None and not self._watch.left(connection):
            self._write(wire, batch)
            return
        if wire is not None:
            wire.drop()
        self._expected = deque(batch)
        # An empty context: it outlives the request that happened to start it, and Ray Serve cancels whatever carries
        # the context of a request whose client has left.
        self._opening = loop.create_task(self._open(batch, self._opening), context=contextvars.Context())

    async def quiet(self) -> None:
        """Waits for what is under way, and for what follows it at once."""
        while self.busy:
            self._ended = self._ended or asyncio.get_running_loop().create_future()
            await asyncio.wait([self._ended])  # one who gives up waiting leaves it to the others

    async def close(self) -> None:
        """Waits for what is under way, and gives the connection back."""
        await self.quiet()
        if self._opening is not None:  # it was given up, and may not know yet
            await asyncio.wait([self._opening])
        if self._wire is not None:
            self._wire.drop()  # TLS would wait for a farewell, which a frozen Redis never says
        connection, self._connection = self._connection, None
        if connection is not None and self._was is not None:
            await connection.disconnect(nowait=True)
            connection.retry, connection.socket_timeout = self._was
            await self._pool.release(connection)

    async def _open(self, batch: Sequence[Call], before: "asyncio.Task[None] | None") -> None:
        """Connects, once an earlier attempt that was given up has ended."""
        try:
            if before is not None:
                await asyncio.wait([before])
            connection = self._connection
            if connection is None:
                connection = self._pool.get_available_connection()  # type: ignore[no-untyped-call] # the driver's
                self._connection, self._was = connection, (connection.retry, connection.socket_timeout)
                connection.retry = Retry(NoBackoff(), 0)  # callers wait; when to try again is the breaker's business
                connection.socket_timeout = None  # a batch has a limit of its own
            await connection.disconnect(nowait=True)
            async with self._watch.looking_up:
                await connection.connect()
            self._wire = Wire(connection, self._replied, self._lost)
            self._write(self._wire, batch)
            self._opening = None
        except (RedisError, OSError, TimeoutError) as error:
            self._not_opened(error)
        except asyncio.CancelledError:
            self._not_opened(DriverConnectionError("connecting was cancelled"))
            raise

    def _not_opened(self, error: Exception) -> None:
        """Where that is told by an attempt that was given up, it is no news, and maybe another batch's turn."""
        if self.busy and self._opening is asyncio.current_task():
            self._opening = None
            self._failed(error)

    def _write(self, wire: Wire, batch: Sequence[Call], before: Sequence[bytes] = ()) -> None:
        """Sends calls, behind commands whose replies are nobody's."""
        expected: deque[Call | None] = deque([None] * len(before))
        for call in batch:
            if call.asking:
                expected.append(None)
            expected.append(call)
        self._expected, self._sent_at = expected, asyncio.get_running_loop().time()
        wire.write(b"".join([*before, *[call.command for call in batch]]))

    def _replied(self, reply: Any) -> None:
        if not self._expected:  # nothing was asked: whatever follows cannot be told apart
            if self._wire is not None:
                self._wire.drop()
            return
        call = self._expected[0]
        if isinstance(reply, Exception) and (call is None or _means_elsewhere(reply)):
            self._failed(reply)
            return
        self._expected.popleft()
        if call is not None:
            self._hand(call, reply)
        if not self._expected:
            self._answered()

    def _hand(self, call: Call, reply: Any) -> None:
        """Gives a caller its reply."""
        if isinstance(reply, NoScriptError) and not self._loaded:  # it was not run, and is sent again
            self._unknown.append(call)
            return
        self._breaker.answered()
        if isinstance(reply, Exception):
            reply = _error_of(reply)
        call.finish(reply)
        if call.sharers:
            self._share(call, reply)

    def _share(self, call: Call, reply: Reply) -> None:
        if not isinstance(reply, StoreError) and reply[0] != 0:
            for sharer in call.sharers:
                sharer.share = None
            self._apart += call.sharers
        else:
            for sharer in call.sharers:
                sharer.finish(reply)

    def _answered(self) -> None:
        """All replies have come."""
        if self._unknown and self._wire is not None:
            calls, self._unknown, self._loaded = self._unknown, [], True
            scripts = {call.script.name: call.script.source.encode() for call in calls}
            loads = [
                b"*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%d\r\n%b\r\n" % (len(each), each) for each in scripts.values()
            ]
            self._write(self._wire, calls, loads)
            return
        self._counts.exchange.add(asyncio.get_running_loop().time() - self._sent_at)
        self._free()

    def _lost(self, error: Exception | None) -> None:
        """The connection has ended. Between batches that is nobody's loss."""
        if self.busy:
            self._failed(error or DriverConnectionError("Redis closed the connection"))

    def _abandoned(self) -> None:
        self._failed(TimeoutError(f"no reply within {ABANDON_S} s"))

    def _failed(self, error: Exception) -> None:
        """Ends the batch and the connection: nobody knows what was run of that which has no reply."""
        self._breaker.failed()
        self._counts.redis_failures["exchange"] += 1
        if self._opening is not None:
            self._opening.cancel()
        if self._wire is not None:
            self._wire.drop()
        failure = unavailable(error)
        for first in (*self._expected, *self._unknown):
            if first is not None:
                for call in first.with_sharers():
                    call.finish(failure)
        self._expected.clear()
        self._free()

    def _free(self) -> None:
        self.busy = False
        if self._abandon is not None:
            self._abandon.cancel()
        if self._ended is not None:
            self._ended.set_result(None)
            self._ended = None
        self._on_free(self._apart)


def _error_of(error: Exception) -> StoreError:
    """What a caller gets for an error of Redis that is about its call only."""
    if isinstance(error, NoScriptError):
        return StoreRefusedError("Redis forgets its scripts as soon as they are loaded")
    if isinstance(error, AskError | TryAgainError):  # it was not run
        return RedirectedError(error)
    return StoreRefusedError(f"Redis refused: {error}")


def _means_elsewhere(error: Exception) -> bool:
    """Whether a reply says that this connection serves nobody: what follows on it would have the same."""
    if not isinstance(error, ResponseError) or isinstance(error, DriverConnectionError):
        return True
    if isinstance(error, AskError | TryAgainError):
        return False
    return isinstance(error, ReadOnlyError | ClusterError) or any(word in str(error) for word in _NOT_SERVING)


def unavailable(error: Exception) -> StoreError:
    """What callers are told of a driver's error."""
    if isinstance(error, DriverTimeoutError | TimeoutError):
        return StoreTimeoutError(f"Redis did not answer in time: {error}")
    if isinstance(error, ResponseError) and not isinstance(error, DriverConnectionError):
        return StoreUnavailableError(f"Redis does not serve: {error}")
    return StoreUnavailableError(f"Redis cannot be reached: {error}")
