"""Redis killed and started again: with an append-only file the log is as it was."""

import pytest
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from tests.policies.redis_server import RedisServer, binaries


@pytest.mark.parametrize("binary", binaries().values(), ids=list(binaries()))
async def test_a_killed_redis_comes_back_with_its_log(binary: str) -> None:
    server = RedisServer(binary, "--appendonly", "yes", "--appendfsync", "always").start()
    charges = [
        Charge(RateLimitPolicy(name="r", scope="TENANT", limit=5, window="10m")),
        Charge(RateLimitPolicy(name="t", scope="TENANT", unit="total_tokens", limit=600, window="10m"), cost=100),
        Charge(RateLimitPolicy(name="c", scope="TENANT", unit="concurrent_requests", limit=5, window="10m")),
    ]
    try:
        redis = Redis(unix_socket_path=server.socket)
        limiter = Limiter(redis, deadline_s=10)
        first, second = await limiter.acquire(charges), await limiter.acquire(charges)
        await limiter.settle(second, {"total_tokens": 30})
        server.kill()
        server.start()
        # A client of its own: what a limiter does about broken connections is another test's concern.
        after = Limiter(again := Redis(unix_socket_path=server.socket), deadline_s=10)
        assert [window.used for window in (await after.peek(charges)).windows] == [2, 130, 1]
        await after.cancel(first)
        assert [window.used for window in (await after.peek(charges)).windows] == [1, 30, 0]
        await redis.aclose()
        await again.aclose()
    finally:
        server.close()
