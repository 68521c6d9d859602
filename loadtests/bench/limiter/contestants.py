"""Who is measured. Every contestant decides the same request: some windows of a minute, on the same Redis."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from typing import Any
from uuid import uuid4

import limits
import limits.aio.storage
import limits.aio.strategies
import limits.storage
import limits.strategies
import pyrate_limiter
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from policies.entities import Scope
from policies.scripts import Script
from policies.store import RedisStore

HIGH = 10**9
"""A limit out of reach."""

DEADLINE_S = 30
"""Nothing here is about deadlines, and the machine is shared."""

EMPTY_DRIVER, EMPTY_STORE = "empty EVALSHA, redis-py", "empty EVALSHA, our store"
OURS, OURS_TOKENS = "sluice", "sluice, tokens"
SORTED_SET, LIMITS_ASYNCIO, LIMITS_SYNC = "sorted-set log", "limits, asyncio", "limits, sync"
PYRATE = "pyrate-limiter"

SORTED_SET_SCRIPT = """
local now = redis.call('TIME'); now = now[1] * 1000000 + now[2]
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - 60000000)
  if redis.call('ZCARD', key) >= tonumber(ARGV[1]) then return 0 end
end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, ARGV[2])
  redis.call('PEXPIRE', key, 60000)
end
return 1
"""
"""The usual sorted-set log, all windows in one script."""


@dataclass(frozen=True)
class Contestant:
    """One way of deciding. Returns whether the request was admitted."""

    name: str
    decide: Callable[[], Awaitable[bool]] | None = None
    decide_sync: Callable[[], bool] | None = None
    """Instead, where it blocks its thread."""


def charges(scopes: int, limit: int = HIGH, cost: int = 1, **fields: Any) -> list[Charge]:
    return [
        Charge(RateLimitPolicy(name=scope, scope=scope, limit=limit, window=60_000, **fields), "acme", cost)
        for scope in list(Scope)[:scopes]
    ]


@asynccontextmanager
async def contestants(port: int, scopes: int, limit: int = HIGH) -> AsyncIterator[list[Contestant]]:
    """All of them, ready, for as long as the context lasts."""
    async with AsyncExitStack() as stack:

        def client() -> Redis:
            made = Redis(host="127.0.0.1", port=port)
            stack.push_async_callback(made.aclose)
            return made

        limiter = Limiter(client(), deadline_s=DEADLINE_S)
        stack.push_async_callback(limiter.close)
        everyone = [
            *await _empty(client(), stack),
            Contestant(OURS, partial(_ours, limiter, charges(scopes, limit))),
            Contestant(OURS_TOKENS, partial(_ours, limiter, charges(scopes, limit, 50, unit="total_tokens"))),
            await _sorted_set(client(), scopes, limit),
            _limits_asyncio(port, scopes, limit),
            _limits_sync(port, scopes, limit),
            await _pyrate(client(), scopes, limit),
        ]
        yield everyone


async def _ours(limiter: Limiter, asked: list[Charge]) -> bool:
    return (await limiter.acquire(asked)).allowed


async def _empty(client: Redis, stack: AsyncExitStack) -> list[Contestant]:
    """A script that does nothing: what any decision in one round trip pays, through the driver's own way of sending
    commands and through ours."""
    source = "return {1}"
    digest = sha1(source.encode(), usedforsecurity=False).hexdigest()
    script = Script("empty", source, digest, b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % digest.encode())
    await client.script_load(source)
    store = RedisStore(client, DEADLINE_S)
    stack.push_async_callback(store.close)

    async def through_driver() -> bool:
        return bool(await client.evalsha(digest, 0))

    async def through_store() -> bool:
        return bool(await store.run(script, (0, b""), ()))

    return [Contestant(EMPTY_DRIVER, through_driver), Contestant(EMPTY_STORE, through_store)]


async def _sorted_set(client: Redis, scopes: int, limit: int) -> Contestant:
    sha = await client.script_load(SORTED_SET_SCRIPT)
    keys = [f"z:{scope}" for scope in list(Scope)[:scopes]]
    process, numbers = uuid4().hex[:8], iter(range(10**9))

    async def decide() -> bool:
        return bool(await client.evalsha(sha, len(keys), *keys, limit, f"{process}{next(numbers)}"))

    return Contestant(SORTED_SET, decide)


def _limits_asyncio(port: int, scopes: int, limit: int) -> Contestant:
    storage = limits.aio.storage.RedisStorage(f"async+redis://127.0.0.1:{port}", implementation="redispy")
    strategy = limits.aio.strategies.MovingWindowRateLimiter(storage)
    item, names = limits.parse(f"{limit}/minute"), list(Scope)[:scopes]

    async def decide() -> bool:
        for name in names:
            if not await strategy.hit(item, name, "acme"):
                return False
        return True

    return Contestant(LIMITS_ASYNCIO, decide)


def _limits_sync(port: int, scopes: int, limit: int) -> Contestant:
    strategy = limits.strategies.MovingWindowRateLimiter(limits.storage.RedisStorage(f"redis://127.0.0.1:{port}"))
    item, names = limits.parse(f"{limit}/minute"), list(Scope)[:scopes]
    return Contestant(LIMITS_SYNC, decide_sync=lambda: all(strategy.hit(item, name, "acme-sync") for name in names))


async def _pyrate(client: Redis, scopes: int, limit: int) -> Contestant:
    """It takes the time from the host."""
    buckets = [
        await pyrate_limiter.RedisBucket.init([pyrate_limiter.Rate(limit, 60_000)], client, f"p:{scope}")
        for scope in list(Scope)[:scopes]
    ]
    limiters = [pyrate_limiter.Limiter(bucket) for bucket in buckets]

    async def decide() -> bool:
        for limiter in limiters:
            if not await limiter.try_acquire_async("acme", blocking=False):
                return False
        return True

    return Contestant(PYRATE, decide)
