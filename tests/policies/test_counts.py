"""What the limiter counts of itself: exchanges, failures, fallbacks, what memory answered."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from policies.breaker import FAILURES_TO_OPEN
from policies.counts import EDGES_S
from policies.errors import StoreError
from tests.policies.redis_server import RedisServer

GONE = Redis(host="127.0.0.1", port=1)


def charge(**fields: Any) -> Charge:
    return Charge(RateLimitPolicy(**{"name": "burst", "scope": "TENANT", "limit": 1, "window": "1m", **fields}), "acme")


async def test_exchanges_and_what_memory_answered(server: RedisServer) -> None:
    redis = Redis(unix_socket_path=server.socket)
    limiter = Limiter(redis, deadline_s=5)
    blocked = charge(block={"denials": 1, "within": "10s", "duration": "1m"})
    assert (await limiter.acquire([blocked])).allowed
    for _ in range(4):
        assert not (await limiter.acquire([blocked])).allowed
    counts = limiter.counts
    await limiter.close()
    await redis.aclose()
    assert counts.from_memory == 3
    assert sum(counts.exchange.counts) == 2
    assert 0 < counts.exchange.sum_s < 5
    assert len(counts.exchange.counts) == len(EDGES_S) + 1
    assert not counts.redis_failures
    assert not counts.fallbacks


@pytest.mark.parametrize(("says", "outcome"), [("allow", "allowed"), ("deny", "refused"), ("local", "allowed")])
async def test_decisions_without_redis(says: str, outcome: str) -> None:
    limiter = Limiter(GONE, deadline_s=5)
    assert limiter.store.open_circuits == 0
    for _ in range(FAILURES_TO_OPEN):
        if says == "deny":
            with pytest.raises(StoreError):
                await limiter.acquire([charge(on_redis_failure=says)])
        else:
            await limiter.acquire([charge(on_redis_failure=says)])
    expected = {outcome: FAILURES_TO_OPEN}
    if says == "local":
        expected = {"allowed": 1, "denied": FAILURES_TO_OPEN - 1}
    assert limiter.counts.fallbacks == expected
    assert limiter.counts.redis_failures == {"exchange": FAILURES_TO_OPEN}
    assert limiter.store.open_circuits == 1
    await limiter.close()


async def test_looking_counts_as_no_decision() -> None:
    limiter = Limiter(GONE, deadline_s=5)
    await limiter.peek([charge(on_redis_failure="allow")])
    assert not +limiter.counts.fallbacks
    await limiter.close()


async def test_a_deadline_that_passes_is_a_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    redis = Redis(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    limiter = Limiter(redis, deadline_s=0.05)
    await limiter.acquire([charge(on_redis_failure="allow")])
    assert limiter.counts.redis_failures["timeout"] == 1
    assert limiter.counts.fallbacks == {"allowed": 1}
    await limiter.close()
    await redis.aclose()
    server.close()
    await server.wait_closed()
