"""Which primary Sentinel names now, while connections to an earlier one may still stand.

A primary that is replaced while it lives goes on taking writes until the Sentinels make it a replica, which may take
them ten seconds; what it takes meanwhile is lost. Whoever waits to be refused stays for all of that. So the Sentinels
are asked again every so often while there is traffic, and connections to anyone else are left.
"""

import asyncio
import contextlib
import contextvars

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError

ASK_EVERY_S = 0.25
"""How often the Sentinels are asked who is the primary. Traffic that is not there asks nothing."""


class PrimaryWatch:
    """Knows a connection that is not to the primary. On a Redis without Sentinel there is none."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool if isinstance(pool, SentinelConnectionPool) else None
        self.looking_up = contextlib.nullcontext() if self._pool is None else asyncio.Lock()
        """Held while the Sentinels are asked, by a new connection too: redis-py moves the one that answered to the
        front of its list, and two that do so at once drop another from it."""
        self._primary: tuple[str, int] | None = None
        self._ask_at = 0.0
        self._asking: asyncio.Task[None] | None = None

    def left(self, connection: AbstractConnection) -> bool:
        """Whether this connection is to a Redis that is not the primary any more."""
        if self._pool is None:
            return False
        loop = asyncio.get_running_loop()
        if self._asking is None and loop.time() >= self._ask_at:
            # An empty context: it outlives the request that happened to start it.
            self._asking = loop.create_task(self._ask(self._pool), context=contextvars.Context())
        host, port = getattr(connection, "host", None), getattr(connection, "port", None)
        return self._primary is not None and connection.is_connected and (host, port) != self._primary

    async def close(self) -> None:
        """Waits for what is under way."""
        if self._asking is not None:
            await asyncio.wait([self._asking])

    async def _ask(self, pool: SentinelConnectionPool) -> None:
        try:
            async with self.looking_up:
                self._primary = await pool.sentinel_manager.discover_master(pool.service_name)
        except (RedisError, OSError, TimeoutError):
            self._primary = None  # nobody says; whoever is connected stays so
        finally:
            self._ask_at = asyncio.get_running_loop().time() + ASK_EVERY_S
            self._asking = None
