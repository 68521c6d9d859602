"""Redis as the limiter sees it: scripts go in, replies come out, drivers' errors become ours.

Calls made in the same turn of the event loop travel together as one pipeline, and while that one is under way the
next gathers: a process under load makes few, large exchanges. The replies come back one by one, so what travels
together shares the network's cost and nothing else. What the scripts mean is `policies.limiter`'s business.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as DriverConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as DriverTimeoutError

from policies.errors import StoreError, StoreRefusedError, StoreTimeoutError, StoreUnavailableError
from policies.scripts import Script

LANES = 2
"""Exchanges under way at once. One would idle while its replies are read; more than two gain nothing."""

BATCH = 128
"""Most calls in one exchange: keeps one pipeline to a few milliseconds of the server's time."""

Reply = list[int]


@dataclass(slots=True)
class _Call:
    future: "asyncio.Future[Reply]"
    script: Script
    command: tuple[Any, ...]
    on_late: Callable[[Reply], None] | None
    loaded: bool = True

    def finish(self, reply: object) -> None:
        if self.future.done():  # the caller gave up: what was admitted for it must be given back
            if self.on_late is not None and isinstance(reply, list):
                self.on_late(reply)
        elif isinstance(reply, Exception):
            self.future.set_exception(reply)
        else:
            self.future.set_result(reply)  # type: ignore[arg-type]


class RedisStore:
    """Runs scripts on one Redis primary: a plain client, or one that follows Sentinel."""

    def __init__(self, redis: Redis, deadline_s: float) -> None:
        self._redis = redis
        self._deadline_s = deadline_s
        self._waiting: deque[_Call] = deque()
        self._lanes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[bytes | str | int],
        on_late: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """One call of a script, within the deadline.

        A call that was sent is never sent again, except where Redis said that it does not know the script.
        `on_late` gets the reply if it comes after the caller has gone.
        """
        loop = asyncio.get_running_loop()
        call = _Call(loop.create_future(), script, ("EVALSHA", script.sha, len(keys), *keys, *args), on_late)
        self._waiting.append(call)
        if self._lanes < LANES:
            self._lanes += 1
            # An empty context: the exchange outlives the request that happened to start it, and Ray Serve cancels
            # whatever carries the context of a request whose client has left.
            task = loop.create_task(self._exchange_all(), context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        timer = loop.call_later(self._deadline_s, self._expire, call)
        try:
            return await call.future
        finally:
            timer.cancel()

    async def ping(self) -> None:
        """Returns when Redis answers; raises `StoreError` where it does not within the deadline."""
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    def _expire(self, call: _Call) -> None:
        if not call.future.done():
            milliseconds = round(self._deadline_s * 1000)
            call.future.set_exception(StoreTimeoutError(f"Redis did not answer within {milliseconds} ms"))

    async def close(self) -> None:
        """Waits for what is under way. The client stays open: it is its owner's."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _exchange_all(self) -> None:
        try:
            while self._waiting:
                batch: list[_Call] = []
                while self._waiting and len(batch) < BATCH:
                    call = self._waiting.popleft()
                    if not call.future.done():  # else nobody waits any more, and it was never sent
                        batch.append(call)
                if batch:
                    await self._exchange(batch)
        finally:
            self._lanes -= 1

    async def _exchange(self, batch: list[_Call]) -> None:
        answered = 0
        connection: AbstractConnection | None = None
        pool = self._redis.connection_pool
        try:
            connection = await pool.get_connection()  # type: ignore[no-untyped-call] # a decorator of the driver's hides its type
            unknown: list[_Call] = []
            while batch:
                await connection.send_packed_command(
                    [chunk for call in batch for chunk in connection.pack_command(*call.command)]
                )
                for call in batch:
                    try:
                        reply = await connection.read_response()
                    except NoScriptError:
                        unknown.append(call)
                    except (DriverConnectionError, DriverTimeoutError):
                        raise
                    except ResponseError as error:
                        call.finish(_refused(error))
                    else:
                        call.finish(reply)
                    answered += 1
                batch, unknown, answered = unknown, [], 0
                for script in {call.script.name: call.script for call in batch}.values():
                    await connection.send_command("SCRIPT", "LOAD", script.source)
                    await connection.read_response()
        except (RedisError, OSError) as error:
            if connection is not None:
                await connection.disconnect(nowait=True)
            failure = _unavailable(error)
            for call in batch[answered:]:
                call.finish(failure)
        finally:
            if connection is not None:
                await pool.release(connection)


def _refused(error: ResponseError) -> StoreError:
    return StoreRefusedError(f"Redis refused: {error}")


def _unavailable(error: Exception) -> StoreError:
    if isinstance(error, DriverTimeoutError | TimeoutError):
        return StoreTimeoutError(f"Redis did not answer in time: {error}")
    return StoreUnavailableError(f"Redis cannot be reached: {error}")
