"""Python of the documentation that uses `policies` as a library, as it stands there, over a real Redis."""

import ast
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from tests.docs.blocks import Block, in_way
from tests.policies.redis_server import RedisServer, binaries


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer(next(iter(binaries().values()))).start()
    yield server
    server.close()


@pytest.mark.parametrize("block", in_way("library"), ids=str)
async def test_it_runs(block: Block, redis_server: RedisServer) -> None:
    """What a snippet takes for granted is what its comments say: `redis` is a client, and where it imports nothing of
    ours, what the page has imported before."""
    redis = Redis(unix_socket_path=redis_server.socket)
    await redis.flushall()
    names: dict[str, Any] = {
        "redis": redis,
        "Charge": Charge,
        "Limiter": Limiter,
        "RateLimitPolicy": RateLimitPolicy,
        "limiter": Limiter(redis),
    }
    code = compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, names)  # noqa: S307 - of our own pages
    if running is not None:
        await running
    if "decision" in names:
        assert names["decision"].allowed
    await names["limiter"].close()
    await redis.aclose()
